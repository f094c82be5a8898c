"""Many system users with a Maildir each, and mail for them in turn."""

import asyncio
import pwd
import shutil
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from bench.errors import BenchError
from bench.load import PAYLOAD_BYTES, SESSIONS, limit_s
from bench.measure import count_files
from bench.programs import require, run

_NAME: Final = "ppbench"
_MAILDIR: Final = ("tmp", "new", "cur")
_LINE: Final = b"X" * 78 + b"\r\n"
_CONTENT: Final = (
    b"From: <sender@load.test>\r\nSubject: load\r\n\r\n" + _LINE * (PAYLOAD_BYTES // len(_LINE)) + b".\r\n"
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Users:
    """System accounts whose homes lie in ``folder``."""

    folder: Path
    names: tuple[str, ...]

    def delivered(self) -> int:
        """Messages in all their Maildirs."""
        return sum(count_files(self.folder / name / "Maildir" / "new") for name in self.names)


@contextmanager
def system_users(count: int, folder: Path) -> Iterator[Users]:
    """Make so many accounts, and take them away again.  Needs root."""
    names = tuple(f"{_NAME}{number}" for number in range(count))
    _remove(names)  # that a killed run left behind
    try:
        folder.mkdir()
        for name in names:
            home = folder / name
            run(require("useradd"), "--system", "--no-create-home", "--home-dir", home, "--shell", "/bin/false", name)
            for part in _MAILDIR:
                (home / "Maildir" / part).mkdir(parents=True)
            run("chown", "--recursive", name, home)
        yield Users(folder=folder, names=names)
    finally:
        _remove(names)
        shutil.rmtree(folder, ignore_errors=True)


def _remove(names: tuple[str, ...]) -> None:
    there = {entry.pw_name for entry in pwd.getpwall()}
    for name in names:
        if name in there:
            run(require("userdel"), "--force", name)  # a process in a container may have the same id


def send(port: int, users: Users, domain: str, messages: int) -> float:
    """Send ``messages`` of 4 KB, to each user in turn, as `load.send` does; return when the last was accepted."""
    asyncio.run(asyncio.wait_for(_send_all(port, users, domain, messages), limit_s(messages)))
    return time.monotonic()


async def _send_all(port: int, users: Users, domain: str, messages: int) -> None:
    numbers = iter(range(messages))

    async def session() -> None:
        for number in numbers:
            await _send_one(port, f"{users.names[number % len(users.names)]}@{domain}".encode())

    try:
        async with asyncio.TaskGroup() as group:
            for _ in range(SESSIONS):
                group.create_task(session())
    except* (OSError, EOFError, BenchError) as errors:
        raise BenchError(f"sending to users: {errors.exceptions[0]!r}") from None


async def _send_one(port: int, recipient: bytes) -> None:
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    try:
        await _expect(reader, b"2")
        writer.write(b"EHLO load.test\r\n")
        await _expect(reader, b"2")
        writer.write(b"MAIL FROM:<sender@load.test>\r\nRCPT TO:<%b>\r\nDATA\r\n" % recipient)
        for code in (b"2", b"2", b"3"):
            await _expect(reader, code)
        writer.write(_CONTENT + b"QUIT\r\n")
        await _expect(reader, b"2")
        await _expect(reader, b"2")
    finally:
        writer.transport.abort()


async def _expect(reader: asyncio.StreamReader, code: bytes) -> None:
    while True:
        line = await reader.readuntil(b"\n")
        if not line.startswith(code):
            raise BenchError(f"unexpected reply: {line!r}")
        if line[3:4] != b"-":
            return
