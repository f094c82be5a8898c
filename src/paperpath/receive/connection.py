"""The connection under an SMTP session: how it begins, goes over to TLS, changes who its client is, and ends.

What the client asks within a transaction, and whether it may, is `receive.session`.
"""

from typing import Any

from paperpath.base.reply import Reply
from paperpath.base.text import describe, show
from paperpath.process.conversation import Conversation
from paperpath.process.paced import Against
from paperpath.protocol.smtp_refusals import OTHER_PROTOCOL, R220_READY
from paperpath.protocol.smtp_server import (
    ClientTold,
    Closing,
    Refusal,
    ServerSession,
    State,
    TlsBegins,
)
from paperpath.receive import replies
from paperpath.receive.arrival import Arrival, arrive, arrive_as
from paperpath.receive.logins import LOGIN_SERVICES, ClientLogin, is_here
from paperpath.receive.recipients import Recipients
from paperpath.receive.service import Kind, Service
from paperpath.receive.sessions import Sessions
from paperpath.receive.tls import describe_tls
from paperpath.telemetry.events import MessageRefused, ProcessBroken, SessionClosed
from paperpath.wire.guard import Offence
from paperpath.wire.tls import TLS_FROM_THE_START

_BUFFERED_MOST_BYTES = 64 * 1024
"""Pipelined input that waits behind an open question before reading stops."""

_SHOWN_BYTES = 60
"""Of what a client said too early: enough to tell what it is."""

_IDLE = (State.IDLE, State.SECURING)
_TOO_MANY = {"too many errors", "too many commands"}


