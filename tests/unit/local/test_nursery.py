"""The nursery: copies that are users for good, told apart by their command lines, and reaped."""

import os
import select
import signal
import socket
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import msgspec
import pytest

from paperpath.system.spawn import ROOM_FOR_TITLE
from paperpath.wire.frame import FrameBuffer, encode
from paperpath.wire.nursery import FromNursery, Grown, NotReared, Rear, Reared
from tests.peers import require_root

UID, GID = 64_200, 64_201
"""Ids that nobody has."""

PLAY = """
import gc, os, socket, sys
from paperpath.local.nursery import Nursery

def work(arguments):
    talk = socket.socket(fileno=int(arguments[0]))
    talk.sendall(repr({
        "ids": (os.getresuid(), os.getresgid(), os.getgroups()),
        "descriptors": sorted(int(name) for name in os.listdir("/proc/self/fd"))[:-1],
        "session": os.getsid(0) == os.getpid(), "folder": os.getcwd(), "umask": os.umask(0),
        "environment": dict(os.environ), "arguments": arguments,
        "own": os.open(f"/proc/self/fd/{os.memfd_create('x')}", os.O_RDONLY) > 0,
    }).encode())
    try:
        os.setresuid(0, 0, 0)
    except PermissionError:
        talk.sendall(b" no way back")
    said = talk.recv(10)
    if said == b"fail":
        raise RuntimeError("as told")
    if said == b"exit":
        sys.exit(7)

os.open("/dev/null", os.O_RDONLY)
Nursery(socket.socket(fileno=int(sys.argv[1])), work).run()
"""
"""A nursery whose workers tell what they are."""


class Played:
    """A nursery, and what it says."""

    def __init__(self) -> None:
        self.ours, theirs = socket.socketpair()
        self.ours.settimeout(30)
        command = [sys.executable, "-c", PLAY, str(theirs.fileno()), ROOM_FOR_TITLE]
        self.process = subprocess.Popen(command, pass_fds=[theirs.fileno()], stderr=subprocess.PIPE)
        theirs.close()
        self._frames, self._waiting = FrameBuffer(), list[Reared | NotReared | Grown]()
        self.pidfds: list[int] = []
        self.talks: list[socket.socket] = []

    def hear(self) -> Reared | NotReared | Grown:
        decode = msgspec.msgpack.Decoder(FromNursery).decode
        while not self._waiting:
            data, descriptors, _, _ = socket.recv_fds(self.ours, 65536, 4)
            assert data
            self.pidfds += descriptors
            self._waiting += [decode(body) for body in self._frames.feed(data)]
        return self._waiting.pop(0)

    def rear(self, ticket: int, uid: int = UID) -> tuple[Reared | NotReared | Grown, socket.socket]:
        ours, theirs = socket.socketpair()
        ours.settimeout(30)
        self.talks.append(ours)
        asked = Rear(ticket, uid, GID, ("/nowhere", "somebody", "json"), {"PATH": "/mine", "EXTRA": "1"})
        socket.send_fds(self.ours, [encode(asked)], [theirs.fileno()])
        theirs.close()
        return self.hear(), ours


@pytest.fixture
def nursery() -> Iterator[Played]:
    require_root()
    played = Played()
    yield played
    for talk in (played.ours, *played.talks):
        talk.close()
    assert played.process.wait(30) == 0
    for pidfd in played.pidfds:
        os.close(pidfd)
    assert played.process.stderr is not None
    played.process.stderr.close()


def told(talk: socket.socket) -> str:
    data = b""
    while b"no way back" not in data:
        data += talk.recv(65536)
    return data.decode()


def test_a_copy_is_the_user_for_good_and_has_nothing_of_the_nursery(nursery: Played) -> None:
    answer, talk = nursery.rear(1)
    assert isinstance(answer, Reared)
    found = eval(told(talk).removesuffix(" no way back"))
    assert found["ids"] == ((UID, UID, UID), (GID, GID, GID), [GID])
    assert found["descriptors"] == [0, 1, 2, 3]
    assert (found["session"], found["folder"], found["umask"]) == (True, "/", 0o077)
    assert found["environment"] == {"PATH": "/mine", "LANG": "C.UTF-8", "EXTRA": "1"}
    assert found["own"], "it may look at itself through /proc"
    assert found["arguments"] == ["3", "/nowhere", "somebody", "json"]
    title = Path(f"/proc/{answer.pid}/cmdline").read_bytes().split(b"\0")
    assert title[2:6] == [b"paperpath.local.worker_main", b"3", b"/nowhere", b"somebody"]
    talk.close()
    assert nursery.hear() == Grown(answer.pid, 0)
    assert select.select(nursery.pidfds, [], [], 30)[0] == nursery.pidfds


@pytest.mark.parametrize(("word", "status"), [(b"fail", 1), (b"exit", 1), (b"kill", -9)])
def test_how_a_copy_ended_is_told(nursery: Played, word: bytes, status: int) -> None:
    answer, talk = nursery.rear(1)
    assert isinstance(answer, Reared)
    told(talk)
    if word == b"kill":
        os.kill(answer.pid, signal.SIGKILL)
    else:
        talk.sendall(word)
    assert nursery.hear() == Grown(answer.pid, status)
    talk.close()


def test_several_live_at_once_and_one_is_no_others_trouble(nursery: Played) -> None:
    reared = [nursery.rear(ticket) for ticket in range(3)]
    for answer, talk in reared:
        assert isinstance(answer, Reared)
        told(talk)
    pids = [answer.pid for answer, _ in reared if isinstance(answer, Reared)]
    reared[1][1].close()
    assert nursery.hear() == Grown(pids[1], 0)
    reared.append(nursery.rear(9))
    pids.append(reared[3][0].pid if isinstance(reared[3][0], Reared) else 0)
    told(reared[3][1])
    for at in (0, 2, 3):
        reared[at][1].close()
        assert nursery.hear() == Grown(pids[at], 0)


def test_nobody_becomes_root(nursery: Played) -> None:
    answer, talk = nursery.rear(4, uid=0)
    assert answer == NotReared(4, "a worker of user id 0")
    assert talk.recv(10) == b""
