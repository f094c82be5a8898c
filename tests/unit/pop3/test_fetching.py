"""Messages whose disk fails, as on NFS: an error that can be said is said, and what breaks off does not look whole."""

import asyncio
import errno
import os
from typing import Any, cast

import pytest

from paperpath.pop3.fetching import LATER, Fetching
from paperpath.pop3.mailboxes import Box, Source
from paperpath.protocol.pop3 import ContentWanted, Event, Pop3Config, Pop3Session
from paperpath.wire.mailbox import NotOpened

STALE = OSError(errno.ESTALE, os.strerror(errno.ESTALE))


class Disk(Source):
    """A message that is read in these pieces."""

    def __init__(self, *pieces: bytes | OSError) -> None:
        self.pieces = list(pieces)
        self.closed = False

    @property
    def size(self) -> int:
        return 4

    def read(self) -> bytes:
        piece = self.pieces.pop(0) if self.pieces else b""
        if isinstance(piece, OSError):
            raise piece
        return piece

    def close(self) -> None:
        self.closed = True


class Stage:
    """A session with one message, and what its owner is asked to do."""

    def __init__(self, answer: Any) -> None:
        self.machine = Pop3Session(Pop3Config(hostname=b"pop.test"))
        self.machine.receive(b"USER a\r\nPASS b\r\n")
        self.machine.opened(1, 4)
        self.machine.take_output()
        self.said = b""
        self.troubles: list[str] = []
        self.lost_for = ""
        self.answer = answer
        self.fetching = Fetching(self, self.machine, cast(Box, self))

    # The owner

    def go_on(self, events: list[Event]) -> None:
        for event in events:
            assert isinstance(event, ContentWanted), event
            self.fetching.content(event)
        self.flush()

    def flush(self) -> None:
        self.said += self.machine.take_output()

    def trouble(self, reason: str) -> None:
        self.troubles.append(reason)

    def lost(self, reason: str) -> None:
        self.lost_for = reason

    # The mailbox

    def ask(self, _question: Any, on_answer: Any) -> None:
        on_answer(self.answer)

    def close(self) -> None: ...


async def retrieved(answer: Any) -> Stage:
    stage = Stage(answer)
    stage.go_on(stage.machine.receive(b"RETR 1\r\n"))
    for _ in range(5):
        await asyncio.sleep(0)
    stage.flush()
    return stage


def test_whole() -> None:
    disk = Disk(b"a\n", b"b\n")
    stage = asyncio.run(retrieved(disk))
    assert stage.said == b"+OK 4 octets\r\na\r\nb\r\n.\r\n"
    assert disk.closed and not stage.lost_for and not stage.troubles


def test_an_error_before_anything_was_said() -> None:
    disk = Disk(STALE)
    stage = asyncio.run(retrieved(disk))
    assert stage.said == f"-ERR {LATER}\r\n".encode()
    assert disk.closed and not stage.lost_for and "Stale file handle" in stage.troubles[0]
    assert stage.machine.question is None


def test_an_error_in_the_middle() -> None:
    stage = asyncio.run(retrieved(Disk(b"\na\n", STALE)))
    assert stage.said == b"+OK 4 octets\r\n\r\na\r\n"
    assert "Stale file handle" in stage.lost_for


@pytest.mark.parametrize("answer", ["the reader is gone", NotOpened("a defect of the reader")])
def test_the_mailbox_breaks_off(answer: Any) -> None:
    stage = asyncio.run(retrieved(answer))
    assert stage.said == b"" and stage.lost_for == (answer if isinstance(answer, str) else answer.reason)


def test_a_client_that_does_not_read_is_waited_for() -> None:
    async def play() -> None:
        disk = Disk(*[b"x\n"] * 100)
        stage = Stage(disk)
        stage.fetching.choke()
        stage.go_on(stage.machine.receive(b"RETR 1\r\n"))
        for _ in range(10):
            await asyncio.sleep(0)
        assert len(disk.pieces) == 99, "one piece is read, to know that it can be"
        stage.fetching.unchoke()
        for _ in range(200):
            await asyncio.sleep(0)
        stage.flush()
        assert stage.said.endswith(b"x\r\n.\r\n") and stage.said.count(b"x") == 100

    asyncio.run(play())
