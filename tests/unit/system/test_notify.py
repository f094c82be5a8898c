"""Talking with the service manager, played here by a socket of the test."""

import os
import socket
from pathlib import Path
from typing import Any

import pytest

from paperpath.system.notify import inherited_sockets, notify
from tests.unit.system.children import run_child


@pytest.mark.parametrize("abstract", [False, True])
def test_notify_is_one_datagram(tmp_path: Path, abstract: bool) -> None:
    name = f"@paperpath-test-{os.getpid()}" if abstract else str(tmp_path / "notify")
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as manager:
        manager.bind(name.replace("@", "\0"))
        assert notify("READY=1\nSTATUS=Serving", {"NOTIFY_SOCKET": name})
        assert manager.recv(100) == b"READY=1\nSTATUS=Serving"


@pytest.mark.parametrize("environment", [{}, {"NOTIFY_SOCKET": ""}, {"NOTIFY_SOCKET": "vsock:2:1"}])
def test_without_a_manager_nothing_is_told(environment: dict[str, str]) -> None:
    assert notify("READY=1", environment) is False


def test_a_manager_that_is_gone_is_no_error(tmp_path: Path) -> None:
    assert notify("READY=1", {"NOTIFY_SOCKET": str(tmp_path / "gone")}) is False


_INHERIT = """
from paperpath.system.notify import inherited_sockets
os.environ["LISTEN_PID"] = str(os.getpid() + int(os.environ.get("WRONG", "0")))
first, second = (int(number) for number in sys.argv[1:])
os.dup2(first, 3 if second != 3 else 9)
os.dup2(second, 4)
os.dup2(3 if second != 3 else 9, 3)
try:
    found = inherited_sockets()
    tell(
        found={name: [one.getsockname()[1] for one in sockets] for name, sockets in found.items()},
        numbers={name: [one.fileno() for one in sockets] for name, sockets in found.items()},
        inheritable=[one.get_inheritable() for sockets in found.values() for one in sockets],
    )
except (ValueError, OSError) as error:
    tell(error=type(error).__name__)
"""


def inherit(**environment: str) -> tuple[dict[str, Any], int, int]:
    """Run a child that was handed two listening sockets as a manager does; return what it told, and their
    ports."""
    with socket.socket() as one, socket.socket() as two:
        for sock in (one, two):
            sock.bind(("127.0.0.1", 0))
            sock.listen()
        told = run_child(
            _INHERIT,
            str(one.fileno()),
            str(two.fileno()),
            pass_fds=(one.fileno(), two.fileno()),
            env={**os.environ, **environment},
        )
        return told, one.getsockname()[1], two.getsockname()[1]


def test_sockets_come_by_name() -> None:
    told, first, second = inherit(LISTEN_FDS="2", LISTEN_FDNAMES="smtp:http")
    assert told["found"] == {"smtp": [first], "http": [second]}
    assert told["numbers"] == {"smtp": [3], "http": [4]}
    assert told["inheritable"] == [False, False]


def test_one_name_may_have_several_sockets() -> None:
    told, first, second = inherit(LISTEN_FDS="2", LISTEN_FDNAMES="smtp:smtp")
    assert told["found"] == {"smtp": [first, second]}


def test_sockets_without_names() -> None:
    told, first, second = inherit(LISTEN_FDS="2")
    assert told["found"] == {"unknown": [first, second]}


@pytest.mark.parametrize(
    "environment", [{}, {"LISTEN_FDS": ""}, {"LISTEN_FDS": "0"}, {"LISTEN_FDS": "2", "WRONG": "1"}]
)
def test_sockets_that_are_not_for_us(environment: dict[str, str]) -> None:
    assert inherit(**environment)[0]["found"] == {}


@pytest.mark.parametrize(
    "environment",
    [
        {"LISTEN_FDS": "x"},
        {"LISTEN_FDS": "-1"},
        {"LISTEN_FDS": "\u0662"},
        {"LISTEN_FDS": "99999"},
        {"LISTEN_FDS": "2", "LISTEN_FDNAMES": "smtp"},
        {"LISTEN_FDS": "1", "LISTEN_FDNAMES": "smtp:http"},
    ],
)
def test_an_environment_that_contradicts_itself(environment: dict[str, str]) -> None:
    with pytest.raises(ValueError):
        inherited_sockets({"LISTEN_PID": str(os.getpid()), **environment})
