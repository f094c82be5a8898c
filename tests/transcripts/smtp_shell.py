"""The smallest shell around the SMTP server machine: answers from a script, messages in a list."""

from collections import defaultdict, deque
from dataclasses import dataclass, field

import msgspec

from paperpath.base.reply import Reply, reply
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
    Question,
    RecipientGiven,
    Refusal,
    SenderGiven,
    ServerConfig,
    ServerSession,
    State,
    TlsBegins,
    TransactionDropped,
)

CONFIG = ServerConfig(b"mx.test", 1000, 3, starttls=True, xclient=True, xclient_login=True)

POSITIVE: dict[str, Reply] = {
    "mail": reply(250, "2.1.0", "Sender OK"),
    "rcpt": reply(250, "2.1.5", "Recipient OK"),
    "data": R354_START_INPUT,
    "end": reply(250, "2.0.0", "Accepted"),
    "client": reply(220, "2.0.0", "OK"),
    "auth": reply(235, "2.7.0", "Logged in"),
}

KINDS: dict[type[Question], str] = {
    SenderGiven: "mail",
    RecipientGiven: "rcpt",
    ContentStart: "data",
    ContentEnd: "end",
    ClientTold: "client",
    AuthGiven: "auth",
    AuthResponse: "auth",
}


@dataclass
class Message:
    """One accepted message, as a queue would hold it."""

    sender: bytes
    recipients: tuple[bytes, ...]
    content: bytes
    smtputf8: bool = False
    body: str = "7BIT"
    declared_size: int = 0
    asked: list[str] = field(default_factory=list)
    """What was asked for beside the delivery: ``mail NAME=VALUE ...``, ``rcpt N NAME=VALUE ...``."""


def shown(what: str, terms: msgspec.Struct) -> str:
    """Return the fields that say something, in one line."""
    fields = zip(msgspec.structs.fields(terms), msgspec.structs.astuple(terms), strict=True)
    return " ".join([what, *(f"{field.name}={value!r}" for field, value in fields if value != field.default)])


@dataclass
class Shell:
    """Feeds a session, answers each question from the script, or else positively, and notes what happened.

    ``happened`` is what must not depend on how the input was cut: every event but the parts, whose bytes are joined
    and stand before the end of their content, and are left out where the transaction was dropped.
    """

    session: ServerSession
    script: dict[str, deque[Reply]] = field(default_factory=lambda: defaultdict(deque))
    messages: list[Message] = field(default_factory=list)
    happened: list[Event | bytes] = field(default_factory=list)
    closed: str | None = None
    output: bytes = b""
    _parts: list[bytes] = field(default_factory=list)
    _given: SenderGiven = field(default_factory=lambda: SenderGiven(b""))

    def feed(self, data: bytes) -> None:
        events = self.session.receive(data)
        while (question := self._note(events)) is not None:
            events = self._answer(question)
        self.output += self.session.take_output()

    def secure(self) -> None:
        """Have the handshake done that the client asked for."""
        assert self.session.state is State.SECURING
        self.session.start_over(self.session.config, secure=True)

    def abort(self, with_reply: Reply) -> None:
        self._note(self.session.abort(with_reply))
        self.output += self.session.take_output()

    def _note(self, events: list[Event]) -> Question | None:
        """Check the rules that hold for every list of events, and return the question that it ends with."""
        for i, event in enumerate(events):
            assert self.closed is None, "an event after Closing"
            if isinstance(event, ContentPart):
                assert event.data, "an empty part"
                self._parts.append(event.data)
                continue
            if isinstance(event, TransactionDropped):
                self._parts.clear()
            elif isinstance(event, ContentEnd):
                content = b"".join(self._parts)
                assert event.size == len(content)
                self.happened.append(content)
            elif isinstance(event, Closing):
                self.closed = event.reason
            self.happened.append(event)
            if not isinstance(event, Refusal | Closing | TransactionDropped | TlsBegins | AuthCancelled):
                assert i == len(events) - 1, "an event behind an open question"
                assert self.session.question is event
                return event
        assert self.session.question is None
        return None

    def _answer(self, question: Question) -> list[Event]:
        kind = KINDS[type(question)]
        answer = self.script[kind].popleft() if self.script[kind] else POSITIVE[kind]
        s = self.session
        if isinstance(question, SenderGiven):
            self._given = question
        if isinstance(question, ContentEnd):
            if answer.is_positive:
                assert s.sender is not None
                content = b"".join(self._parts)
                asked = [] if s.asked is None else [shown("mail", s.asked)]
                asked += [shown(f"rcpt {at}", terms) for at, terms in s.recipient_terms.items()]
                self.messages.append(
                    Message(
                        s.sender, tuple(s.recipients), content, s.smtputf8, self._given.body, self._given.size, asked
                    )
                )
            self._parts.clear()
        elif answer.code == 235:
            s.authenticated_at = 1
        return s.answer(answer)
