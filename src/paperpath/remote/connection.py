"""The shell around one client machine (SMTP, LMTP, QMTP): a transport, a clock, and the content of the job under way.

A Protocol and never streams: a stream may hold bytes that came in clear and hand them out as if they had come over TLS.
"""

import asyncio
import math
import ssl
from collections.abc import Callable
from typing import Protocol, cast

from paperpath.base.outcome import Deferred
from paperpath.base.text import one_line
from paperpath.protocol.qmtp_client import PackageEncoder, QmtpClient
from paperpath.protocol.smtp_client import SmtpClient
from paperpath.protocol.smtp_client_data import DataEncoder
from paperpath.protocol.smtp_client_events import (
    LIMITS,
    TLS_HANDSHAKE_S,
    Event,
    Finished,
    Phase,
    Ready,
    Refused,
    SendContent,
    Upgrade,
)
from paperpath.remote.delivery import ContentError, Delivery

TRANSACTIONS_MOST = 1000
"""Exim's default for one connection (smtp_accept_max_per_connection); more would be cut off by it half-way."""

_TLS_SHUTDOWN_S = 2.0


class Owner(Protocol):
    """Who keeps the connections."""

    def finished(self, connection: "Connection", delivery: Delivery, event: Finished) -> None:
        """A transaction is over; the connection may be used for another where it is ``usable``."""

    def closed(self, connection: "Connection") -> None:
        """The connection is over, once."""

    def broken(self, delivery: Delivery | None, error: Exception) -> None:
        """A defect of ours ended a connection, with this job under way on it."""


