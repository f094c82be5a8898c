"""The POP3 dialogues: how a file is read, and the smallest shell around the machine, with its mailbox in a list."""

import base64
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

from paperpath.base.limits import MAILBOX_PAGE_MESSAGES
from paperpath.protocol.pop3 import (
    Closing,
    ContentWanted,
    Event,
    LoginAbandoned,
    LoginGiven,
    PageWanted,
    Pop3Config,
    Pop3Session,
    ResponseGiven,
    TlsWanted,
    UpdateWanted,
)
from tests.transcripts.test_smtp_server import unescape

WAYS = ("once", "step", "line", "byte", "random")
_PIECE_BYTES = 7
"""Content comes in pieces of this size: some line end is always cut in two."""


@dataclass
class Mail:
    """One message as it is stored."""

    unique_id: bytes
    content: bytes = b""


@dataclass
class Shell:
    """Feeds a session, answers each question from the script, and notes what happened."""

    session: Pop3Session = field(compare=False)
    secured: Pop3Config
    mails: list[Mail] = field(default_factory=list)
    gone: set[int] = field(default_factory=set)
    kept: int = 0
    answers: deque[str] = field(default_factory=deque)
    logins: list[tuple[str, bytes | None]] = field(default_factory=list)
    marked: list[int] | None = None
    abandoned: int = 0
    closed: str | None = None
    output: bytes = b""

    def feed(self, data: bytes) -> None:
        """Feed input, and answer all that follows from it."""
        events = self.session.receive(data)
        while events:
            assert self.closed is None, "an event after Closing"
            more: list[Event] = []
            for event in events:
                assert self.session.question in {None, event} or not isinstance(event, LoginGiven)
                more += self._handle(event)
            events = more
        self.output += self.session.take_output()

    def _handle(self, event: Event) -> list[Event]:
        session = self.session
        match event:
            case LoginGiven(mechanism, initial):
                self.logins.append((mechanism, initial))
                return self._log_in()
            case ResponseGiven(data):
                self.logins.append(("", data))
                return self._log_in()
            case LoginAbandoned():
                self.abandoned += 1
            case TlsWanted():
                return session.secured(self.secured)
            case PageWanted(first):
                page = self.mails[first - 1 : first - 1 + MAILBOX_PAGE_MESSAGES]
                return session.page(first, tuple(len(m.content) for m in page), tuple(m.unique_id for m in page))
            case ContentWanted(number):
                return self._send(number)
            case UpdateWanted(marks):
                assert self.marked is None
                bits = int.from_bytes(marks, "little")
                self.marked = [number for number in range(1, len(self.mails) + 1) if bits >> (number - 1) & 1]
                return session.updated(self.kept)
            case Closing(reason):
                self.closed = reason
        return []

    def _log_in(self) -> list[Event]:
        answer, _, rest = (self.answers.popleft() if self.answers else "ok").partition(" ")
        if answer == "challenge":
            return self.session.challenge(base64.b64decode(rest))
        if answer == "ok":
            return self.session.opened(len(self.mails), sum(len(mail.content) for mail in self.mails))
        return self.session.refuse_login(rest, failed=answer == "failed")

    def _send(self, number: int) -> list[Event]:
        if number in self.gone:
            return self.session.no_content("The message is gone")
        content = self.mails[number - 1].content
        self.session.begin_content(len(content))
        for at in range(0, len(content), _PIECE_BYTES):
            if not self.session.content(content[at : at + _PIECE_BYTES]):
                break
        return self.session.end_content()


@dataclass
class Step:
    sent: bytes = b""
    expected: list[bytes] = field(default_factory=list)


@dataclass
class Story:
    """What a file says."""

    steps: list[Step] = field(default_factory=lambda: [Step()])
    ways: tuple[str, ...] = WAYS
    offers: str = ""
    secured: str = ""
    mails: list[Mail] = field(default_factory=list)
    gone: set[int] = field(default_factory=set)
    kept: int = 0
    answers: list[str] = field(default_factory=list)
    logins: list[tuple[str, bytes | None]] | None = None
    marked: list[int] | None = None
    abandoned: int = 0
    closed: str | None = None

    def send(self, octets: bytes) -> None:
        """Add input to the step, or begin the next."""
        if self.steps[-1].expected:
            self.steps.append(Step())
        self.steps[-1].sent += octets

    def shell(self) -> Shell:
        """Return a shell for the machine that it is about, with all that it knows."""
        session = Pop3Session(config(self.offers))
        return Shell(session, config(self.secured), self.mails, self.gone, self.kept, deque(self.answers))


def config(words: str) -> Pop3Config:
    """Return what ``apop stls nopass PLAIN SCRAM-SHA-256 logins=2`` offers."""
    mechanisms = tuple(word for word in words.split() if word.isupper() or (word[-1].isdigit() and "=" not in word))
    logins = [int(word.partition("=")[2]) for word in words.split() if word.startswith("logins=")]
    return Pop3Config(
        hostname=b"pop.test",
        timestamp=b"<1.2@pop.test>" if "apop" in words else b"",
        passwords="nopass" not in words,
        mechanisms=mechanisms,
        stls="stls" in words,
        logins_most=logins[0] if logins else 3,
    )


def read(path: Path) -> Story:
    """Read a file; the marks are told in README.md."""
    story = Story()

    def expect_login(value: bytes) -> None:
        mechanism, space, initial = value.partition(b" ")
        login = mechanism.decode().strip("-"), unescape(initial) if space else None
        story.logins = [*(story.logins or []), login]

    def add_line(octets: bytes) -> None:
        story.mails[-1].content += octets

    actions: dict[bytes, Callable[[bytes], object]] = {
        b"": lambda _: None,
        b"#": lambda _: None,
        b"C:": lambda value: story.send(unescape(value) + b"\r\n"),
        b"C>": lambda value: story.send(unescape(value)),
        b"S:": lambda value: story.steps[-1].expected.append(value),
        b"A:": lambda value: story.answers.append(value.decode()),
        b"Feed:": lambda value: setattr(story, "ways", tuple(value.decode().split(", "))),
        b"Offers:": lambda value: setattr(story, "offers", value.decode()),
        b"Secured:": lambda value: setattr(story, "secured", value.decode()),
        b"Mail:": lambda value: story.mails.append(Mail(value)),
        b"|": lambda value: add_line(unescape(value) + b"\n"),
        b"|>": lambda value: add_line(unescape(value)),
        b"Mails:": lambda value: story.mails.extend(Mail(b"u%d" % n, b"x") for n in range(1, int(value) + 1)),
        b"Gone:": lambda value: story.gone.add(int(value)),
        b"Kept:": lambda value: setattr(story, "kept", int(value)),
        b"Login:": expect_login,
        b"Abandoned:": lambda value: setattr(story, "abandoned", int(value)),
        b"Marked:": lambda value: setattr(story, "marked", [int(word) for word in value.split()]),
        b"Closed:": lambda value: setattr(story, "closed", value.decode()),
    }
    for number, line in enumerate(path.read_bytes().splitlines(), start=1):
        key, _, value = line.partition(b" ")
        assert key in actions, f"{path.name}:{number}: {line!r}"
        actions[key](value)
    assert set(story.ways) <= set(WAYS), story.ways
    return story
