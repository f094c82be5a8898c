"""One SMTP session: the shell around `protocol.smtp_server`.

The machine says what comes next and in what order; this says yes or no, keeps the content, and writes the replies.
"""

import asyncio
from collections import deque
from typing import Any

from paperpath.base.ids import show_id
from paperpath.base.reply import Reply, reply
from paperpath.base.terms import MessageTerms
from paperpath.base.text import describe, show
from paperpath.message.trace import received_line, with_keyword
from paperpath.process.upgrade import Upgrade
from paperpath.protocol.smtp_refusals import OTHER_PROTOCOL, R220_READY
from paperpath.protocol.smtp_server import (
    R354_START_INPUT,
    AuthCancelled,
    AuthGiven,
    AuthResponse,
    ClientTold,
    Closing,
    ContentEnd,
    ContentPart,
    ContentStart,
    Event,
    RecipientGiven,
    Refusal,
    SenderGiven,
    ServerSession,
    State,
    TlsBegins,
    TransactionDropped,
)
from paperpath.receive import replies
from paperpath.receive.arrival import arrive, arrive_as
from paperpath.receive.content import Content
from paperpath.receive.logins import LOGIN_FIRST, LOGIN_SERVICES, TOO_MUCH, ClientLogin, is_here
from paperpath.receive.paced import Against, Paced
from paperpath.receive.recipients import Recipients, Verdict
from paperpath.receive.service import Kind, Service
from paperpath.receive.sessions import Sessions
from paperpath.receive.submission import NOT_YOURS, Message
from paperpath.receive.terms import judge
from paperpath.receive.tls import describe_tls
from paperpath.system.clock import now
from paperpath.system.tls import TlsDetails, details
from paperpath.telemetry.events import MessageRefused, ProcessBroken, SessionClosed
from paperpath.wire.guard import Offence
from paperpath.wire.intake import Accepted, Submit
from paperpath.wire.tls import TLS_FROM_THE_START

_BUFFERED_MOST_BYTES = 64 * 1024
"""Pipelined input that waits behind an open question before reading stops."""

_SHOWN_BYTES = 60
"""Of what a client said too early: enough to tell what it is."""

_IDLE = (State.IDLE, State.SECURING)
_TOO_MANY = {"too many errors", "too many commands"}


