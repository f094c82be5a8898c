"""Very many clients that say EHLO and then nothing."""

import asyncio
import resource
import ssl
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Final

from bench.errors import BenchError

_AT_ONCE: Final = 100
"""Connections being opened at the same time; below any server's backlog."""

_PER_SOURCE: Final = 1000
"""Sessions from one loopback address: ports do not run short, nor patience with one client."""

_REPLY_S: Final = 60
_SPARE_FILES: Final = 200


@asynccontextmanager
async def idle_sessions(port: int, count: int, *, tls: bool = False) -> AsyncIterator[None]:
    """Hold `count` sessions open on `port`; raises BenchError when the server does not take them all."""
    _allow_files(count + _SPARE_FILES)
    writers: list[asyncio.StreamWriter] = []
    try:
        await _open_all(port, count, writers, _careless() if tls else None)
        yield
    finally:
        for writer in writers:
            writer.transport.abort()


def _careless() -> ssl.SSLContext:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.check_hostname = False
    context.verify_mode = ssl.CERT_NONE
    return context


async def _open_all(port: int, count: int, writers: list[asyncio.StreamWriter], context: ssl.SSLContext | None) -> None:
    gate = asyncio.Semaphore(_AT_ONCE)

    async def begin(number: int) -> None:
        async with gate:
            source = f"127.0.1.{1 + number // _PER_SOURCE}"
            writers.append(await asyncio.wait_for(_greet(port, source, context), _REPLY_S))

    try:
        async with asyncio.TaskGroup() as group:
            for number in range(count):
                group.create_task(begin(number))
    except* (OSError, EOFError, BenchError) as errors:
        raise BenchError(f"{len(writers)} of {count} sessions: {errors.exceptions[0]!r}") from None


async def _greet(port: int, source: str, context: ssl.SSLContext | None) -> asyncio.StreamWriter:
    """Open one session and read what the server says to EHLO."""
    reader, writer = await asyncio.open_connection("127.0.0.1", port, local_addr=(source, 0), limit=4096, ssl=context)
    await _read_reply(reader)
    writer.write(b"EHLO load.test\r\n")
    await _read_reply(reader)
    return writer


async def _read_reply(reader: asyncio.StreamReader) -> None:
    while True:
        line = await reader.readuntil(b"\n")
        if not line.startswith(b"2"):
            raise BenchError(f"unexpected reply: {line!r}")
        if line[3:4] != b"-":
            return


def _allow_files(wanted: int) -> None:
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    if soft >= wanted:
        return
    try:
        resource.setrlimit(resource.RLIMIT_NOFILE, (wanted, max(hard, wanted)))
    except (ValueError, OSError):
        raise BenchError(f"this user may not open {wanted} files (ulimit -n)") from None
