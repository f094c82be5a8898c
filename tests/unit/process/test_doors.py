"""Who is let in at a socket between processes."""

import asyncio
import os
import socket
from pathlib import Path

import pytest

from paperpath.process import doors as module
from paperpath.process.doors import Doors


def listener(path: Path) -> socket.socket:
    sock = socket.socket(socket.AF_UNIX)
    sock.bind(str(path))
    sock.listen()
    return sock


async def is_let_in(path: Path, came: "asyncio.Queue[socket.socket]") -> bool:
    """Connect, and tell whether somebody serves that or it is closed."""
    loop = asyncio.get_running_loop()
    with socket.socket(socket.AF_UNIX) as client:
        client.setblocking(False)
        await loop.sock_connect(client, str(path))
        served = asyncio.create_task(came.get())
        closed = asyncio.create_task(loop.sock_recv(client, 1))
        done, left = await asyncio.wait({served, closed}, return_when=asyncio.FIRST_COMPLETED)
        for task in left:
            task.cancel()
        if served in done:
            served.result().close()
        return served in done


@pytest.mark.parametrize(
    ("users", "own", "expected"),
    [
        ((os.getuid(),), os.getuid() + 1, True),
        ((os.getuid() + 1, os.getuid() + 2), os.getuid(), False),
        ((), os.getuid(), True),
        ((), os.getuid() + 1, False),
    ],
    ids=["named", "others named", "nobody named: our own", "nobody named: not us"],
)
async def test_the_kernel_says_who_is_let_in(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, users: tuple[int, ...], own: int, expected: bool
) -> None:
    monkeypatch.setattr(module, "own_uid", lambda: own)
    came: asyncio.Queue[socket.socket] = asyncio.Queue()
    doors = Doors()
    doors.serve([("door", listener(tmp_path / "door"))], {"door": (users, came.put_nowait)})
    assert await is_let_in(tmp_path / "door", came) is expected
    doors.close()


async def test_a_listener_of_another_name_changes_nothing(tmp_path: Path) -> None:
    came: asyncio.Queue[socket.socket] = asyncio.Queue()
    doors = Doors()
    doors.serve([("door", listener(tmp_path / "door"))], {"door": ((), came.put_nowait)})
    with listener(tmp_path / "window") as stranger, pytest.raises(ValueError, match="not known here: window"):
        doors.serve([("window", stranger)], {"door": ((), came.put_nowait)})
    assert await is_let_in(tmp_path / "door", came)
    doors.close()
    with pytest.raises(ConnectionRefusedError):
        await is_let_in(tmp_path / "door", came)


async def test_who_is_served_anew_is_served_so_alone(tmp_path: Path) -> None:
    came: asyncio.Queue[socket.socket] = asyncio.Queue()
    doors = Doors()
    door = listener(tmp_path / "door")
    again = door.dup()  # a reload sends every process its sockets again
    doors.serve([("door", door)], {"door": ((os.getuid(),), came.put_nowait)})
    doors.serve([("door", again)], {"door": ((os.getuid() + 1,), came.put_nowait)})
    assert not await is_let_in(tmp_path / "door", came)
    doors.serve([], {})
    with pytest.raises(ConnectionRefusedError):
        await is_let_in(tmp_path / "door", came)
