"""One POP3 session: the shell around `protocol.pop3`.

The machine says what comes next; `LoggingIn` and `Fetching` answer its questions; this has the connection.
"""

from asyncio import BaseTransport
from typing import Any

from paperpath.base.text import describe
from paperpath.pop3.fetching import LATER, Fetching
from paperpath.pop3.login import LoggingIn, Peer
from paperpath.pop3.mailboxes import Box
from paperpath.pop3.service import Service
from paperpath.pop3.sessions import STOPPING, Sessions
from paperpath.process.conversation import Conversation
from paperpath.process.paced import Against
from paperpath.protocol.pop3 import (
    Closing,
    ContentWanted,
    LoginAbandoned,
    LoginGiven,
    PageWanted,
    Pop3Config,
    Pop3Session,
    ResponseGiven,
    TlsWanted,
    UpdateWanted,
)
from paperpath.system.tls import server_end_point
from paperpath.telemetry.events import MailboxClosed, MailboxTrouble, ProcessBroken
from paperpath.wire.guard import Offence
from paperpath.wire.tls import TLS_FROM_THE_START

_BUFFERED_MOST_BYTES = 64 * 1024
"""Pipelined input that waits behind an open question before reading stops."""
LOGIN_WITHIN_S = 180.0
"""From the connection to the mailbox: nobody who fetches mail needs longer, and a slot is not held by silence."""

_BANNED = "[SYS/PERM] Connections from your address are not taken for a while"
_TOO_MANY = "[SYS/TEMP] Too many sessions; try again later"
_TOO_OFTEN = "[SYS/TEMP] Too many connections; try again later"


