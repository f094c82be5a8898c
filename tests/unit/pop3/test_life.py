"""What the process does with its sessions as a whole: limits, settings, draining."""

import shutil
import socket
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.unit.pop3.scene import Client, playing, pop3_settings, wait_for


@pytest.fixture
def folder() -> Iterator[Path]:
    folder = Path(tempfile.mkdtemp(prefix="pp", dir="/tmp"))
    yield folder
    shutil.rmtree(folder)


def test_limits(folder: Path) -> None:
    with playing(folder, sessions_per_address=2) as scene:
        one, two = scene.client(), scene.client()
        assert one.greeting.startswith("+OK mx.box.test POP3 ready <")
        assert scene.client().greeting == "-ERR [SYS/TEMP] Too many sessions; try again later"
        assert one.ask("QUIT") == "+OK Bye" and one.line() == ""
        assert scene.client().greeting.startswith("+OK")
        scene.pop3.configure(pop3_settings(folder, sessions_most=2))
        assert scene.client().greeting.startswith("-ERR [SYS/TEMP]"), "settings count from now on"
        assert two.ask("NOOP") == "+OK Still here"
        scene.pop3.drain()
        wait_for(lambda: "mailbox.turned-away" in scene.log() and "connections=1" in scene.log())
        wait_for(lambda: "too many sessions from its network" in scene.log())


def test_what_is_offered_in_clear(folder: Path) -> None:
    with playing(
        folder, plain_in_clear="never", mechanisms=("PLAIN", "LOGIN", "SCRAM-SHA-256", "SCRAM-SHA-256-PLUS")
    ) as scene:
        client = scene.client()
        assert client.greeting == "+OK mx.box.test POP3 ready"
        offered = client.ask_lines("CAPA")
        assert "SASL SCRAM-SHA-256" in offered and "USER" not in offered
        assert client.ask("USER joe@box.test").startswith("-ERR")
        assert client.ask("AUTH PLAIN AGEAYg==") == "-ERR The mechanism is not offered"
        assert not scene.auth.seen


def test_draining(folder: Path) -> None:
    """Who is logged in may finish; the others, and who comes, are turned away."""
    with playing(folder) as scene:
        scene.deliver("1.a", b"x\n")
        idle, busy = scene.client(), scene.logged_in()
        assert busy.ask("DELE 1") == "+OK Marked"
        scene.pop3.drain()
        assert idle.line() == "-ERR [SYS/TEMP] The service is stopping"
        assert idle.line() == ""
        scene.pop3.listeners["pop3 127.0.0.1:0"].close()
        with pytest.raises(ConnectionRefusedError):
            Client(scene.port)
        assert busy.ask("NOOP") == "+OK Still here"
        assert busy.ask("QUIT") == "+OK Bye"
        assert scene.pop3.process.wait(30) == 0
        assert list((scene.maildir() / "new").iterdir()) == []


def test_draining_does_not_wait_for_ever(folder: Path) -> None:
    with playing(folder) as scene:
        scene.deliver("1.a", b"x\n")
        client = scene.logged_in()
        assert client.ask("DELE 1") == "+OK Marked"
        scene.pop3.drain(0.0)
        assert client.line() == "-ERR [SYS/TEMP] The service is stopping"
        assert scene.pop3.process.wait(30) == 0
        assert len(list((scene.maildir() / "new").iterdir())) == 1


def test_local_ends_when_its_readers_have(folder: Path) -> None:
    with playing(folder) as scene:
        scene.deliver("1.a", b"x\n")
        client = scene.logged_in()
        scene.local.drain()
        assert client.ask_lines("RETR 1") == ["x"], "what is open stays open"
        assert client.ask("DELE 1") == "+OK Marked" and client.ask("QUIT") == "+OK Bye"
        assert scene.local.process.wait(30) == 0
        assert list((scene.maildir() / "new").iterdir()) == []


def test_auth_away(folder: Path) -> None:
    with playing(folder) as scene:
        client = scene.client()
        assert client.ask("AUTH ASK").startswith("+ ")
        scene.auth.listener.shutdown(socket.SHUT_RDWR)
        scene.auth.hang_up()
        assert client.ask("eA==").startswith("-ERR [SYS/TEMP]")
        assert client.ask("NOOP") == "+OK Still here"
