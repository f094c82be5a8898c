"""One SMTP session: the shell around `protocol.smtp_server`.

The machine says what comes next and in what order; this says yes or no, keeps the content, and writes the replies.
The connection under it is `receive.connection`.
"""

from paperpath.base.ids import show_id
from paperpath.base.reply import Reply, reply
from paperpath.base.terms import MessageTerms
from paperpath.base.text import show
from paperpath.message.trace import received_line, with_keyword
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
    RecipientGiven,
    Refusal,
    SenderGiven,
    TlsBegins,
    TransactionDropped,
)
from paperpath.receive import replies
from paperpath.receive.connection import Connection
from paperpath.receive.content import Content
from paperpath.receive.logins import LOGIN_FIRST, NOT_TAKEN, TOO_MUCH
from paperpath.receive.recipients import Verdict
from paperpath.receive.service import Service
from paperpath.receive.sessions import Sessions
from paperpath.receive.submission import NOT_YOURS, Message
from paperpath.receive.terms import judge
from paperpath.system.clock import now
from paperpath.wire.guard import Offence
from paperpath.wire.intake import Accepted, Submit


class Session(Connection):
    """What a client asks, from its greeting to its end."""

    __slots__ = ("_content", "_sender_address", "_terms")

    def __init__(self, service: Service, name: str, sessions: Sessions) -> None:
        super().__init__(service, name, sessions)
        self._content: Content | None = None
        self._sender_address = b""
        """Of the transaction, with the domain that an account's sender is given."""
        self._terms: MessageTerms | None = None

    # Logins

    def _auth(self, event: AuthGiven) -> None:
        self._login.begin(event, self._transport, self._login_said, secure=self.tls is not None)

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
        elif isinstance(self._machine.question, ClientTold):
            self._refuse(NOT_TAKEN, None, f"XCLIENT: {reason}")
        else:
            self._refuse(said, None, reason)

    # Transactions

    def _sender(self, event: SenderGiven) -> None:
        self._terms = None
        if self._login.is_due:
            self._refuse(LOGIN_FIRST, None, "nobody has logged in")
            return
        sender = self._login.submission.sender(event.address) if self._login.account else event.address
        if sender is None:
            self._refuse(NOT_YOURS, None, f"{show(event.address)} is not one of {self._login.shown}")
            return
        self._sender_address = sender
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
        if 0 < self._machine.config.messages_most <= self._messages:
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
            completed = self._login.submission.complete(message, sender=self._sender_address, now=int(now()))
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

    def _submit(self, content: Content, message: Message, prefix: bytes = b"") -> None:
        machine = self._machine
        submit = Submit(
            ticket=content.next_ticket(),
            sender=self._sender_address,
            recipients=tuple(machine.recipients),
            trace=self._trace() + prefix,
            content=message.content,
            size=message.size,
            origin=" ".join(filter(None, (self._service_name, self._peer, self._login.shown))),
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


Session._handlers = {
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
