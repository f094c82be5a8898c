"""The conversation with the supervisor, with a process that cannot work with its settings."""

import socket
import subprocess
import sys

import msgspec
import pytest

from paperpath.wire.frame import FrameBuffer, encode
from paperpath.wire.supervision import Configure, Drain, FromChild, Ready, Rejected

PROCESS = """
from paperpath.process.child import run_role
from paperpath.process.settings import Common

class Picky:
    def __init__(self, log):
        pass

    async def configure(self, settings, listeners):
        if settings.hostname != "good":
            raise ValueError(f"cannot work as {settings.hostname}")

    async def drain(self, grace_s):
        pass

run_role("picky", Common, Picky, confined=False)
"""


def converse(*hostnames: str) -> tuple[list[Ready | Rejected], int]:
    """Tell a process these settings, then to drain; return its answers and its status."""
    ours, theirs = socket.socketpair()
    with ours, theirs:
        words = [sys.executable, "-c", PROCESS, str(theirs.fileno())]
        process = subprocess.Popen(words, pass_fds=(theirs.fileno(),), stdin=subprocess.DEVNULL)
        theirs.close()
        for name in hostnames:
            settings = {"hostname": name, "run": "/nonexistent", "log_as_json": True}
            ours.sendall(encode(Configure(msgspec.msgpack.encode(settings))))
        ours.sendall(encode(Drain(0.0)))
        return answers(ours), process.wait()


def answers(control: socket.socket) -> list[Ready | Rejected]:
    """Return what the process says until it ends."""
    frames, found = FrameBuffer(), list[Ready | Rejected]()
    try:
        while data := control.recv(65536):
            found += [msgspec.msgpack.decode(body, type=FromChild) for body in frames.feed(data)]
    except ConnectionResetError:  # it ended with frames that it had not read
        pass
    return found


REASON = "ValueError: cannot work as bad"


@pytest.mark.parametrize("hostnames", [("bad",), ("bad", "good")])
def test_process_without_settings_says_why_and_ends_to_be_started_again(hostnames: tuple[str, ...]) -> None:
    said, status = converse(*hostnames)
    assert [type(answer) for answer in said] == [Rejected]
    assert isinstance(said[0], Rejected) and said[0].reason.startswith(REASON)
    assert status == 111


def test_process_with_settings_keeps_them_when_it_cannot_work_with_others() -> None:
    said, status = converse("good", "bad", "good")
    assert [type(answer) for answer in said] == [Ready, Rejected, Ready]
    assert status == 0
