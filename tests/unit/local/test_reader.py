"""A reader in this process: who is admitted where, one request at a time, when it is let go."""

import asyncio
import os
import socket
import threading
from collections.abc import Callable, Coroutine
from pathlib import Path
from typing import Any, cast

import msgspec
import pytest

from paperpath.local import reader as module
from paperpath.local import readers as readers_module
from paperpath.local.lookup import CannotTell
from paperpath.local.mailbox import Mailbox
from paperpath.local.reader import Reader
from paperpath.local.readers import Readers, _Living
from paperpath.system.channel import Channel
from paperpath.telemetry.log import Log
from paperpath.wire.frame import FrameBuffer, encode
from paperpath.wire.mailbox import (
    Admit,
    Describe,
    Description,
    FromMailbox,
    FromReader,
    Idle,
    MessageNotOpened,
    Opened,
    OpenMessage,
    Update,
    Updated,
)


class Talk:
    """The other end of a conversation."""

    def __init__(self, sock: socket.socket, types: Any) -> None:
        self.sock = sock
        sock.setblocking(False)
        self._frames = FrameBuffer()
        self._bodies: list[memoryview] = []
        self._decode = msgspec.msgpack.Decoder(types).decode

    def send(self, *frames: msgspec.Struct) -> None:
        self.sock.sendall(b"".join(map(encode, frames)))

    async def receive(self) -> Any:
        """Return the next frame, None at the end."""
        while not self._bodies:
            try:
                data = await asyncio.wait_for(asyncio.get_running_loop().sock_recv(self.sock, 65536), 30)
            except ConnectionError:  # hung up on, with something unread
                return None
            if not data:
                return None
            self._bodies += self._frames.feed(data)
        return self._decode(self._bodies.pop(0))


class Stage:
    """A reader, and this side of its conversations."""

    def __init__(self, folder: Path) -> None:
        ours, theirs = socket.socketpair()
        self.lines: list[bytes] = []
        self.reader = Reader(theirs, str(folder), Log("reader", self.lines.append, lambda: 0.0))
        self.root = Talk(ours, FromReader)
        self.talks: list[Talk] = []
        self.folder = folder

    def admit(self, home: str) -> Talk:
        ours, theirs = socket.socketpair()
        socket.send_fds(self.root.sock, [encode(Admit(home))], [theirs.fileno()])
        theirs.close()
        self.talks.append(Talk(ours, FromMailbox))
        return self.talks[-1]


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    for name in ("tmp", "new", "cur"):
        (tmp_path / "joe/Maildir" / name).mkdir(parents=True)
    (tmp_path / "joe/Maildir/new/1.a").write_bytes(b"x\n")
    return tmp_path


def play(folder: Path, scene: Callable[[Stage], Coroutine[Any, Any, None]]) -> None:
    async def run() -> None:
        stage = Stage(folder)
        await scene(stage)
        for talk in (stage.root, *stage.talks):
            talk.sock.close()
        await asyncio.wait_for(stage.reader.serve(), 30)

    asyncio.run(run())


def test_a_conversation(folder: Path) -> None:
    async def scene(stage: Stage) -> None:
        talk = stage.admit(f"{folder}/joe")
        assert await talk.receive() == Opened(1, 2)
        talk.send(Describe(1))
        assert await talk.receive() == Description(1, (2,), (b"1.a",))
        talk.send(OpenMessage(2))
        assert await talk.receive() == MessageNotOpened(2, gone=False, reason="there is no such message")
        talk.send(Update(b"\x01"))
        assert await talk.receive() == Updated(1, 0, "")
        assert await talk.receive() is None

    play(folder, scene)
    assert os.listdir(folder / "joe/Maildir/new") == []


@pytest.mark.parametrize("home", ["/", "/etc", "{0}/../{1}/joe", "{0}x/joe", "{0}/joe/.", "{0}/jo\0e", ""])
def test_a_home_outside_the_folder(folder: Path, home: str) -> None:
    async def scene(stage: Stage) -> None:
        talk = stage.admit(home.format(folder, folder.name))
        assert await talk.receive() is None
        assert await stage.root.receive() is None

    play(folder, scene)


