"""`auth.tokens`: asks an issuer about bearer tokens, or fetches its keys and judges signatures by them.

Runs as: ``paperpath-tokens``.  Reads: what Python needs, and the certificates of ``[oauth] ca_file``.  Writes: nothing.
Holds: the client secret for introspection, and tokens that go through.  Believes: the issuer whose certificate is
good, about tokens.  Whoever takes it over can say yes to any token, and sees no password: it is a process of its own
because it talks HTTPS to a server outside, which `auth` must not.
"""

from paperpath.auth.answering import Answering
from paperpath.auth.issuer import Issuer
from paperpath.base.text import describe
from paperpath.process.child import Listeners, run_role
from paperpath.process.settings import TokensSettings
from paperpath.telemetry.log import Log
from paperpath.wire.outside import CheckBearer, Checked, ToTokens


class TokensRole:
    """The process between its first settings and its end."""

    def __init__(self, _log: Log) -> None:
        self._answering = Answering[CheckBearer](ToTokens, "tokens")

    async def configure(self, settings: TokensSettings, listeners: Listeners) -> None:
        """Ask this issuer from now on.  Raises ValueError where its certificates cannot be read."""
        issuer = Issuer(settings)
        self._answering.serve(listeners, settings.client_users, lambda asked: _judge(issuer, asked.token))

    async def drain(self, grace_s: float) -> None:
        """Nobody waits any more: `auth` ended before."""
        self._answering.close()


def _judge(issuer: Issuer, token: str) -> Checked:
    """In a thread.  Raises nothing."""
    try:
        account = issuer.account_of(token)
    except Exception as error:  # the issuer is away, or answers what nobody understands: no word about the token
        return Checked(0, "unknown", reason=describe(error)[:500])
    return Checked(0, "yes", account=account.lower()) if account else Checked(0, "no", reason="not a good token")


if __name__ == "__main__":
    run_role("auth-tokens", TokensSettings, TokensRole)