class Connection(Conversation):
    """One connection from its greeting to its end."""

    __slots__ = (
        "_judge",
        "_limits",
        "_login",
        "_machine",
        "_messages",
        "_peer",
        "_peer_name",
        "_progress_at",
        "_recipients",
        "_relays_from_there",
        "_service",
        "_service_name",
        "_started",
        "_xclient",
        "last_input",
        "relay",
        "standing",
    )

    _sessions: Sessions

    def __init__(self, service: Service, name: str, sessions: Sessions) -> None:
        super().__init__()
        self._service, self._service_name, self._sessions = service, name, sessions
        self._limits = service.settings.limits
        self._messages = self._recipients = 0
        self._progress_at = self._limits.progress_bytes
        self._peer_name: str | None = None

    def _login_said(self, said: Reply, reason: str) -> None:
        """`auth` has answered."""
        raise NotImplementedError

    def _drop_content(self) -> None:
        """Let go of a message that is not to be."""
        raise NotImplementedError

    def connection_made(self, transport: Any) -> None:
        """Greet, unless the client is not let in."""
        self._transport = transport
        self._started = self.last_input = self._sessions.time()
        arrival = arrive(self._service, self._service_name, self._sessions, self, transport)
        self._now_from(arrival)
        self._xclient = self._service.may_use_xclient(self._peer)
        self._machine = ServerSession(self._service.config(self._kind()))
        if arrival.refusal is not None:
            self._turn_away(arrival.refusal)
        elif self._service_name in TLS_FROM_THE_START:
            self._go_over_to_tls(early=b"")
        elif self.standing.is_stranger and self._limits.greeting_delay_s and not self._login.is_due:
            self._await_greeting(self._limits.greeting_delay_s)
        else:
            self.flush()

    def _now_from(self, arrival: Arrival) -> None:
        """The client is who came there: what was known of another one counts no more."""
        self._peer, self.relay, self.standing = arrival.peer, arrival.relay, arrival.standing
        self._relays_from_there = arrival.relay
        self._judge = Recipients(self._service, self._peer, self.standing)
        self._login = ClientLogin(self._service, self._service_name, self._peer)

    def _kind(self) -> Kind:
        name = self._service_name
        login = name in LOGIN_SERVICES
        return Kind(
            self.relay,
            name == "lmtp",
            self._xclient,
            login,
            here=login and is_here(self._peer),
            counted=bool(self.standing.network),
            account=bool(self._login.account),
        )

    def _turn_away(self, last: Reply) -> None:
        self._machine.take_output()  # instead of the greeting
        if self._service_name in TLS_FROM_THE_START:  # it would not understand
            self.result = "refused"
            self._transport.close()
        else:
            self.end(last, "refused")

    def data_received(self, data: bytes) -> None:
        """Feed the machine."""
        if self._upgrade is not None:
            self._upgrade.data_received(data)
            return
        machine = self._machine
        if self._awaits_greeting:
            self._spoke_early(data)
            return
        self._handle_all(machine.receive(data))
        if machine.bytes_in >= self._progress_at:
            self._progress_at = machine.bytes_in + self._limits.progress_bytes
            self.last_input = self._sessions.time()
        if machine.question is not None:
            if machine.buffered_bytes > _BUFFERED_MOST_BYTES:
                self._stop_reading(Against.BEHIND)
        elif self._sessions.is_to_end(self):
            self._stop()

    def _ended(self, error: Exception | None) -> None:
        self._sessions.discard(self)
        self._login.end()
        machine = self._machine
        self._drop_content()
        machine.abort(replies.STOPPING)
        if self.result != "refused":  # those are told together
            self._log_end(error)

    def _log_end(self, error: Exception | None) -> None:
        machine = self._machine
        self._service.log.emit(
            SessionClosed(
                service=self._service_name,
                peer=self._peer,
                helo=show(machine.helo),
                messages=self._messages,
                recipients=self._recipients,
                refused=machine.refused,
                bytes_in=machine.bytes_in,
                duration_s=self._sessions.time() - self._started,
                result=self.result if self._upgrade is None else "tls-failed",
                reason=None if error is None else str(error),
                account=self._login.shown or None,
                **describe_tls(self.tls),
            )
        )

    @property
    def is_idle(self) -> bool:
        """Whether ending the session now would interrupt no transaction."""
        return self._machine.question is None and self._machine.state in _IDLE

    @property
    def has_brought(self) -> bool:
        """Whether a message was accepted in it."""
        return self._messages > 0

    @property
    def waits_for_us(self) -> bool:
        """Whether it is our turn to say something."""
        return self._machine.question is not None

    @property
    def sends_content(self) -> bool:
        """Whether the content of a message is on its way."""
        return self._machine.state in (State.DATA, State.CHUNK)

    def end(self, last: Reply, result: str) -> None:
        """End the session with a 421."""
        self.result = result
        if last is replies.TOO_SLOW:
            self.standing.offended(Offence.TOO_SLOW, f"{self._machine.bytes_in} bytes in all")
        self._forget_timer()
        if self._breaks_off_handshake():
            return
        self._handle_all(self._machine.abort(last))
        if self._against & Against.CHOKED:  # it would not read this either, and hold the connection open with that
            self._transport.abort()

    # TLS, and whoever it came through

    def _go_over_to_tls(self, early: bytes | None = None) -> None:
        assert self._service.tls is not None
        self._secure(self._service.tls.context, early)

    def _tls_begins(self, _event: TlsBegins) -> None:
        self.flush()
        self._go_over_to_tls()

    def _started_over(self) -> None:
        self._login.forget()  # RFC 3207 4.2: what was said in clear counts no more
        self.relay = self._relays_from_there
        if self._service.may_relay_by(self.tls):
            self.relay = True
            self.standing.proved()
        self._machine.start_over(self._service.config(self._kind()), secure=True)
        self.last_input = self._sessions.time()
        self.flush()

    def _client_told(self, event: ClientTold) -> None:
        """Whoever it came through says who the client is: from here on that one counts (Postfix's XCLIENT)."""
        if event.name is not None:
            self._peer_name = show(event.name) or None
        if event.address is not None:
            arrival = arrive_as(self._service, self._service_name, self._sessions, self, event.address or "unknown")
            if arrival.refusal is not None:
                # Whatever the code: it is counted as no session any more, and must not go on as whom it came through.
                self._log_refusal(arrival.refusal, None, f"XCLIENT: {arrival.peer} is turned away")
                self.go_on(self._machine.abort(arrival.refusal))
                return
            self._now_from(arrival)
        self._login.forget()
        self.relay = self._relays_from_there
        machine = self._machine
        machine.start_over(self._service.config(self._kind()), secure=machine.secure)
        if event.login:
            self._login.vouch(event.login, self._login_said, secure=machine.secure)
        else:
            self._answer(R220_READY)

    # Events

    def _broken(self, error: Exception) -> None:
        self._service.log.emit(ProcessBroken(where="session", error=describe(error)))
        self._machine.abort(replies.INTERNAL)

    def flush(self) -> None:
        """Write what the machine has said, and let a stranger wait that was refused too much."""
        output = self._machine.take_output()
        if output:
            self.last_input = self._sessions.time()
            if not self._transport.is_closing():
                self._transport.write(output)
                if self._machine.refused > self._tolerated and self.standing.is_stranger:
                    self._punish(self._machine.refused, self._limits.error_delay_s)

    def _greet(self) -> None:
        self.flush()

    def _spoke_early(self, data: bytes) -> None:
        self._machine.take_output()  # the greeting that it did not wait for
        said = show(data[:_SHOWN_BYTES])
        self.standing.offended(Offence.EARLY_TALK, said)
        self._log_refusal(replies.SPOKE_EARLY, None, f"before the greeting it said {said}")
        self.end(replies.SPOKE_EARLY, "spoke early")

    def _answer(self, given: Reply) -> None:
        events = self._machine.answer(given)
        if self._handling:  # as in `go_on`, without the call: this is most of the answers
            self._events.extend(events)
        else:
            self._go_on_later(events)

    def _stop(self) -> None:
        self.end(replies.STOPPING, "stopping")

    def _refuse(self, given: Reply, recipient: bytes | None, reason: str) -> None:
        self._log_refusal(given, recipient, reason)
        self._answer(given)

    def _refusal(self, event: Refusal) -> None:
        if event is OTHER_PROTOCOL:
            self.standing.offended(Offence.OTHER_PROTOCOL, "HTTP")
        self._log_refusal(event.reply, None, event.reason)

    def _log_refusal(self, given: Reply, recipient: bytes | None, reason: str) -> None:
        sender = self._machine.sender
        self._service.log.emit(
            MessageRefused(
                service=self._service_name,
                peer=self._peer,
                sender="" if sender is None else show(sender),
                recipient=None if recipient is None else show(recipient),
                code=given.code,
                status=given.status,
                reason=reason,
            )
        )

    def _closing(self, event: Closing) -> None:
        if self.result == "closed":
            self.result = event.reason
        if event.reason in _TOO_MANY:
            self.standing.offended(Offence.TOO_MANY_ERRORS, event.reason)
        self.flush()
        self._transport.close()
