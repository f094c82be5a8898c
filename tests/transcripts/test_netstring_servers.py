"""Feed every dialogue in qmtp/ and qmqp/ to its server machine, cut in different ways (see README.md)."""

import random
import re
from dataclasses import dataclass, field
from pathlib import Path

import pytest

from paperpath.protocol.netstring import netstring
from paperpath.protocol.qmqp import Malformed as NoQmqp
from paperpath.protocol.qmqp import QmqpServer, Request, TooLarge
from paperpath.protocol.qmtp import Malformed as NoQmtp
from paperpath.protocol.qmtp import Package, QmtpServer
from tests.transcripts.test_smtp_server import WAYS, pieces, unescape

FILES = sorted(path for kind in ("qmtp", "qmqp") for path in (Path(__file__).parent / kind).glob("*.txt"))
TOO_LONG = "(too long)"


@dataclass
class Told:
    """A package or request: its addresses (None: too long), and its message (None: too large)."""

    addresses: list[bytes | None]
    message: bytes | None = b""


@dataclass
class Story:
    sent: bytes = b""
    limits: dict[str, int] = field(
        default_factory=lambda: {"message": 50, "recipients": 3, "envelope": 200, "address": 20}
    )
    told: list[Told] = field(default_factory=list)
    answers: list[bytes] = field(default_factory=list)
    said: bytes = b""
    closed: str | None = None


def read(path: Path) -> Story:
    story = Story()
    for line in path.read_bytes().splitlines():
        key, _, value = line.partition(b" ")
        text = value.decode()
        if key == b"C>":
            story.sent += unescape(value)
        elif key == b"C:":
            story.sent += netstring(unescape(value))
        elif key == b"Limits:":
            story.limits |= {name: int(number) for name, number in (word.split("=") for word in text.split())}
        elif key == b"Told:":
            found = [one or TOO_LONG for one in re.findall(r"<([^>]*)>|\(too long\)", text.replace("<>", "<\\>"))]
            addresses = [
                None if one == TOO_LONG else unescape(one.replace("\\>", "").removesuffix("\\").encode())
                for one in found
            ]
            story.told.append(Told(addresses, None if text.endswith("[too large]") else b""))
        elif key in (b"|", b"|>"):
            message = story.told[-1].message
            assert message is not None
            story.told[-1].message = message + unescape(value) + b"\n" * (key == b"|")
        elif key == b"A:":
            story.answers.append(value)
        elif key == b"S:":
            story.said += netstring(value)
        elif key == b"Closed:":
            story.closed = text
        else:
            assert key in (b"", b"#"), f"{path.name}: {line!r}"
    return story


@dataclass
class Seen:
    """What came of a dialogue."""

    told: list[Told] = field(default_factory=list)
    said: bytes = b""
    closed: str | None = None


def play_qmtp(story: Story, cut: list[bytes]) -> Seen:
    limits = story.limits
    server = QmtpServer(
        message_most_bytes=limits["message"],
        recipients_most=limits["recipients"],
        envelope_most_bytes=limits["envelope"],
        address_most_bytes=limits["address"],
    )
    seen, message, answers = Seen(), b"", iter(story.answers)
    for piece in cut:
        events = server.receive(piece)
        while events:
            again = []
            for event in events:
                if isinstance(event, bytes):
                    message += event
                elif isinstance(event, NoQmtp):
                    seen.closed = event.reason
                else:
                    assert isinstance(event, Package)
                    seen.told.append(Told([event.sender, *event.recipients], None if event.is_too_large else message))
                    message = b""
                    again = server.answer([next(answers) for _ in event.recipients])
            events = again
        seen.said += server.take_output()
    return seen


def play_qmqp(story: Story, cut: list[bytes]) -> Seen:
    server = QmqpServer(message_most_bytes=story.limits["message"], envelope_most_bytes=story.limits["envelope"])
    seen, message = Seen(), b""
    for piece in cut:
        for event in server.receive(piece):
            if isinstance(event, bytes):
                message += event
            elif isinstance(event, NoQmqp):
                seen.closed = event.reason
            elif isinstance(event, TooLarge):
                seen.told.append(Told([], None))
            else:
                assert isinstance(event, Request)
                seen.told.append(Told([event.sender, *event.recipients], message))
    return seen


@pytest.mark.parametrize("path", FILES, ids=lambda path: f"{path.parent.name}-{path.stem}")
def test_dialogue(path: Path) -> None:
    story = read(path)
    play = play_qmtp if path.parent.name == "qmtp" else play_qmqp
    for way in WAYS:
        for seed in range(20 if way == "random" else 1):
            cut = list(pieces(story.sent, way, random.Random(f"{path.name} {seed}")))
            assert play(story, cut) == Seen(story.told, story.said, story.closed), way


def test_there_are_dialogues() -> None:
    assert len(FILES) >= 20
