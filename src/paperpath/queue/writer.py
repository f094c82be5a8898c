"""Group commit: whatever is asked of the store in one turn of the loop is one transaction.

The commit is made in the loop's own thread.  While it waits for the disk, what arrives waits in the sockets and shares
the next one, so a slow disk makes larger groups and not more of them.  A thread for it was measured and given up: it
took turns with the loop at every statement, and cost a tenth of what the machine could accept.

Within a transaction all acceptances come first, then what settles recipients, then everything else: so a forward that
shares content is there before its origin goes, and a claim sees the room that was just made.

When a transaction fails for a reason of its own (a defect, an odd request), each of its works is done again alone, so
that one cannot spoil another.  When the store is full, what brings mail fails with StoreFull, and what settles it is
done once more by itself: that makes room.  When it is broken, nothing more is done at all: ``on_broken`` is called and
every outstanding work is left unanswered, for the process to end.
"""

import asyncio
from collections.abc import Callable, Sequence
from typing import Any, Generic, TypeVar

from paperpath.store.contract import Defer, Finish, NewMessage, Store, StoreBroken, StoreFull
from paperpath.system.clock import now

T = TypeVar("T")
Done = Callable[[T | Exception], None]

_WORKS_MOST = 1000
"""Works in one transaction: bounds the time until the first of them is acknowledged."""

_REST_AFTER_S = 0.2
"""How long nothing must have been asked of the store before it may do its own housekeeping."""


class _Work(Generic[T]):
    """One thing to do in a transaction, and whom to tell once it is durable."""

    __slots__ = ("call", "defers", "done", "finishes", "messages", "result")

    def __init__(self, done: Done[T]) -> None:
        self.messages: Sequence[NewMessage] = ()
        self.defers: Sequence[Defer] = ()
        self.finishes: Sequence[Finish] = ()
        self.call: Callable[[Store], T] | None = None
        self.done = done
        self.result: Any = None


class Writer:
    """Gathers works and commits them together."""

    def __init__(self, store: Store, on_broken: Callable[[str], None]) -> None:
        self._loop = asyncio.get_running_loop()
        self._store = store
        self._on_broken = on_broken
        self._gathered: list[_Work[Any]] = []
        self._is_over = False
        """Whether the store is broken or closed: what is asked of it now stays unanswered."""
        self._rest = self._loop.call_later(_REST_AFTER_S, self._rest_now)

    def stop(self) -> None:
        """Commit what was gathered, however much it is, tell who waits for it, close the store."""
        while self._gathered:
            self._commit_gathered()
        self._rest.cancel()
        if not self._is_over:
            self._is_over = True
            self._store.close()

    def accept(self, message: NewMessage, done: Done[None]) -> None:
        """Store a message; ``done`` is called with None once it is durable."""
        work = _Work(done)
        work.messages = (message,)
        self._add(work)

    def settle(
        self,
        follow_up: Sequence[NewMessage],
        defers: Sequence[Defer],
        finishes: Sequence[Finish],
        done: Done[list[int]],
    ) -> None:
        """Settle outcomes together with the messages that follow; ``done`` gets the messages that this finished."""
        work = _Work(done)
        work.messages, work.defers, work.finishes = follow_up, defers, finishes
        self._add(work)

    def call(self, function: Callable[[Store], T], done: Done[T]) -> None:
        """Do anything else; ``done`` gets what it returned, or the error."""
        work = _Work(done)
        work.call = function
        self._add(work)

    async def ask(self, function: Callable[[Store], T]) -> T:
        """The same for a coroutine; errors are raised."""
        future: asyncio.Future[T] = self._loop.create_future()

        def done(result: T | Exception) -> None:
            if future.cancelled():
                return
            if isinstance(result, Exception):
                future.set_exception(result)
            else:
                future.set_result(result)

        self.call(function, done)
        return await future

    def _add(self, work: _Work[Any]) -> None:
        if not self._gathered:
            self._loop.call_soon(self._commit_gathered)
        self._gathered.append(work)

    def _commit_gathered(self) -> None:
        works, self._gathered = self._gathered[:_WORKS_MOST], self._gathered[_WORKS_MOST:]
        if self._gathered:
            self._loop.call_soon(self._commit_gathered)
        if self._is_over:
            return
        try:
            self._commit(works)
        except Exception as error:  # StoreBroken, or a defect of the store: nothing can be acknowledged any more
            self._is_over = True
            self._on_broken(str(error) or repr(error))
            return
        self._answer(works)
        self._rest.cancel()
        self._rest = self._loop.call_later(_REST_AFTER_S, self._rest_now)

    def _rest_now(self) -> None:
        if self._gathered or self._is_over:
            return
        try:
            if self._store.rest():
                self._rest = self._loop.call_later(_REST_AFTER_S, self._rest_now)
        except StoreBroken as error:
            self._is_over = True
            self._on_broken(str(error))

    def _commit(self, works: Sequence[_Work[Any]]) -> None:
        if not works:
            return
        try:
            with self._store.transaction():
                self._do(works)
        except StoreBroken:
            raise
        except StoreFull as error:
            for work in works:
                work.result = error
            settling = [work for work in works if not work.messages]
            if len(settling) < len(works):
                self._commit(settling)
        except Exception as error:
            if len(works) == 1:
                works[0].result = error
                return
            for work in works:
                self._commit([work])

    def _do(self, works: Sequence[_Work[Any]]) -> None:
        messages = [message for work in works for message in work.messages]
        if messages:
            self._store.accept(messages)
        defers = [defer for work in works for defer in work.defers]
        finishes = [finish for work in works for finish in work.finishes]
        ended = set(self._store.settle(defers, finishes, int(now()))) if defers or finishes else set()
        for work in works:
            if work.defers or work.finishes:
                work.result = sorted(ended.intersection(finish.message for finish in work.finishes))
            if work.call is not None:
                work.result = work.call(self._store)

    def _answer(self, works: Sequence[_Work[Any]]) -> None:
        for work in works:
            try:
                work.done(work.result)
            except Exception as error:  # a defect in one must not keep the others from their answer
                self._loop.call_exception_handler({"message": "telling what became of a work", "exception": error})
