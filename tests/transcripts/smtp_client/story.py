"""Reads a dialogue of the SMTP client; the README beside it tells the notation."""

from dataclasses import dataclass, field
from pathlib import Path

from paperpath.base.terms import MessageTerms, RecipientTerms
from paperpath.protocol.smtp_commands import parse_mail, parse_rcpt
from paperpath.protocol.smtp_events import RecipientGiven, SenderGiven

FOLDER = Path(__file__).parent


@dataclass(frozen=True)
class Say:
    """The server sends these lines without waiting; ``data`` is all of it."""

    lines: tuple[bytes, ...]

    @property
    def data(self) -> bytes:
        return b"".join(self.lines)


@dataclass(frozen=True)
class Hear:
    """All that the client sends until the server's next turn."""

    data: bytes


@dataclass(frozen=True)
class Begin:
    """A transaction."""

    sender: bytes
    recipients: tuple[bytes, ...]
    options: dict[str, str]

    @property
    def content(self) -> bytes:
        return unescape(self.options.get("content", "Subject: story\\n\\nHello.\\n"))

    @property
    def terms(self) -> MessageTerms | None:
        """What MAIL asks for, at time 0."""
        if "mail" not in self.options:
            return None
        given = parse_mail(b"FROM:<> " + self.options["mail"].encode(), 0, secure=True, authenticated=True)
        assert isinstance(given, SenderGiven) and given.asked is not None, given
        return given.asked.terms(0)

    @property
    def recipient_terms(self) -> tuple[RecipientTerms | None, ...]:
        """What each RCPT asks for."""
        if "rcpt" not in self.options:
            return ()
        given = [parse_rcpt(b"TO:<x> " + words.encode(), True) for words in self.options["rcpt"].split("/")]
        return tuple(one.terms for one in given if isinstance(one, RecipientGiven))


@dataclass(frozen=True)
class Happen:
    """Something else: ``lost``, ``timed out``, ``tls``, ``sent``."""

    what: str


@dataclass(frozen=True)
class Expect:
    """What must be so now."""

    kind: str
    code: str = ""
    words: str = ""

    def fits(self, text: str) -> bool:
        return any(text.endswith(one[:-1]) if one.endswith("$") else one in text for one in self.words.split("|"))


Step = Say | Hear | Begin | Happen | Expect


@dataclass
class Story:
    """One file."""

    name: str
    steps: list[Step] = field(default_factory=list)
    session: dict[str, str] = field(default_factory=dict)

    @property
    def taken(self) -> list[str]:
        """Extensions whose duties the server takes over with what it accepts."""
        return self.session.get("takes", "").split()


def unescape(text: str) -> bytes:
    """Return the bytes that a line means."""
    return text.encode("latin-1").decode("unicode_escape").encode("latin-1")


def read_story(path: Path) -> Story:
    """Read one file.  Raises ValueError where a line is not understood."""
    story = Story(path.stem)
    options: dict[str, str] = {}
    for line in path.read_text().splitlines():
        mark, _, rest = line.partition(" ")
        match mark:
            case "#" | "":
                continue
            case "set":
                name, _, value = rest.partition(" ")
                (story.session if name in ("tls", "lmtp", "bare", "together", "takes") else options)[name] = value
            case "S":
                end = b"\n" if "bare" in story.session else b"\r\n"
                _append(story, Say((unescape(rest) + end,)))
            case "C":
                _append(story, Hear(unescape(rest) + b"\r\n"))
            case ">":
                sender, *recipients = (b"" if word == "<>" else unescape(word) for word in rest.split(" "))
                story.steps.append(Begin(sender, tuple(recipients), options))
                options = {}
            case "!":
                story.steps.append(Happen(rest))
            case "=":
                story.steps.append(Expect(*rest.split(" ", 2)))
            case _:
                raise ValueError(f"{path.name}: {line}")
    return story


def _append(story: Story, step: Say | Hear) -> None:
    """Add a line to the turn that it belongs to."""
    last = story.steps[-1] if story.steps else None
    if isinstance(step, Say) and isinstance(last, Say):
        story.steps[-1] = Say(last.lines + step.lines)
    elif isinstance(step, Hear) and isinstance(last, Hear):
        story.steps[-1] = Hear(last.data + step.data)
    else:
        story.steps.append(step)


def stories() -> list[Story]:
    """Return all of them, by name."""
    return [read_story(path) for path in sorted(FOLDER.glob("*.txt"))]