class Session(Conversation):
    """One connection from its greeting to its end."""

    __slots__ = (
        "_binding",
        "_bytes_out",
        "_fetching",
        "_login",
        "_machine",
        "_peer",
        "_reason",
        "_service",
        "_service_name",
        "_started",
        "_timestamp",
        "last_step",
    )

    _sessions: Sessions

    def __init__(self, service: Service, name: str, sessions: Sessions) -> None:
        super().__init__()
        self._service, self._service_name, self._sessions = service, name, sessions
        self._bytes_out = 0
        self._timestamp = service.timestamp()
        self._binding = b""
        self._fetching: Fetching | None = None
        self._reason: str | None = None

    # The connection

    def connection_made(self, transport: Any) -> None:
        """Greet, unless the client is not welcome."""
        self._transport = transport
        self._started = self.last_step = self._sessions.time()
        self._peer = self._sessions.spoken_for.pop(transport, "") or _address(transport)
        service = self._service
        self._machine = Pop3Session(self._config())
        self._login = LoggingIn(self, self._machine, service, self._opened)
        network = service.network_of(self._peer)
        ban = service.guard.banned(self._peer)
        comes_too_often = ban is None and service.comes_too_often(self._peer)
        excess = None if ban or comes_too_often else self._sessions.add(self, network)
        if ban is not None:
            service.guard.turned_away(network)
            self._turn_away(_BANNED, network, f"banned: {ban}")
        elif comes_too_often:
            self._turn_away(_TOO_OFTEN, network, "[limits] connections_per_minute")
        elif excess is not None:
            self._turn_away(_TOO_MANY, network, excess)
        elif self._service_name in TLS_FROM_THE_START:
            self._go_over_to_tls(early=b"")
        else:
            self.flush()

    def data_received(self, data: bytes) -> None:
        """Feed the machine."""
        if self._upgrade is not None:
            self._upgrade.data_received(data)
            return
        machine = self._machine
        self._handle_all(machine.receive(data))
        if machine.question is not None:
            if machine.buffered_bytes > _BUFFERED_MOST_BYTES:
                self._stop_reading(Against.BEHIND)
        elif self._sessions.is_to_end(self):
            self._stop()

    def pause_writing(self) -> None:
        """The client does not read: read nothing more from it until it does."""
        super().pause_writing()
        if self._fetching is not None:
            self._fetching.choke()

    def resume_writing(self) -> None:
        """The client reads again."""
        self.last_step = self._sessions.time()
        super().resume_writing()
        if self._fetching is not None:
            self._fetching.unchoke()

    def _ended(self, error: Exception | None) -> None:
        self._sessions.discard(self)
        self._login.close()
        if self._fetching is not None:
            self._fetching.close()
            self._fetching = None
        machine = self._machine
        self._service.log.emit(
            MailboxClosed(
                service=self._service_name,
                peer=self._peer,
                account=self._login.account or None,
                messages=machine.messages,
                retrieved=machine.retrieved,
                removed=machine.deleted if self.result == "quit" else 0,
                bytes_in=machine.bytes_in,
                bytes_out=self._bytes_out,
                duration_s=self._sessions.time() - self._started,
                result=self.result if self._upgrade is None else "tls-failed",
                reason=(self._reason or self._login.reason or None) if error is None else str(error),
                tls=None if self.tls is None else f"{self.tls} {self.tls.bits}",
            )
        )

    def deadline(self, *, strained: bool) -> float:
        """When it is ended if it does not get on; ``strained``: sessions run short."""
        if not self._machine.is_open:
            return self._started + (self._service.settings.strained_timeout_s if strained else LOGIN_WITHIN_S)
        if self._machine.question is not None and not self._is_choked:
            return float("inf")  # it is our turn, and that has limits of its own
        return self.last_step + self._service.settings.timeout_s

    @property
    def _is_choked(self) -> bool:
        return bool(self._against & Against.CHOKED)

    @property
    def waits_for_us(self) -> bool:
        """Whether it is our turn to say something."""
        return self._machine.question is not None

    @property
    def is_idle(self) -> bool:
        """Whether nobody is logged in, nor about to be."""
        return not self._machine.is_open and self._machine.question is None

    def end(self, text: str, reason: str) -> None:
        """End it with these last words; the mailbox stays as it is."""
        self.result = reason
        if self._breaks_off_handshake():
            return
        within_message = isinstance(self._machine.question, ContentWanted)
        self._login.abandon()
        if self._fetching is not None:
            self._fetching.close()
        if self._is_choked or within_message:  # it would not read this, or take it for the message's
            self._transport.abort()
        self.go_on(self._machine.abort(text, reason))

    def _turn_away(self, text: str, network: str, reason: str) -> None:
        self._is_over = True  # it has no line of its own
        self._sessions.turn_away(network, self._peer, reason)
        self._machine.take_output()  # instead of the greeting
        if self._service_name in TLS_FROM_THE_START:  # it would not understand
            self._transport.close()
        else:
            self.end(text, "refused")
        self._login.close()

    # TLS

    @property
    def _is_protected(self) -> bool:
        return self._service.is_protected(self._peer, tls=self.tls is not None)

    def _config(self) -> Pop3Config:
        return self._service.config(
            self._timestamp, protected=self._is_protected, tls=self.tls is not None, bound=bool(self._binding)
        )

    def _go_over_to_tls(self, early: bytes | None = None) -> None:
        assert self._service.tls is not None, "TLS was not offered"
        self._secure(self._service.tls.context, early)

    def _started_over(self) -> None:
        self._binding = server_end_point(self._transport) if self._service.binds else b""
        self.last_step = self._sessions.time()
        self.go_on(self._machine.secured(self._config()))

    # Events

    def flush(self) -> None:
        """Write what the machine has said."""
        output = self._machine.take_output()
        if output:
            self.last_step = self._sessions.time()
            self._bytes_out += len(output)
            if not self._transport.is_closing():
                self._transport.write(output)

    def trouble(self, reason: str) -> None:
        """Log what is wrong with the mailbox."""
        self._reason = reason
        self._service.log.emit(MailboxTrouble(account=self._login.account, reason=reason))

    def lost(self, reason: str) -> None:
        """End it: the mailbox is not there any more, or a message broke off and must not look whole."""
        self.trouble(reason)
        self.end(LATER, "error")

    def _login_given(self, event: LoginGiven) -> None:
        self._login.begin(event, Peer(self._service_name, self._peer, self._is_protected, self._binding))

    def _response_given(self, event: ResponseGiven) -> None:
        self._login.respond(event)

    def _login_abandoned(self, _event: LoginAbandoned) -> None:
        self._login.abandon()

    def _tls_wanted(self, _event: TlsWanted) -> None:
        self.flush()
        self._go_over_to_tls()

    def _page(self, event: PageWanted) -> None:
        self._fetched().page(event)

    def _content(self, event: ContentWanted) -> None:
        self._fetched().content(event)

    def _update(self, event: UpdateWanted) -> None:
        self._fetched().update(event)

    def _fetched(self) -> Fetching:
        assert self._fetching is not None, "a question about a mailbox that is not open"
        return self._fetching

    def _opened(self, box: Box) -> None:
        self._fetching = Fetching(self, self._machine, box)
        if self._is_choked:
            self._fetching.choke()
        self._reason = None
        self.go_on(self._machine.opened(box.opened.messages, box.opened.octets))

    def _closing(self, event: Closing) -> None:
        reason = event.reason
        if self.result == "closed":
            self.result = reason
        if reason == "too many errors":
            self._service.guard.report(self._peer, Offence.TOO_MANY_ERRORS, self._service_name)
        self.flush()
        self._transport.close()

    def _broken(self, error: Exception) -> None:
        self._service.log.emit(ProcessBroken(where="session", error=describe(error)))
        self._machine.abort(LATER, "error")

    def _stop(self) -> None:
        self.end(STOPPING, "stopping")


def _address(transport: BaseTransport) -> str:
    address = transport.get_extra_info("peername")
    if isinstance(address, tuple):
        return str(address[0])
    return "unknown" if address is None else "local"  # None: it has gone again


Session._handlers = {
    LoginGiven: Session._login_given,
    ResponseGiven: Session._response_given,
    LoginAbandoned: Session._login_abandoned,
    TlsWanted: Session._tls_wanted,
    PageWanted: Session._page,
    ContentWanted: Session._content,
    UpdateWanted: Session._update,
    Closing: Session._closing,
}
