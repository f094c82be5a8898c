"""Feed every dialogue in smtp/ and lmtp/ to the SMTP server machine, cut in different ways (see README.md)."""

import random
import re
from collections import defaultdict, deque
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path

import pytest

from paperpath.base.reply import Reply
from paperpath.protocol.smtp_server import Refusal, ServerConfig, ServerSession
from tests.transcripts.smtp_shell import Message, Shell

FILES = sorted(path for kind in ("smtp", "lmtp") for path in (Path(__file__).parent / kind).glob("*.txt"))
MECHANISMS = (b"SCRAM-SHA-256-PLUS", b"SCRAM-SHA-256", b"PLAIN", b"LOGIN")
WAYS = ("once", "step", "line", "byte", "random")

_REPEAT = re.compile(rb"\\\*(\d+)\{([^}]*)\}")
_ESCAPE = re.compile(rb"\\(?:x([0-9a-fA-F]{2})|([rnt0\\]))")
_ONE_BYTE = {b"r": b"\r", b"n": b"\n", b"t": b"\t", b"0": b"\0", b"\\": b"\\"}


def unescape(text: bytes) -> bytes:
    text = _REPEAT.sub(lambda m: m[2] * int(m[1]), text)
    return _ESCAPE.sub(lambda m: bytes([int(m[1], 16)]) if m[1] else _ONE_BYTE[m[2]], text)


@dataclass
class Step:
    sent: bytes = b""
    expected: list[bytes] = field(default_factory=list)
    secured: bool = False
    """Whether it comes over TLS that is new."""


@dataclass
class Story:
    steps: list[Step] = field(default_factory=lambda: [Step()])
    ways: tuple[str, ...] = WAYS
    lmtp: bool = False
    limits: dict[str, int] = field(default_factory=lambda: {"size": 1000, "recipients": 3})
    script: list[tuple[str, Reply]] = field(default_factory=list)
    messages: list[Message] = field(default_factory=list)
    refused: list[str] | None = None
    closed: str | None = None

    def send(self, octets: bytes) -> None:
        if self.steps[-1].expected:
            self.steps.append(Step())
        self.steps[-1].sent += octets

    def secure(self) -> None:
        self.steps.append(Step(secured=True))

    def expect(self, line: bytes) -> None:
        self.steps[-1].expected.append(line)

    def answer(self, text: str) -> None:
        kind, code, rest = text.split(" ", 2)
        status, _, words = rest.partition(" ")
        made = Reply(334, "", (rest,)) if code == "334" else Reply(int(code), status, (words,))
        self.script.append((kind, made))

    def expect_message(self, text: str) -> None:
        paths = [unescape(path.encode()) for path in re.findall(r"<([^>]*)>", text)]
        message = Message(paths[0], tuple(paths[1:]), b"", "[smtputf8]" in text)
        if "[8bitmime]" in text:
            message.body = "8BITMIME"
        if size := re.search(r"\[size=(\d+)\]", text):
            message.declared_size = int(size[1])
        self.messages.append(message)

    def expect_content(self, octets: bytes) -> None:
        self.messages[-1].content += octets

    def expect_refusal(self, reason: str) -> None:
        self.refused = [*(self.refused or []), reason]


def read(path: Path) -> Story:
    story = Story(lmtp=path.parent.name == "lmtp")
    for number, line in enumerate(path.read_bytes().splitlines(), start=1):
        key, _, value = line.partition(b" ")
        text = value.decode()
        actions: dict[bytes, Callable[[], None]] = {
            b"": lambda: None,
            b"#": lambda: None,
            b"C:": lambda: story.send(unescape(value) + b"\r\n"),  # noqa: B023 - called in this turn
            b"C>": lambda: story.send(unescape(value)),  # noqa: B023
            b"T:": lambda: story.secure(),
            b"S:": lambda: story.expect(value),  # noqa: B023
            b"A:": lambda: story.answer(text),  # noqa: B023
            b"Feed:": lambda: setattr(story, "ways", tuple(text.split(", "))),  # noqa: B023
            b"Limits:": lambda: story.limits.update(
                {name: int(number) for name, number in (word.split("=") for word in text.split())}  # noqa: B023
            ),
            b"Message:": lambda: story.expect_message(text),  # noqa: B023
            b"|": lambda: story.expect_content(unescape(value) + b"\n"),  # noqa: B023
            b"|>": lambda: story.expect_content(unescape(value)),  # noqa: B023
            b"Asked:": lambda: story.messages[-1].asked.append(text),  # noqa: B023
            b"Refused:": lambda: story.expect_refusal(text),  # noqa: B023
            b"Closed:": lambda: setattr(story, "closed", text),  # noqa: B023
        }
        assert key in actions, f"{path.name}:{number}: {line!r}"
        actions[key]()
    assert set(story.ways) <= set(WAYS), story.ways
    return story


