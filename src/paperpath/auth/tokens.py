"""`auth.tokens`: asks an issuer about bearer tokens, or fetches its keys and judges signatures by them.

Runs as: ``paperpath-tokens``.  Reads: what Python needs, and the certificates of ``[oauth] ca_file``.  Writes: nothing.
Holds: the client secret for introspection, and tokens that go through.  Believes: the issuer whose certificate is
good, about tokens.  Whoever takes it over can say yes to any token, and sees no password: it is a process of its own
because it talks HTTPS to a server outside, which `auth` must not.
"""

import asyncio
import socket
from concurrent.futures import ThreadPoolExecutor

import msgspec

from paperpath.auth.issuer import Issuer
from paperpath.base.text import describe
from paperpath.process.child import Listeners, run_role
from paperpath.process.doors import Doors
from paperpath.process.settings import TokensSettings
from paperpath.system.channel import Channel
from paperpath.telemetry.log import Log
from paperpath.wire.frame import Hello
from paperpath.wire.outside import OUTSIDE_FRAME_MOST_BYTES, CheckBearer, Checked, ToTokens

_AT_ONCE = 4
_WAITING_MOST = 100


class TokensRole:
    """The process between its first settings and its end."""

    def __init__(self, _log: Log) -> None:
        self._threads = ThreadPoolExecutor(max_workers=_AT_ONCE, thread_name_prefix="tokens")
        self._waiting = 0
        self._issuer: Issuer
        self._doors = Doors()
        self._channels: set[Channel] = set()

    async def configure(self, settings: TokensSettings, listeners: Listeners) -> None:
        """Ask this issuer from now on.  Raises ValueError where its certificates cannot be read."""
        self._issuer = Issuer(settings)
        self._doors.serve(listeners, {name: (settings.client_users, self._connected) for name, _ in listeners})

    async def drain(self, grace_s: float) -> None:
        """Nobody waits any more: `auth` ended before."""
        self._doors.close()
        for channel in list(self._channels):
            channel.flush()
            channel.close()
        self._threads.shutdown(wait=False, cancel_futures=True)

    def _connected(self, sock: socket.socket) -> None:
        channel = Channel(
            sock,
            ToTokens,
            lambda frame, _: self._asked(channel, frame),
            lambda _: self._channels.discard(channel),
            frame_most_bytes=OUTSIDE_FRAME_MOST_BYTES,
        )
        self._channels.add(channel)

    def _asked(self, channel: Channel, frame: Hello | CheckBearer) -> None:
        if isinstance(frame, Hello):
            return
        if self._waiting >= _WAITING_MOST:
            channel.send(Checked(frame.ticket, "unknown", reason="too many tokens wait"))
            return
        self._waiting += 1
        answering = asyncio.get_running_loop().run_in_executor(self._threads, _judge, self._issuer, frame.token)
        answering.add_done_callback(lambda done: self._answered(channel, frame.ticket, done))

    def _answered(self, channel: Channel, ticket: int, done: "asyncio.Future[Checked]") -> None:
        self._waiting -= 1
        if not done.cancelled():
            channel.send(msgspec.structs.replace(done.result(), ticket=ticket))


def _judge(issuer: Issuer, token: str) -> Checked:
    """In a thread.  Raises nothing."""
    try:
        account = issuer.account_of(token)
    except Exception as error:  # the issuer is away, or answers what nobody understands: no word about the token
        return Checked(0, "unknown", reason=describe(error)[:500])
    return Checked(0, "yes", account=account.lower()) if account else Checked(0, "no", reason="not a good token")


if __name__ == "__main__":
    run_role("auth-tokens", TokensSettings, TokensRole)
