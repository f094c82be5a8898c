"""One connection's way from clear text to TLS, for whoever serves clients with `asyncio.Protocol` classes.

Protocols and never streams: a stream may hold bytes that came in clear and hand them out as if they had come over TLS.
Six things that the event loops do are met here, each seen on uvloop or on the standard loop:

- bytes are still handed over before TLS stands between the connection and us, even though reading is paused: those in
  clear are thrown away, those that are the client's part of the handshake already are given to TLS first;
- bytes that came over TLS are handed over before the new transport is known: they are kept, and given out with it;
- uvloop tells TLS that the connection is lost before it begins, where the client went that early, and then begins all
  the same, with a timer that holds everything for as long as a handshake may take: it is told once more;
- the standard loop hands out a transport whose TLS has broken already, by what came with the end of the handshake;
- where a handshake takes too long, the standard loop never says that the connection is lost: ``on_failed`` always does;
- a client that is silent, or never closes, would hold its place: both have a limit of ours.
"""

import asyncio
import ssl
from collections.abc import Callable
from typing import Any, cast

from paperpath.base.text import one_line
from paperpath.system.tls import HANDSHAKE_MOST_S, SHUTDOWN_MOST_S

_KEPT_MOST_BYTES = 1024 * 1024
"""What may arrive in the turn of the loop in which a handshake ends: a few reads."""

OnSecured = Callable[[asyncio.Transport, bytes], None]
"""With the transport to write to from now on, and what came over it already."""

OnFailed = Callable[[str], None]
"""With the reason; the connection is over.  `connection_lost` may be called as well, before or after."""


class Upgrade:
    """A handshake under way; exactly one of the two functions is called, unless ``cancel`` comes first."""

    __slots__ = ("_context", "_early", "_kept", "_on_failed", "_on_secured", "_over", "_owner", "_task", "_transport")

    def __init__(
        self, owner: asyncio.Protocol, context: ssl.SSLContext, on_secured: OnSecured, on_failed: OnFailed
    ) -> None:
        self._owner, self._context = owner, context
        self._on_secured, self._on_failed = on_secured, on_failed
        self._early: bytes | None = None
        """What belongs to the handshake and came before TLS could read it; None: it came in clear, and counts not."""
        self._kept: list[bytes] | None = None
        """None until everything that comes comes over TLS."""
        self._over = False
        self._task: asyncio.Task[None] | None = None

    def begin(self, transport: asyncio.Transport, early: bytes | None = None) -> None:
        """Shake hands.

        ``early`` is given where the connection begins with the handshake: what was read of it already.  Without it, all
        that was sent before is thrown away.
        """
        transport.pause_reading()
        self._transport, self._early = transport, early
        loop = asyncio.get_running_loop()
        self._task = loop.create_task(self._shake_hands())
        loop.call_soon(self._begun)  # when the task has taken its first step

    def data_received(self, data: bytes) -> None:
        """Take what the owner was handed meanwhile."""
        if self._kept is not None:
            self._kept.append(data)
            if sum(map(len, self._kept)) > _KEPT_MOST_BYTES:
                self._transport.abort()
        elif self._early is not None:
            self._early += data

    def cancel(self) -> None:
        """Give up; the connection is over, and nothing is called.

        To be called where the owner is told that the connection is lost, too: on uvloop the handshake would wait on.
        """
        self._over = True
        if self._task is not None:
            self._task.cancel()
        self._transport.abort()

    def _begun(self) -> None:
        """TLS stands between the connection and us; it begins in the next turn, and then reads."""
        if self._over:
            return
        self._kept = []
        if self._transport.is_closing():
            asyncio.get_running_loop().call_soon(self._transport.get_protocol().connection_lost, None)
        elif self._early:
            asyncio.get_running_loop().call_soon(self._hand_over)

    async def _shake_hands(self) -> None:
        try:
            upgraded = await asyncio.get_running_loop().start_tls(
                self._transport,
                self._owner,
                self._context,
                server_side=True,
                ssl_handshake_timeout=HANDSHAKE_MOST_S,
                ssl_shutdown_timeout=SHUTDOWN_MOST_S,
            )
        except Exception as error:
            self._fail(one_line(str(error) or type(error).__name__, 200))
        else:
            # Before TLS sends its ticket: what is said first leaves in one write with that.
            self._finish(upgraded)

    def _hand_over(self) -> None:
        """Give TLS the bytes that it would have read itself, before it reads others."""
        reader = cast(asyncio.BufferedProtocol, self._transport.get_protocol())
        early = self._early or b""
        while early and not self._transport.is_closing():
            buffer: Any = reader.get_buffer(len(early))
            taken = min(len(buffer), len(early))
            buffer[:taken] = early[:taken]
            reader.buffer_updated(taken)
            early = early[taken:]

    def _finish(self, upgraded: asyncio.Transport | None) -> None:
        if upgraded is None or upgraded.is_closing() or not _is_secured(upgraded):
            self._fail("connection lost")
        elif not self._over:
            self._over = True
            try:
                self._on_secured(upgraded, b"".join(self._kept or ()))
            except Exception as error:  # a defect of ours ends this connection, and nothing else
                context = {"message": "beginning a session over TLS", "exception": error}
                asyncio.get_running_loop().call_exception_handler(context)
                upgraded.abort()

    def _fail(self, reason: str) -> None:
        self._transport.abort()
        if not self._over:
            self._over = True
            self._on_failed(reason)


def _is_secured(transport: asyncio.Transport) -> bool:
    return transport.get_extra_info("ssl_object").version() is not None