class Session(Paced):
    """One connection from its greeting to its end."""

    __slots__ = (
        "_content",
        "_events",
        "_handling",
        "_input_ended",
        "_is_over",
        "_judge",
        "_limits",
        "_login",
        "_machine",
        "_messages",
        "_peer",
        "_peer_name",
        "_progress_at",
        "_recipients",
        "_service",
        "_service_name",
        "_sessions",
        "_started",
        "_terms",
        "_upgrade",
        "_xclient",
        "last_input",
        "relay",
        "result",
        "standing",
        "tls",
    )

    def __init__(self, service: Service, name: str, sessions: Sessions) -> None:
        super().__init__()
        self._service, self._service_name, self._sessions = service, name, sessions
        self._limits = service.settings.limits
        self._content: Content | None = None
        self._events: deque[Event] = deque()
        self._handling = self._input_ended = self._is_over = False
        self._messages = self._recipients = 0
        self._progress_at = self._limits.progress_bytes
        self._terms: MessageTerms | None = None
        self._peer_name: str | None = None
        self._upgrade: Upgrade | None = None
        self.tls: TlsDetails | None = None
        """What the handshake agreed on; None in clear."""
        self.result = "closed"

    # The connection

    def connection_made(self, transport: Any) -> None:
        """Greet, unless the client is not let in."""
        self._transport = transport
        self._started = self.last_input = self._sessions.time()
        arrival = arrive(self._service, self._service_name, self._sessions, self, transport)
        self._peer, self.relay, self.standing = arrival.peer, arrival.relay, arrival.standing
        self._xclient = self._service.may_say("xclient", self._peer)
        self._judge = Recipients(self._service, self._peer, self.standing)
        self._login = ClientLogin(self._service, self._service_name, self._peer, self._login_said)
        self._machine = ServerSession(self._service.config(self._kind()))
        if arrival.refusal is not None:
            self._turn_away(arrival.refusal)
        elif self._service_name in TLS_FROM_THE_START:
            self._secure(early=b"")
        elif self.standing.is_stranger and self._limits.greeting_delay_s:
            self._await_greeting(self._limits.greeting_delay_s)
        else:
            self._flush()

    def _kind(self) -> Kind:
        name = self._service_name
        return Kind(self.relay, name == "lmtp", self._xclient, login=name in LOGIN_SERVICES, here=is_here(self._peer))

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
        self._go_on(machine.receive(data))
        if machine.bytes_in >= self._progress_at:
            self._progress_at = machine.bytes_in + self._limits.progress_bytes
            self.last_input = self._sessions.time()
        if machine.question is not None:
            if machine.buffered_bytes > _BUFFERED_MOST_BYTES:
                self._stop_reading(Against.BEHIND)
        elif self._sessions.draining and self.is_idle:
            self.end(replies.STOPPING, "stopping")

    def eof_received(self) -> bool:
        """The client will send nothing more; True keeps the connection until what it asked is answered.

        TLS cannot be half open.
        """
        self._input_ended = True
        return self._machine.question is not None and self.tls is None

    def connection_lost(self, error: Exception | None) -> None:
        """Write the session's one line."""
        if self._is_over:  # a handshake that failed said so already
            return
        self._is_over = True
        self._forget_timer()
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
                **describe_tls(self.tls),
            )
        )

    @property
    def is_idle(self) -> bool:
        """Whether ending the session now would interrupt no transaction."""
        return self._machine.question is None and self._machine.state in _IDLE

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
        if self._upgrade is not None:  # nothing can be said within a handshake
            upgrade, self._upgrade = self._upgrade, None
            upgrade.cancel()
            self.connection_lost(None)
            return
        self._go_on(self._machine.abort(last))
        if self._against & Against.CHOKED:  # it would not read this either, and hold the connection open with that
            self._transport.abort()

    # TLS

    def _secure(self, early: bytes | None = None) -> None:
        assert self._service.tls is not None
        self._upgrade = Upgrade(self, self._service.tls.context, self._secured, self._tls_failed)
        self._stop_reading(Against.SECURING)
        self._upgrade.begin(self._transport, early)

    def _tls_begins(self, _event: TlsBegins) -> None:
        self._flush()
        self._secure()

    def _secured(self, transport: asyncio.Transport, data: bytes) -> None:
        self._transport, self._upgrade = transport, None
        self._against = Against(0)  # the new transport has a buffer of its own
        self.tls = details(transport)
        self.relay = self.relay or self._service.may_relay_by(self.tls)
        self._machine.start_over(self._service.config(self._kind()), secure=True)
        self.last_input = self._sessions.time()
        self._flush()
        if data:
            self.data_received(data)

    def _tls_failed(self, reason: str) -> None:
        self.connection_lost(ConnectionError(reason))

    def _client_told(self, event: ClientTold) -> None:
        """Whoever it came through says who the client is: from here on that one counts (Postfix's XCLIENT)."""
        if event.name is not None:
            self._peer_name = show(event.name) or None
        if event.address is not None:
            arrival = arrive_as(self._service, self._service_name, self._sessions, self, event.address or "unknown")
            if arrival.refusal is not None:
                self._refuse(arrival.refusal, None, f"XCLIENT: {arrival.peer} is turned away")
                return
            self._peer, self.relay, self.standing = arrival.peer, arrival.relay, arrival.standing
            self._judge = Recipients(self._service, self._peer, self.standing)
        self._login = ClientLogin(self._service, self._service_name, self._peer, self._login_said)
        machine = self._machine
        machine.start_over(self._service.config(self._kind()), secure=machine.secure)
        self._answer(R220_READY)

    # Logins

    def _auth(self, event: AuthGiven) -> None:
        self._login.begin(event, self._transport, secure=self.tls is not None)

    def _auth_response(self, event: AuthResponse) -> None:
        self._login.respond(event)

    def _auth_cancelled(self, _event: AuthCancelled) -> None:
        self._login.end()

    def _login_said(self, said: Reply, reason: str) -> None:
        """`auth` has answered; who has logged in may send to everywhere."""
        if self._login.account:
            self.relay = True
            self.standing.proved()
            self._machine.use(self._service.config(self._kind()))
            self._machine.authenticated_at = int(now())
        elif self._login.was_wrong:
            self.standing.offended(Offence.LOGIN_FAILED, f"a wrong password at {self._service_name}")
        if said.is_positive:
            self._answer(said)
        else:
            self._refuse(said, None, reason)

    # Events

    def _go_on(self, events: list[Event]) -> None:
        """Handle events, in order; those that handling one brings come last."""
        waiting = self._events
        waiting.extend(events)
        self._handling = True
        try:
            while waiting:
                event = waiting.popleft()
                _HANDLERS[type(event)](self, event)
        except Exception as error:  # a defect of ours ends this session, and nothing else
            self._service.log.emit(ProcessBroken(where="session", error=describe(error)))
            self.result = "error"
            waiting.clear()
            self._machine.abort(replies.INTERNAL)
            self._flush()
            self._transport.close()
        finally:
            self._handling = False
        self._flush()

    def _flush(self) -> None:
        output = self._machine.take_output()
        if output:
            self.last_input = self._sessions.time()
            if not self._transport.is_closing():
                self._transport.write(output)
                if self.standing.is_stranger:
                    self._punish(self._machine.refused, self._limits.error_delay_s)

    def _greet(self) -> None:
        self._flush()

    def _spoke_early(self, data: bytes) -> None:
        self._machine.take_output()  # the greeting that it did not wait for
        said = show(data[:_SHOWN_BYTES])
        self.standing.offended(Offence.EARLY_TALK, said)
        self._log_refusal(replies.SPOKE_EARLY, None, f"before the greeting it said {said}")
        self.end(replies.SPOKE_EARLY, "spoke early")

    def _answer(self, given: Reply) -> None:
        events = self._machine.answer(given)
        if self._handling:
            self._events.extend(events)
        else:
            self._go_on(events)
            self._go_on_reading()

    def _go_on_reading(self) -> None:
        """After an answer that had to be waited for: do what waited with the client."""
        if self._machine.question is not None or self._transport.is_closing():
            return
        if self._input_ended:
            self._transport.close()
        elif self._sessions.draining and self.is_idle:
            self.end(replies.STOPPING, "stopping")
        else:
            self._read_again(Against.BEHIND)

    def _sender(self, event: SenderGiven) -> None:
        self._terms = None
        if self._login.is_due:
            self._refuse(LOGIN_FIRST, None, "nobody has logged in")
            return
        if self._login.account and self._login.submission.sender(event.address) is None:
            self._refuse(NOT_YOURS, None, f"{show(event.address)} is not one of {self._login.shown()}")
            return
        exceeded = self._exceeded()
        if exceeded is not None:
            self._refuse(exceeded, None, "as many as [limits] allows")
            return
        if event.asked is not None:
            moment = int(now())
            refusal = judge(event.asked, moment)
            if refusal is not None:
                self._refuse(refusal, None, "what MAIL asks for is beyond what is given here")
                return
            self._terms = event.asked.terms(moment)
        self._answer(replies.SENDER_OK)

    def _exceeded(self) -> Reply | None:
        if self._messages >= self._limits.messages_most and self.standing.network:
            self.result = "enough messages"
            return replies.ENOUGH_MESSAGES
        return replies.TOO_MANY_MESSAGES if self.standing.is_slowed("messages") else None

    def _recipient(self, event: RecipientGiven) -> None:
        sender = self._machine.sender or b""
        self._judge.judge(sender, event.address, lambda verdict: self._judged(event, verdict), relay=self.relay)

    def _judged(self, event: RecipientGiven, verdict: Verdict) -> None:
        if verdict.reply.is_positive:
            self._answer(verdict.reply)
            return
        if verdict.reply is replies.TOO_MANY_UNKNOWN:
            self.result = "unknown recipients"
        self._refuse(verdict.reply, event.address, verdict.reason)

    def _content_start(self, _event: ContentStart) -> None:
        if self._login.account:
            self._login.ask_for(len(self._machine.recipients), self._may_send)
        else:
            self._take_content()

    def _may_send(self, allowed: bool, again_s: int) -> None:
        if allowed:
            self._take_content()
        else:
            self._refuse(TOO_MUCH, None, f"as many recipients as [limits] allows an account; more in {again_s} s")

    def _take_content(self) -> None:
        self._content = Content(self._service)
        self._answer(R354_START_INPUT)

    def _content_part(self, event: ContentPart) -> None:
        if self._content is not None:
            self._content.add(event.data)

    def _content_end(self, _event: ContentEnd) -> None:
        content = self._content
        assert content is not None
        found = content.finish()
        if isinstance(found, Verdict):
            self._content_refused(found)
        elif self._login.account:
            self._submit_own(content, found)
        else:
            self._submit(content, found)

    def _content_refused(self, verdict: Verdict) -> None:
        self._drop_content()
        self._refuse(verdict.reply, None, verdict.reason)

    def _submit_own(self, content: Content, message: Message) -> None:
        """What somebody sends who has logged in is judged by its header too, and completed."""
        try:
            completed = self._login.submission.complete(message, sender=self._sender_address(), now=int(now()))
        except OSError as error:
            self._content_refused(content.spooling_failed(error))
            return
        if completed.refusal is not None:
            self._content_refused(Verdict(completed.refusal, completed.reason))
            return
        ready = completed.message
        if ready.descriptor is not None and ready.descriptor != message.descriptor:
            content.replace(ready.descriptor)
        self._submit(content, ready, completed.prefix)

    def _sender_address(self) -> bytes:
        sender = self._machine.sender or b""
        return self._login.submission.sender(sender) or b"" if self._login.account else sender

    def _submit(self, content: Content, message: Message, prefix: bytes = b"") -> None:
        machine = self._machine
        submit = Submit(
            ticket=content.next_ticket(),
            sender=self._sender_address(),
            recipients=tuple(machine.recipients),
            trace=self._trace() + prefix,
            content=message.content,
            size=message.size,
            origin=f"{self._service_name} {self._peer}",
            smtputf8=machine.smtputf8,
            attached=message.descriptor is not None,
            terms=self._terms,
            recipient_terms=machine.recipient_terms,
        )
        content.hand_over(submit, message.descriptor, self._submitted)

    def _trace(self) -> bytes:
        machine = self._machine
        recipients = machine.recipients
        tls = self.tls
        spoken = "LMTP" if machine.config.lmtp else "SMTP"
        protocol = with_keyword(
            spoken,
            extended=machine.esmtp,
            utf8=machine.smtputf8,
            tls=tls is not None,
            authenticated=bool(self._login.account),
        )
        return received_line(
            helo=machine.helo,
            peer=self._peer,
            peer_name=self._peer_name,
            hostname=self._service.hostname,
            protocol=protocol,
            recipient=recipients[0] if len(recipients) == 1 else None,
            now=int(now()),
            tls=None if tls is None else str(tls),
            priority=self._terms.priority if self._terms is not None else 0,
        )

    def _submitted(self, fate: Accepted | Verdict) -> None:
        if not isinstance(fate, Accepted):
            self._content_refused(fate)
            return
        self._drop_content()
        self._messages += 1
        self._recipients += len(self._machine.recipients)
        self.standing.took(len(self._machine.recipients))
        self._answer(reply(250, "2.6.0", f"Accepted as {show_id(fate.message)}"))

    def _dropped(self, _event: TransactionDropped) -> None:
        self._drop_content()

    def _drop_content(self) -> None:
        if self._content is not None:
            self._content.drop()
            self._content = None

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
        self._flush()
        self._transport.close()


_HANDLERS: dict[type[Event], Any] = {
    ClientTold: Session._client_told,
    SenderGiven: Session._sender,
    RecipientGiven: Session._recipient,
    ContentStart: Session._content_start,
    ContentPart: Session._content_part,
    ContentEnd: Session._content_end,
    TransactionDropped: Session._dropped,
    TlsBegins: Session._tls_begins,
    AuthGiven: Session._auth,
    AuthResponse: Session._auth_response,
    AuthCancelled: Session._auth_cancelled,
    Refusal: Session._refusal,
    Closing: Session._closing,
}
