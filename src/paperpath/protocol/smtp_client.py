"""SMTP client (RFC 5321): one connection, any number of transactions.  Replies in, commands out, no I/O.

The owner feeds what arrives to ``receive``, sends what ``take_output`` returns, keeps the clock of the current
``phase`` (`LIMITS`; it starts again whenever ``steps`` changes), and hands over a `Transaction` when that is READY.

Every recipient ends with exactly one outcome.  What the server did not clearly say is `Deferred`; after the end of
data was sent that may mean a duplicate, and the outcome says so.

RFC 5321 4.5.3.1.10: 452 and 552 to RCPT mean "too many recipients" once another one was taken; the rest go again in a
transaction of their own.

LMTP (RFC 2033) is the same with LHLO, and with a reply to the end of data for each recipient that was taken.
"""

from paperpath.base.outcome import Deferred, Delivered, Failed, Outcome
from paperpath.protocol.smtp_client_conversation import ClientConversation
from paperpath.protocol.smtp_client_data import DataEncoder, encode_data
from paperpath.protocol.smtp_client_events import (
    PROTOCOL_ERROR,
    Event,
    Finished,
    Phase,
    SendContent,
    Transaction,
)
from paperpath.protocol.smtp_client_grammar import wire_path
from paperpath.protocol.smtp_client_terms import (
    is_termed,
    mail_parameters,
    obstacle,
    one_round,
    recipient_parameters,
)
from paperpath.protocol.smtp_replies import PeerReply

_NOT_ASCII = "6.7"  # RFC 6531 3.5
_TOO_BIG = "3.4"  # RFC 1870 6.1
_TOO_MANY_RECIPIENTS = (452, 552)


