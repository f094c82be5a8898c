"""`local`'s end of the conversation with the nursery: every request gets a worker, or a reason that is temporary."""

import asyncio
import os
import socket
import subprocess
from collections.abc import Iterator, Mapping, Sequence

import msgspec
import pytest

from paperpath.local import nurse as nurse_module
from paperpath.local.lookup import CannotTell
from paperpath.local.nurse import Nurse
from paperpath.system.spawn import Adopted, Process
from paperpath.system.users import User
from paperpath.wire.frame import FrameBuffer, encode
from paperpath.wire.nursery import Grown, NotReared, Rear, Reared
from tests.unit.queue.scene import Lines, turns

ANN = User("ann", 1001, 1002, "/home/ann")


class Played:
    """A nursery that a test plays: what `local` starts is a process that only waits."""

    def __init__(self) -> None:
        self.sockets: list[socket.socket] = []
        self.children: list[subprocess.Popen[bytes]] = []

    def spawn(
        self, _module: str, _arguments: Sequence[str], descriptors: Sequence[int], user: object, _environment: object
    ) -> Process:
        assert user is None
        self.sockets.append(socket.socket(fileno=os.dup(descriptors[0])))
        self.sockets[-1].setblocking(False)
        self.children.append(subprocess.Popen(["cat"], stdin=subprocess.PIPE, stdout=subprocess.DEVNULL))
        return Process(self.children[-1])

    async def asked(self) -> Rear:
        loop, frames = asyncio.get_running_loop(), FrameBuffer()
        await turns()
        while data := await loop.sock_recv(self.sockets[-1], 65536):
            for body in frames.feed(data):
                return msgspec.msgpack.decode(body, type=Rear)
        raise EOFError

    def say(self, frame: msgspec.Struct, descriptor: int | None = None) -> None:
        socket.send_fds(self.sockets[-1], [encode(frame)], [] if descriptor is None else [descriptor])

    def close(self) -> None:
        for sock in self.sockets:
            sock.close()
        for child in self.children:
            assert child.stdin is not None
            child.stdin.close()
            child.wait()


@pytest.fixture
def played(monkeypatch: pytest.MonkeyPatch) -> Iterator[Played]:
    played = Played()
    monkeypatch.setattr("paperpath.system.spawn.spawn", played.spawn)
    yield played
    played.close()


def ask(nurse: Nurse) -> "asyncio.Task[Adopted]":
    environment: Mapping[str, str] = {"A": "b"}

    async def rear() -> Adopted:
        ours, theirs = socket.socketpair()
        with ours, theirs:
            return await nurse.rear("user:ann", ANN, ["/home/ann", "ann", "json"], environment, theirs)

    return asyncio.create_task(rear())


async def reared(played: Played, nurse: Nurse) -> tuple[Adopted, "subprocess.Popen[bytes]"]:
    task = ask(nurse)
    asked = await played.asked()
    assert (asked.uid, asked.gid, asked.arguments) == (1001, 1002, ("/home/ann", "ann", "json"))
    assert asked.environment == {"A": "b"}
    child = subprocess.Popen(["cat"], stdin=subprocess.PIPE, stdout=subprocess.DEVNULL)
    played.children.append(child)
    pidfd = os.pidfd_open(child.pid)
    played.say(Reared(asked.ticket, child.pid), pidfd)
    os.close(pidfd)
    return await task, child


async def test_worker_that_lives_and_ends(played: Played) -> None:
    lines = Lines()
    nurse = Nurse(lines.log)
    worker, child = await reared(played, nurse)
    assert worker.poll() is None
    child.kill()
    child.wait()
    assert worker.poll() == worker.poll() == 0
    played.say(Grown(child.pid, -9))
    (line,) = await lines.logged("process.ended")
    assert 'role="local worker user:ann"' in line and "how=SIGKILL" in line
    nurse.close()


async def test_one_nursery_serves_all(played: Played) -> None:
    nurse = Nurse(Lines().log)
    for _ in range(2):
        worker, child = await reared(played, nurse)
        child.kill()
        child.wait()
        assert worker.poll() == 0
    assert len(played.sockets) == 1
    nurse.close()


async def test_refusal_is_temporary(played: Played) -> None:
    nurse = Nurse(Lines().log)
    task = ask(nurse)
    played.say(NotReared((await played.asked()).ticket, "Cannot allocate memory"))
    with pytest.raises(CannotTell, match="could not be started: Cannot allocate memory"):
        await task
    nurse.close()


async def test_silence_is_temporary_and_another_nursery_comes(played: Played, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(nurse_module, "_WITHIN_S", 0.05)
    lines = Lines()
    nurse = Nurse(lines.log)
    task = ask(nurse)
    await played.asked()
    with pytest.raises(CannotTell, match="in time"):
        await task
    (line,) = await lines.logged("process.ended")
    assert 'role="local nursery"' in line and "how=SIGKILL" in line
    monkeypatch.setattr(nurse_module, "_WITHIN_S", 20.0)
    worker, child = await reared(played, nurse)
    assert len(played.sockets) == 2
    child.kill()
    child.wait()
    assert worker.poll() == 0
    nurse.close()


async def test_worker_that_is_wanted_no_more_is_let_go(played: Played) -> None:
    nurse = Nurse(Lines().log)
    task = ask(nurse)
    asked = await played.asked()
    task.cancel()
    await asyncio.wait([task])
    reading, writing = os.pipe()
    played.say(Reared(asked.ticket, 1), writing)
    os.close(writing)
    assert await asyncio.get_running_loop().run_in_executor(None, os.read, reading, 1) == b""
    os.close(reading)
    nurse.close()


async def test_end_that_comes_together_with_the_beginning_is_told_of_the_right_one(played: Played) -> None:
    lines = Lines()
    nurse = Nurse(lines.log)
    task = ask(nurse)
    asked = await played.asked()
    child = subprocess.Popen(["true"])
    pidfd = os.pidfd_open(child.pid)
    socket.send_fds(
        played.sockets[-1], [encode(Reared(asked.ticket, child.pid)) + encode(Grown(child.pid, 1))], [pidfd]
    )
    os.close(pidfd)
    worker = await task
    (line,) = await lines.logged("process.ended")
    assert 'role="local worker user:ann"' in line
    assert nurse._names == {}
    child.wait()
    assert worker.poll() == 0
    nurse.close()


@pytest.mark.parametrize("how", ["hangs up", "says nonsense", "dies"])
async def test_nursery_that_goes_is_temporary_and_another_comes(played: Played, how: str) -> None:
    nurse = Nurse(Lines().log)
    task = ask(nurse)
    await played.asked()
    if how == "hangs up":
        played.sockets[0].close()
    elif how == "says nonsense":
        played.sockets[0].send(b"\0\0\0\1\xc1")
    else:
        played.children[0].kill()
    with pytest.raises(CannotTell, match="the nursery ended"):
        await task
    worker, child = await reared(played, nurse)
    assert len(played.sockets) == 2
    child.kill()
    child.wait()
    assert worker.poll() == 0
    nurse.close()
