"""Work that has to be waited for, in a thread of a pool."""

import asyncio
import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import TypeVar

T = TypeVar("T")


def in_thread(pool: ThreadPoolExecutor, work: Callable[[], T], done: Callable[[T | Exception], None]) -> None:
    """Do ``work`` in a thread, then call ``done`` in the running loop, once, with what it returned or raised.

    Where no thread can be had (a limit of processes is reached), ``done`` gets that error, and ``work`` is not done:
    the pool itself raises then, and does it all the same as soon as a thread has nothing else to do.
    """
    loop, taken = asyncio.get_running_loop(), threading.Lock()

    def run() -> None:
        if taken.acquire(blocking=False):
            loop.call_soon_threadsafe(done, _result_of(work))

    try:
        pool.submit(run)
    except RuntimeError as error:
        if taken.acquire(blocking=False):
            loop.call_soon(done, error)


def _result_of(work: Callable[[], T]) -> T | Exception:
    try:
        return work()
    except Exception as error:
        return error
    except BaseException as error:
        return RuntimeError(repr(error))
