"""Who knows what: the backends in their order, the accounts' keys, the tokens, and what an account may send as."""

from collections.abc import Callable, Mapping, Sequence
from functools import partial

import apsw

from paperpath.auth.accounts import AccountsBackend, AccountsFile
from paperpath.auth.tokens_client import Tokens
from paperpath.auth.verdict import Backend, Client, Conversation, Identity, Later, Unknown, Verdict
from paperpath.config.credentials import Name
from paperpath.protocol.sasl_scram import ScramKeys, made_up_keys

_NO_FILE = Unknown("the file of accounts cannot be read")


class Judge:
    """Answers the questions of mechanisms."""

    def __init__(
        self,
        *,
        backends: Sequence[Backend],
        accounts: AccountsBackend | None,
        file: AccountsFile,
        tokens: Tokens | None,
        secret: bytes,
        scram_elsewhere: Callable[[Client], Conversation] | None = None,
    ) -> None:
        self._backends, self._accounts, self._file, self._tokens = backends, accounts, file, tokens
        self._secret = secret
        """What the keys of those who have none are made up from."""
        self._scram_elsewhere = scram_elsewhere
        """Who runs SCRAM for those who have no keys here."""

    def check_password(self, name: str, password: bytes, client: Client) -> Verdict | Later[Verdict]:
        """Ask the backends in turn.  One that cannot tell is passed over; that counts where none says yes."""
        said = self._backends[0].check(name, password, client) if self._backends else None
        return said if isinstance(said, Identity) else partial(self._go_on_asking, said, name, password, client)

    async def _go_on_asking(
        self, first: Verdict | Later[Verdict], name: str, password: bytes, client: Client
    ) -> Verdict:
        verdict = await _waited_for(first)
        for backend in self._backends[1:]:
            if isinstance(verdict, Identity):
                break
            verdict = await _waited_for(backend.check(name, password, client)) or verdict
        return verdict

    async def check_token(self, name: str, token: str, client: Client) -> Verdict:
        """Ask what a bearer token is worth; one for another account than the client named is worth nothing."""
        if self._tokens is None:
            return None
        said = await self._tokens.check(token, client)
        if isinstance(said, Identity) and name and name.lower() != said.account:
            return None
        return said

    def scram_keys(self, name: str) -> ScramKeys | Unknown:
        """Return the keys of a user, made-up ones for nobody."""
        return self._own_keys(name) or made_up_keys(self._secret, name)

    def scram_elsewhere(self, name: str, client: Client) -> Conversation | None:
        """Return whom a user speaks SCRAM with who has no keys here; None: it is nobody but us."""
        if self._scram_elsewhere is None or self._own_keys(name) is not None:
            return None
        return self._scram_elsewhere(client)

    def _own_keys(self, name: str) -> ScramKeys | Unknown | None:
        account = self._account(name)
        try:
            return None if account is None else self._file.scram_keys(account)
        except (apsw.Error, OSError):
            return _NO_FILE

    def clear_passwords(self, name: str) -> tuple[tuple[str, bytes], ...] | Unknown:
        """Return a user's passwords in clear, as far as they are kept."""
        account = self._account(name)
        try:
            return () if account is None else self._file.clear_passwords(account)
        except (apsw.Error, OSError):
            return _NO_FILE

    def identity(self, name: str, label: str) -> Identity | None:
        """Return whom a name means that was proven with an account's keys."""
        account = self._account(name)
        return None if account is None else Identity("@".join(account), label)

    def vouched(self, name: str) -> Identity:
        """Return whom a name means that somebody else has judged, who may have accounts that are not known here."""
        return self.identity(name, "") or Identity(name.lower())

    def _account(self, name: str) -> Name | None:
        return None if self._accounts is None else self._accounts.account(name)


async def _waited_for(said: Verdict | Later[Verdict]) -> Verdict:
    return await said() if isinstance(said, partial) else said


def addresses_of(
    account: str, system_domains: Sequence[str], senders: Mapping[str, tuple[str, ...]]
) -> tuple[bytes, ...]:
    """Return what an account may send as, in the form of `wire.logins.LoggedIn`.

    An account with a domain owns its own address; a system account owns its name, and the extensions of that, in each
    of ``system_domains``; and both what ``senders`` lists for them.
    """
    if "@" in account:
        own = [account]
    else:
        own = [f"{name}@{domain}" for domain in system_domains for name in (account, account + "-*")]
    return tuple(address.encode() for address in (*own, *senders.get(account, ())))
