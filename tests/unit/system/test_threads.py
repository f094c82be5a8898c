"""Work in threads: done once or not at all, also where the pool may have no further thread."""

import asyncio
import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest

from paperpath.system.threads import in_thread


class NeverIdle(ThreadPoolExecutor):
    """A pool that starts a thread for each work, however many have nothing to do."""

    def submit(self, *arguments: Any, **others: Any) -> Any:
        while self._idle_semaphore.acquire(blocking=False):
            pass
        return super().submit(*arguments, **others)


@pytest.fixture
def pool() -> Iterator[ThreadPoolExecutor]:
    pool = NeverIdle(4)
    yield pool
    pool.shutdown()


def fail() -> None:
    raise ValueError("oops")


def leave() -> None:
    raise SystemExit(1)


async def results(pool: ThreadPoolExecutor, *works: Any) -> list[Any]:
    said: asyncio.Queue[Any] = asyncio.Queue()
    for work in works:
        in_thread(pool, work, said.put_nowait)
    assert said.empty(), "never before it returns"
    return [await said.get() for _ in works]


async def test_what_it_returns_or_raises_comes_back(pool: ThreadPoolExecutor) -> None:
    assert await results(pool, lambda: threading.current_thread() is threading.main_thread()) == [False]
    assert repr(await results(pool, fail)) == "[ValueError('oops')]"
    assert repr(await results(pool, leave)) == "[RuntimeError('SystemExit(1)')]"


async def test_without_a_thread_it_is_an_error_and_never_done(
    pool: ThreadPoolExecutor, monkeypatch: pytest.MonkeyPatch
) -> None:
    done: list[int] = []

    def none_left(_thread: threading.Thread) -> None:
        raise RuntimeError("can't start new thread")

    with monkeypatch.context() as limited:
        limited.setattr(threading.Thread, "start", none_left)
        (error,) = await results(pool, lambda: done.append(1))
    assert isinstance(error, RuntimeError)
    assert await results(pool, lambda: done.append(2)) == [None]
    assert done == [2]


async def test_work_that_another_thread_took_on_has_that_one_s_result(
    pool: ThreadPoolExecutor, monkeypatch: pytest.MonkeyPatch
) -> None:
    begun = threading.Semaphore(0)
    start = threading.Thread.start
    threads: list[threading.Thread] = []

    def work() -> str:
        begun.release()
        return "done"

    def one_only(thread: threading.Thread) -> None:
        if threads:
            begun.acquire()
            begun.acquire()  # the first thread has begun both before this one fails
            raise RuntimeError("can't start new thread")
        threads.append(thread)
        start(thread)

    monkeypatch.setattr(threading.Thread, "start", one_only)
    assert await results(pool, work, work) == ["done", "done"]


async def test_a_pool_that_is_closed_is_an_error(pool: ThreadPoolExecutor) -> None:
    pool.shutdown()
    (error,) = await results(pool, lambda: 1)
    assert isinstance(error, RuntimeError)