class Connection(asyncio.Protocol):
    """One connection.  ``opened`` is done with None when it is ready for mail, else with why it is not."""

    def __init__(
        self,
        key: str,
        client: SmtpClient | QmtpClient,
        context: ssl.SSLContext,
        sni: str | None,
        owner: Owner,
        step_most_s: float = math.inf,
    ) -> None:
        self._loop = asyncio.get_running_loop()
        self._step_most_s = step_most_s
        self._client = client
        self._context = context
        self._sni = sni
        self._owner = owner
        self._transport: asyncio.Transport | None = None
        self._upgrade: asyncio.Task[None] | None = None
        self._delivery: Delivery | None = None
        self._encoder: DataEncoder | PackageEncoder = DataEncoder()
        self._paused = False
        self._sending = False
        self._steps = -1
        self._closed = False
        self._parted = False
        self.key = key
        self.transactions = 0
        self.leaving = False
        """Whether goodbye was said."""
        self.tls_failure = ""
        self.is_impostor = False
        """TLS failed because the certificate does not prove that this is the server we want."""
        self.deadline = 0.0
        self.opened: asyncio.Future[Deferred | None] = self._loop.create_future()
        self._touch()

    @property
    def usable(self) -> bool:
        """Whether another transaction may begin."""
        client = self._client
        is_ready = client.phase is Phase.READY and not client.is_exhausted
        return is_ready and self.transactions < TRANSACTIONS_MOST and not self._closed

    @property
    def host(self) -> str:
        """The server's name as outcomes show it."""
        return self._client.host

    @property
    def promises_tls(self) -> bool:
        """Whether TLS is in use, and the server passes nothing on without it that must not be (RFC 8689 2)."""
        return self.is_secure and self._client.capabilities.require_tls

    @property
    def is_secure(self) -> bool:
        """Whether TLS is in use."""
        return self._client.is_secure

    def deliver(self, delivery: Delivery) -> None:
        """Start a transaction on a usable connection."""
        self._delivery = delivery
        self.transactions += 1
        self._run(lambda: self._client.begin(delivery.transaction()))

    def quit(self) -> None:
        """End a connection that carries nothing, politely where that is possible."""
        if self._client.phase is Phase.READY:
            self.leaving = True
            self._client.quit()
            self._settle()
        elif not self.leaving:
            self.abort("given up")

    def expire(self) -> None:
        """The deadline has passed."""
        if self._client.phase is Phase.READY:
            self.quit()
        elif self._client.phase is Phase.UPGRADING:
            self._tls_failed("timed out")
        else:
            self.abort("timed out")

    def abort(self, how: str) -> None:
        """End the connection now."""
        self._run(lambda: self._client.lost(how))
        self._close()
        if not self._parted and self._transport is not None:
            self._transport.abort()
        self._part()

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast(asyncio.Transport, transport)
        self._run(self._client.connected)

    def data_received(self, data: bytes) -> None:
        self._run(lambda: self._client.receive(data))

    def connection_lost(self, error: Exception | None) -> None:
        reason = error.strerror if isinstance(error, OSError) else None
        self.abort(f"connection lost ({reason})" if reason else "connection lost")

    def pause_writing(self) -> None:
        self._paused = True

    def resume_writing(self) -> None:
        self._paused = False
        self._send_soon()

    def _run(self, step: Callable[[], list[Event]]) -> None:
        """Let the machine do a step and do what follows.  A defect of ours ends this connection and nothing else."""
        try:
            for event in step():
                self._handle(event)
            self._settle()
        except Exception as error:
            delivery, self._delivery = self._delivery, None
            self._owner.broken(delivery, error)
            self._close()

    def _handle(self, event: Event) -> None:
        match event:
            case Finished():
                delivery, self._delivery = self._delivery, None
                assert delivery is not None
                self._owner.finished(self, delivery, event)
            case SendContent():
                self._begin_content()
            case Upgrade():
                self._begin_upgrade()
            case Ready():
                self._open(None)
            case Refused(outcome):
                self._open(outcome)

    def _open(self, outcome: Deferred | None) -> None:
        if not self.opened.done():
            self.opened.set_result(outcome)

    def _settle(self) -> None:
        """Send what is to be sent; start the clock again after a step; close what is over."""
        client = self._client
        if self._closed:
            return
        output = client.take_output()
        if output and self._transport is not None:
            self._transport.write(output)
        if client.steps != self._steps:
            self._steps = client.steps
            self._touch()
        if client.phase is Phase.CLOSED:
            self._close()

    def _touch(self) -> None:
        self.deadline = self._loop.time() + min(LIMITS[self._client.phase].seconds, self._step_most_s)

    def _close(self) -> None:
        if self._closed:
            return
        self._closed = True
        self._open(Deferred("connection lost", code="4.2"))
        if self._upgrade is not None:
            self._upgrade.cancel()
        if self._transport is not None and self.leaving:
            self._transport.close()  # TLS says goodbye too; connection_lost tells when
            return
        if self._transport is not None:
            self._transport.abort()  # what was not sent yet must not leave: half a message could pass for a whole one
        self._part()

    def _part(self) -> None:
        if not self._parted:
            self._parted = True
            self._owner.closed(self)

    # Content in blocks, as fast as the peer takes it.

    def _begin_content(self) -> None:
        assert self._delivery is not None and self._transport is not None
        self._encoder = self._client.encoder()
        self._delivery.rewind()
        self._transport.write(self._encoder.feed(self._delivery.job.trace))
        self._send_soon()

    def _send_soon(self) -> None:
        """Send a block in the next turn: other connections get theirs in between."""
        if self._client.phase is Phase.CONTENT and not self._sending and not self._paused:
            self._sending = True
            self._loop.call_soon(self._run, self._send_block)

    def _send_block(self) -> list[Event]:
        self._sending = False
        if self._client.phase is not Phase.CONTENT or self._paused or self._closed:
            return []
        assert self._delivery is not None and self._transport is not None
        try:
            block = self._delivery.read_block()
        except ContentError as error:
            return self._client.lost(str(error))
        if block:
            self._transport.write(self._encoder.feed(block))
            self._touch()
            self._send_soon()
        else:
            self._transport.write(self._encoder.end())
            self._client.content_sent()
        return []

    # TLS

    def _begin_upgrade(self) -> None:
        assert self._transport is not None
        # Nothing may be read as clear text from here on; the machine takes whatever still comes as a violation.
        self._transport.pause_reading()
        self._upgrade = self._loop.create_task(self._handshake(self._transport))

    async def _handshake(self, transport: asyncio.Transport) -> None:
        try:
            upgraded = await self._loop.start_tls(
                transport,
                self,
                self._context,
                server_hostname=self._sni,
                ssl_handshake_timeout=TLS_HANDSHAKE_S,
                ssl_shutdown_timeout=_TLS_SHUTDOWN_S,
            )
        except (OSError, ValueError) as error:
            self.is_impostor = isinstance(error, ssl.SSLCertVerificationError)
            self._tls_failed(one_line(str(error) or type(error).__name__, 200))
            return
        if upgraded is None or self._closed:
            self._tls_failed("connection lost")
            return
        self._upgrade = None
        self._transport = upgraded
        self._client.tls_started()
        self._settle()

    def _tls_failed(self, reason: str) -> None:
        # The standard loop does not call connection_lost after a handshake that took too long.
        self.tls_failure = reason
        self.abort(f"TLS handshake failed ({reason})")
