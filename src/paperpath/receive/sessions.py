"""The open sessions of one process, whatever they speak."""

import asyncio
from collections import Counter
from collections.abc import Callable
from typing import Protocol

from paperpath.base.reply import Reply
from paperpath.receive import replies


class OpenSession(Protocol):
    """What is asked of a session while it is open."""

    last_input: float
    """When it last got on, in the loop's time: bytes alone are not enough where they are to bring something."""

    @property
    def is_idle(self) -> bool:
        """Whether ending it now would interrupt nothing."""

    @property
    def waits_for_us(self) -> bool:
        """Whether it is our turn to say something."""

    def end(self, last: Reply, result: str, /) -> None:
        """End it."""


class Sessions:
    """Counts them, and ends those that are to end."""

    def __init__(self) -> None:
        self.most = 0
        self.draining = False
        self.time: Callable[[], float] = asyncio.get_running_loop().time
        self._open: dict[OpenSession, str] = {}
        self._from: Counter[str] = Counter()
        self._none_open = asyncio.Event()
        self._none_open.set()

    def __len__(self) -> int:
        return len(self._open)

    def count_from(self, network: str) -> int:
        """Return how many are open from there."""
        return self._from[network]

    def add(self, session: OpenSession, network: str = "") -> bool:
        """Count a session, for ``network`` too where it is named; False where it is one too many."""
        if len(self._open) >= self.most:
            return False
        self._open[session] = network
        if network:
            self._from[network] += 1
        self._none_open.clear()
        return True

    def discard(self, session: OpenSession) -> None:
        """It ended."""
        network = self._open.pop(session, "")
        if network:
            self._from[network] -= 1
            if not self._from[network]:
                del self._from[network]
        if not self._open:
            self._none_open.set()

    async def all_ended(self) -> None:
        """Wait until none is open."""
        await self._none_open.wait()

    def end_silent(self, silent_s: float) -> None:
        """End those that did not get on for so long; one that waits for our answer is not silent."""
        before = self.time() - silent_s
        for session in [s for s in self._open if s.last_input < before and not s.waits_for_us]:
            session.end(replies.TIMEOUT, "timeout")

    def end_idle(self) -> None:
        """End those between transactions."""
        for session in [s for s in self._open if s.is_idle]:
            session.end(replies.STOPPING, "stopping")

    def end_all(self) -> None:
        """End all."""
        for session in list(self._open):
            session.end(replies.STOPPING, "stopping")
