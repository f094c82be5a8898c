"""What the supervisor asks of the queue: to try everything now (qmail-interfaces 10.4)."""

import asyncio

from paperpath.telemetry import events
from paperpath.telemetry.log import Log
from paperpath.wire.control import Operate
from paperpath.wire.frame import VERSION, Hello, encode

_WITHIN_S = 60.0
_ANSWER_BYTES = 4096


async def retry_all(path: str, log: Log) -> None:
    """Ask the queue behind the control socket ``path``; it logs what it does, we log where it cannot be asked."""
    try:
        async with asyncio.timeout(_WITHIN_S):
            reader, writer = await asyncio.open_unix_connection(path)
            try:
                writer.write(encode(Hello(VERSION, "operator")) + encode(Operate("retry", (), "SIGALRM")))
                await writer.drain()
                if not await reader.read(_ANSWER_BYTES):
                    raise EOFError("it hung up")
            finally:
                writer.close()
    except (OSError, EOFError, TimeoutError) as error:
        log.emit(events.RetryRefused(reason=str(error) or type(error).__name__))