def pieces(octets: bytes, way: str, chance: random.Random) -> Iterator[bytes]:
    if way == "byte":
        yield from (octets[i : i + 1] for i in range(len(octets)))
    elif way == "line":
        yield from octets.splitlines(keepends=True)
    elif way == "random":
        cuts = sorted(chance.randrange(len(octets) + 1) for _ in range(chance.randrange(1, 12)))
        yield from (octets[a:b] for a, b in zip([0, *cuts], [*cuts, len(octets)], strict=True))
    else:
        yield octets


def check_replies(said: bytes, expected: list[bytes]) -> None:
    lines = said.split(b"\r\n")
    assert lines.pop() == b"", "a reply without CR LF"
    wanted = [] if expected == [b"(nothing)"] else expected
    shown = [
        line[: len(want) - 3] + b"..." if want.endswith(b" ...") and line.startswith(want[:-3]) else line
        for line, want in zip(lines, wanted + [b""] * (len(lines) - len(wanted)), strict=False)
    ]
    assert shown == wanted


def play(story: Story, way: str, chance: random.Random) -> Shell:
    config = ServerConfig(
        b"mx.test",
        story.limits["size"],
        story.limits["recipients"],
        starttls=bool(story.limits.get("starttls")),
        xclient=bool(story.limits.get("xclient")),
        xclient_login=story.limits.get("xclient") == 2,
        mechanisms=MECHANISMS if story.limits.get("auth") else (),
        mechanisms_in_clear=MECHANISMS[1 : (1, 2, 4)[story.limits.get("auth", 0)]],
        lmtp=story.lmtp,
        messages_most=story.limits.get("messages", 0),
    )
    shell = Shell(ServerSession(config), defaultdict(deque))
    shell.session.secure = bool(story.limits.get("tls"))
    shell.session.authenticated_at = story.limits.get("login", 0)
    for kind, reply in story.script:
        shell.script[kind].append(reply)
    steps = [step for step in story.steps if step.sent]
    greeting = [] if story.steps[0].sent else story.steps[0].expected
    shell.feed(b"")
    if greeting:
        check_replies(shell.output, greeting)
    if way == "once":
        expected = [line for step in steps for line in step.expected if line != b"(nothing)"]
        steps = [Step(b"".join(step.sent for step in steps), expected)]
    for step in steps:
        shell.output = b""
        if step.secured:
            shell.secure()
        for piece in pieces(step.sent, way, chance):
            shell.feed(piece)
        check_replies(shell.output, step.expected)
    return shell


@pytest.mark.parametrize("path", FILES, ids=lambda path: f"{path.parent.name}-{path.stem}")
def test_dialogue(path: Path) -> None:
    story = read(path)
    seen = []
    for way in story.ways:
        for seed in range(20 if way == "random" else 1):
            shell = play(story, way, random.Random(f"{path.name} {seed}"))
            assert shell.messages == story.messages, way
            assert shell.closed == story.closed, way
            if story.refused is not None:
                reasons = [event.reason for event in shell.happened if isinstance(event, Refusal)]
                assert reasons == story.refused, way
            assert not any(shell.script.values()), "an answer that nobody asked for"
            seen.append(shell.happened)
    assert all(happened == seen[0] for happened in seen), "the cut changed what happened"


def test_there_are_dialogues() -> None:
    assert len(FILES) >= 40