class SmtpClient(ClientConversation):
    """One connection.  ``host`` is the server's name as outcomes show it."""

    __slots__ = (
        "_accepted", "_again", "_decided", "_mail", "_mails", "_needs_reset", "_outcomes", "_rcpt_at", "_rcpts",
        "_round", "_takes", "_transaction",
    )  # fmt: skip

    def __init__(self, helo: str, host: str, *, want_tls: bool, lmtp: bool = False) -> None:
        super().__init__(helo, host, want_tls=want_tls, lmtp=lmtp)
        self._decided = 0  # of those accepted, how many the end of data was answered for
        self._transaction: Transaction | None = None
        self._outcomes: list[Outcome | None] = []
        self._rcpts: list[bytes] = []
        self._round: list[int] = []
        self._accepted: list[int] = []
        self._again: list[int] = []
        self._mail = b""
        self._mails = 0
        self._takes = (False, False)
        self._rcpt_at = 0
        self._needs_reset = False

    @property
    def is_exhausted(self) -> bool:
        """Whether the server takes no more mail on this connection (RFC 9422 4.1)."""
        return 0 < self._capabilities.mails_most <= self._mails

    def encoder(self) -> DataEncoder:
        """Return what content is sent by."""
        return DataEncoder()

    def begin(self, transaction: Transaction) -> list[Event]:
        """Start a transaction; the phase must be READY.  It may be over at once."""
        assert self.phase is Phase.READY
        self._transaction = transaction
        self._replies = 0
        self._again = []
        self.steps += 1
        obstacle = self._prepare(transaction)
        events: list[Event] = []
        if obstacle is not None:
            self._outcomes = [obstacle] * len(transaction.recipients)
        if self._round:
            self._start_round()
        else:
            self._finish(events)
        return events

    def content_sent(self) -> None:
        """The owner has sent the whole content with its end."""
        if self.phase is Phase.CONTENT:
            self._to(Phase.END_OF_DATA)

    def _transaction_cut(self, deferred: Deferred, events: list[Event]) -> None:
        outcomes = tuple(deferred if outcome is None else outcome for outcome in self._outcomes)
        self._transaction = None
        events.append(Finished(outcomes, untouched=self._replies == 0))

    # The transaction: MAIL, RCPT, DATA, content.

    def _prepare(self, transaction: Transaction) -> Outcome | None:
        """Lay out the transaction, or return why no recipient can have it."""
        self._outcomes = [None] * len(transaction.recipients)
        self._rcpts = []
        self._round = []
        sender = wire_path(transaction.sender)
        if sender is None:
            return Failed("the sender's address cannot be written in SMTP", code="1.7")
        offered = self._capabilities
        utf8 = transaction.smtputf8 or not sender.isascii()
        termed = is_termed(transaction)
        self._takes = termed and offered.dsn, termed and offered.deliver_by
        for index, recipient in enumerate(transaction.recipients):
            path = wire_path(recipient) or b""
            self._rcpts.append(b"RCPT TO:<%b>%b\r\n" % (path, self._asked_for(index) if termed else b""))
            if path:
                self._round.append(index)
                utf8 = utf8 or not path.isascii()
            else:
                self._outcomes[index] = Failed("the recipient's address cannot be written in SMTP", code="1.3")
        obstacle = self._obstacle(transaction, utf8=utf8)
        if obstacle is not None:
            self._round = []
            return obstacle
        # RFC 1870 6.2: the declared size may be an estimate; line ends grow on the wire and are not counted here.
        size = b" SIZE=%d" % transaction.size if offered.size else b""
        body = b" BODY=8BITMIME" if offered.eight_bit and transaction.eight_bit else b""
        more = mail_parameters(transaction, offered, secure=self._secure) if termed else b""
        self._mail = b"MAIL FROM:<%b>%b%b%b%b\r\n" % (sender, size, body, b" SMTPUTF8" if utf8 else b"", more)
        return None

    def _asked_for(self, index: int) -> bytes:
        transaction = self._transaction
        assert transaction is not None
        terms = transaction.recipient_terms[index] if transaction.recipient_terms else None
        return recipient_parameters(transaction.terms, terms, self._capabilities)

    def _obstacle(self, transaction: Transaction, *, utf8: bool) -> Failed | None:
        offered = self._capabilities
        if transaction.terms is not None:
            found = obstacle(transaction, transaction.terms, offered, secure=self._secure)
            if found is not None:
                return Failed(found[0], self.host, found[1])
        if utf8 and not offered.smtputf8:
            return Failed("the server does not take internationalized mail", self.host, _NOT_ASCII)
        if 0 < offered.size_most < transaction.size:
            text = f"the message has {transaction.size} bytes and the server takes {offered.size_most}"
            return Failed(text, self.host, _TOO_BIG)
        return None

    def _start_round(self) -> None:
        offered = self._capabilities
        if offered.recipients_most or offered.recipient_domains_most:
            assert self._transaction is not None
            self._round, self._again = one_round(self._round, self._transaction.recipients, offered)
        self._accepted = []
        self._decided = 0
        self._rcpt_at = 0
        self._mails += 1
        self.phase = Phase.RESET if self._needs_reset else Phase.MAIL
        output = self._output
        output.append(b"RSET\r\n" if self._needs_reset else self._mail)
        if self._capabilities.pipelining:  # RFC 2920 3.1: the whole envelope in one group
            if self._needs_reset:
                output.append(self._mail)
            output.extend([self._rcpts[index] for index in self._round])
            output.append(b"DATA\r\n")

    def _on_reset(self, reply: PeerReply, events: list[Event]) -> None:
        if reply.kind != 2:
            self._end(reply.text(), reply.enhanced() or PROTOCOL_ERROR, events)
            return
        self._needs_reset = False
        self._to(Phase.MAIL)
        if not self._capabilities.pipelining:
            self._output.append(self._mail)

    def _on_mail(self, reply: PeerReply, events: list[Event]) -> None:
        if reply.kind == 3:
            self._unexpected(reply, events)
            return
        self._replies += 1
        pipelining = self._capabilities.pipelining
        if reply.kind != 2:
            self._settle(self._round, self._refusal(reply, " (in reply to MAIL)"))
            if not pipelining:
                self._next_round(events)
                return
        self._to(Phase.RCPT)
        if not pipelining:
            self._output.append(self._rcpts[self._round[0]])

    def _on_rcpt(self, reply: PeerReply, events: list[Event]) -> None:
        if reply.kind == 3:
            self._unexpected(reply, events)
            return
        self._replies += 1
        index = self._round[self._rcpt_at]
        self._rcpt_at += 1
        if self._outcomes[index] is None:  # else MAIL was refused, and this follows from it
            self._judge_recipient(index, reply)
        if self._rcpt_at == len(self._round):
            self._after_recipients(events)
        elif not self._capabilities.pipelining:
            self._output.append(self._rcpts[self._round[self._rcpt_at]])

    def _judge_recipient(self, index: int, reply: PeerReply) -> None:
        if reply.kind == 2:
            self._accepted.append(index)
        elif reply.code in _TOO_MANY_RECIPIENTS and self._accepted:
            self._again.append(index)
        else:
            self._outcomes[index] = self._refusal(reply, "", temporary=reply.code in _TOO_MANY_RECIPIENTS)

    def _after_recipients(self, events: list[Event]) -> None:
        self._needs_reset = True  # until the end of data is answered, the server holds a transaction
        if self._capabilities.pipelining or self._accepted:
            self._to(Phase.DATA)
            if not self._capabilities.pipelining:
                self._output.append(b"DATA\r\n")
        else:
            self._next_round(events)

    def _on_data(self, reply: PeerReply, events: list[Event]) -> None:
        if reply.kind == 2:
            self._unexpected(reply, events)
        elif reply.kind != 3:
            self._settle(self._accepted, self._refusal(reply, " (in reply to DATA)"))
            self._next_round(events)
        elif self._accepted:
            self._send_content(events)
        elif self._lmtp:  # RFC 2033 4.2 forbids that, and nothing would answer the end of it
            self._unexpected(reply, events)
        else:  # RFC 2920 3.1: 354 although no recipient was taken
            self._output.append(b".\r\n")
            self._to(Phase.EMPTY_END)

    def _send_content(self, events: list[Event]) -> None:
        assert self._transaction is not None
        content = self._transaction.content
        if content is None:
            self._to(Phase.CONTENT)
            events.append(SendContent())
        else:
            self._output.append(encode_data(content))
            self._to(Phase.END_OF_DATA)

    def _on_content(self, reply: PeerReply, events: list[Event]) -> None:
        """The server answers before the end.  A refusal counts, but what follows could not be told apart any more."""
        if reply.kind < 4:
            self._unexpected(reply, events)
            return
        self._settle(self._accepted, self._refusal(reply, " (while the content was sent)"))
        self._end(reply.text(), PROTOCOL_ERROR, events)

    def _on_end_of_data(self, reply: PeerReply, events: list[Event]) -> None:
        if reply.kind == 3:
            self._unexpected(reply, events)
            return
        answered = [self._accepted[self._decided]] if self._lmtp else self._accepted
        if reply.kind == 2:
            self._settle(answered, Delivered(reply.text(), self.host, reply.enhanced() or "0.0", *self._takes))
        else:
            self._settle(answered, self._refusal(reply, " (in reply to the end of data)"))
        self._decided += len(answered)
        if self._decided == len(self._accepted):
            self._needs_reset = False
            self._next_round(events)

    def _on_empty_end(self, reply: PeerReply, events: list[Event]) -> None:
        if reply.kind == 3:
            self._unexpected(reply, events)
            return
        self._needs_reset = False
        self._next_round(events)

    def _settle(self, indexes: list[int], outcome: Outcome) -> None:
        for index in indexes:
            self._outcomes[index] = outcome

    def _refusal(self, reply: PeerReply, note: str, *, temporary: bool = False) -> Deferred | Failed:
        make = Failed if reply.kind == 5 and not temporary else Deferred
        return make(reply.text(note), self.host, reply.enhanced() or "0.0")

    def _next_round(self, events: list[Event]) -> None:
        """This transaction is over: recipients that were one too many go again, else all have their outcome."""
        if self._again:
            self._round, self._again = self._again, []
            self._start_round()
        else:
            self._finish(events)

    def _finish(self, events: list[Event]) -> None:
        self._to(Phase.READY)
        self._transaction = None
        outcomes = tuple(outcome for outcome in self._outcomes if outcome is not None)
        assert len(outcomes) == len(self._outcomes)
        events.append(Finished(outcomes))


SmtpClient._handlers = {
    Phase.GREETING: SmtpClient._on_greeting,
    Phase.EHLO: SmtpClient._on_ehlo,
    Phase.HELO: SmtpClient._on_helo,
    Phase.STARTTLS: SmtpClient._on_starttls,
    Phase.UPGRADING: SmtpClient._unexpected,
    Phase.READY: SmtpClient._unexpected,
    Phase.RESET: SmtpClient._on_reset,
    Phase.MAIL: SmtpClient._on_mail,
    Phase.RCPT: SmtpClient._on_rcpt,
    Phase.DATA: SmtpClient._on_data,
    Phase.CONTENT: SmtpClient._on_content,
    Phase.END_OF_DATA: SmtpClient._on_end_of_data,
    Phase.EMPTY_END: SmtpClient._on_empty_end,
    Phase.QUIT: SmtpClient._on_quit,
}