@pytest.mark.parametrize("early", [(Describe(1),), (OpenMessage(1), OpenMessage(1)), (Update(b""), Update(b"\x01"))])
def test_out_of_turn(folder: Path, early: tuple[msgspec.Struct, ...], monkeypatch: pytest.MonkeyPatch) -> None:
    """Whoever does not wait for an answer is hung up on: what he asks first is held back until all has arrived."""
    may_go_on = threading.Event()

    class Slow(Mailbox):
        def __init__(self, *given: Any) -> None:
            if len(early) == 1:
                may_go_on.wait(30)
            super().__init__(*given)

        def open(self, number: int) -> int:
            may_go_on.wait(30)
            return super().open(number)

        def update(self, marked: bytes) -> Any:
            may_go_on.wait(30)
            return super().update(marked)

    monkeypatch.setattr(module, "Mailbox", Slow)

    async def scene(stage: Stage) -> None:
        talk = stage.admit(f"{folder}/joe")
        if len(early) > 1:
            assert await talk.receive() == Opened(1, 2)
        talk.send(*early)
        assert await talk.receive() is None
        may_go_on.set()

    play(folder, scene)
    assert (folder / "joe/Maildir").exists()


def test_a_question_that_makes_no_sense(folder: Path) -> None:
    async def scene(stage: Stage) -> None:
        for number in (0, 2, -1):
            talk = stage.admit(f"{folder}/joe")
            assert await talk.receive() == Opened(1, 2)
            talk.send(Describe(number))
            assert await talk.receive() is None
        assert not stage.lines, "that is no defect of ours"

    play(folder, scene)


def test_it_says_when_it_has_no_mailbox(folder: Path) -> None:
    async def scene(stage: Stage) -> None:
        for number in (1, 2):
            talk = stage.admit(f"{folder}/joe")
            assert await talk.receive() == Opened(1, 2)
            talk.sock.close()
            assert await stage.root.receive() == Idle(number)

    play(folder, scene)


def test_it_ends_with_its_last_mailbox_where_local_is_gone(folder: Path) -> None:
    async def scene(stage: Stage) -> None:
        talk = stage.admit(f"{folder}/joe")
        assert await talk.receive() == Opened(1, 2)
        stage.root.sock.close()
        talk.send(Describe(1))
        assert isinstance(await talk.receive(), Description)

    play(folder, scene)


class End:
    """In place of the conversation with a reader."""

    def __init__(self) -> None:
        self.closed = False

    def close(self) -> None:
        self.closed = True


def readers_of(count: int) -> tuple[Readers, list[_Living], list[End]]:
    """Return so many readers that have been given a mailbox each, and the ends of their conversations."""
    readers = Readers(Log("local", lambda _: None, lambda: 0.0))
    ends = [End() for _ in range(count)]
    living = [_Living(cast(Any, None), cast(Channel, end), cast(Any, None), admitted=1) for end in ends]
    readers._processes += living
    return readers, living, ends


def test_a_reader_stays_for_a_while_and_is_let_go(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(readers_module, "KEEP_S", 0.0)

    async def run() -> None:
        readers, (one, two), (end, other) = readers_of(2)
        readers._idle(one, Idle(1))
        readers._idle(two, Idle(0))
        before = [end.closed, other.closed]
        for _ in range(3):
            await asyncio.sleep(0)
        assert (before, [end.closed, other.closed]) == ([False, False], [True, False]), "one has a mailbox coming"

    asyncio.run(run())


def test_a_reader_without_mailboxes_gives_way() -> None:
    async def run() -> None:
        readers, living, ends = readers_of(64)
        with pytest.raises(CannotTell, match="too many"):
            readers._make_room()
        for one in (living[5], living[3]):
            readers._idle(one, Idle(1))
            await asyncio.sleep(0.001)
        readers._make_room()
        assert [end.closed for end in ends].index(True) == 5 and sum(end.closed for end in ends) == 1
        readers._processes += readers_of(15)[1]
        ends[3].closed = True
        with pytest.raises(CannotTell, match="too many"):
            readers._make_room()

    asyncio.run(run())
