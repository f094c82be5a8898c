"""The conversation about a mailbox, with a reader that somebody has taken over."""

import asyncio
import os
import socket
from collections.abc import Callable, Coroutine
from pathlib import Path
from typing import Any

import msgspec

from paperpath.pop3.mailboxes import Answer, Box, Source
from paperpath.wire.frame import encode
from paperpath.wire.mailbox import Describe, Description, MessageOpened, NotOpened, Opened, OpenMessage, Updated

Scene = Callable[["Stage"], Coroutine[Any, Any, None]]


class Stage:
    def __init__(self) -> None:
        self.theirs, ours = socket.socketpair()
        self.boxes: list[Box | str] = []
        self.answers: list[Answer] = []
        self.box = Box(ours, self.boxes.append)

    def send(self, frame: msgspec.Struct, descriptor: int | None = None) -> None:
        socket.send_fds(self.theirs, [encode(frame)], [] if descriptor is None else [descriptor])

    async def until(self, look: Callable[[], Any]) -> None:
        while not look():
            await asyncio.sleep(0)

    async def open(self) -> None:
        self.send(Opened(3, 6))
        await self.until(lambda: self.boxes)
        assert self.boxes == [self.box] and self.box.opened == Opened(3, 6)


def play(scene: Scene) -> None:
    async def run() -> None:
        stage = Stage()
        await asyncio.wait_for(scene(stage), 30)
        stage.box.close()
        stage.theirs.close()

    asyncio.run(run())


def test_not_opened() -> None:
    async def scene(stage: Stage) -> None:
        stage.send(NotOpened("no such folder"))
        await stage.until(lambda: stage.boxes)
        assert stage.boxes == ["no such folder"]

    play(scene)


def test_hung_up_on_before_it_is_open() -> None:
    async def scene(stage: Stage) -> None:
        stage.theirs.close()
        await stage.until(lambda: stage.boxes)
        assert stage.boxes == ["the reader is gone"]

    play(scene)


def test_an_answer_to_something_else() -> None:
    async def scene(stage: Stage) -> None:
        await stage.open()
        stage.box.ask(Describe(1), stage.answers.append)
        stage.send(Updated(1, 0, ""))
        await stage.until(lambda: stage.answers)
        assert stage.answers == ["the reader is gone"]

    play(scene)


def test_an_answer_that_nobody_asked_for_leaves_no_descriptor(tmp_path: Path) -> None:
    async def scene(stage: Stage) -> None:
        await stage.open()
        before = len(os.listdir("/proc/self/fd"))
        reading, writing = os.pipe()
        stage.send(MessageOpened(1), writing)
        os.close(writing)
        await stage.until(lambda: stage.box._channel.closed)
        assert os.read(reading, 1) == b"", "nobody holds the other end"
        os.close(reading)
        assert len(os.listdir("/proc/self/fd")) == before - 1, "the conversation is over"
        stage.box.ask(Describe(1), stage.answers.append)
        assert not stage.answers, "never before the call returns"
        await stage.until(lambda: stage.answers)

    play(scene)


def test_a_message_comes_as_something_to_read(tmp_path: Path) -> None:
    (tmp_path / "a").write_bytes(b"content")

    async def scene(stage: Stage) -> None:
        await stage.open()
        stage.box.ask(OpenMessage(1), stage.answers.append)
        descriptor = os.open(tmp_path / "a", os.O_RDONLY)
        stage.send(MessageOpened(1), descriptor)
        os.close(descriptor)
        await stage.until(lambda: stage.answers)
        (source,) = stage.answers
        assert isinstance(source, Source)
        assert (source.size, source.read(), source.read()) == (7, b"content", b"")
        source.close()
        stage.answers.clear()
        stage.box.ask(Describe(1), stage.answers.append)
        stage.send(Description(1, (1,), (b"a",)))
        await stage.until(lambda: stage.answers)
        assert stage.answers == [Description(1, (1,), (b"a",))]

    play(scene)


def test_nothing_is_called_after_it_was_let_go() -> None:
    async def scene(stage: Stage) -> None:
        await stage.open()
        stage.box.ask(Describe(1), stage.answers.append)
        stage.box.close()
        for _ in range(5):
            await asyncio.sleep(0)
        assert stage.answers == []

    play(scene)
