"""The open sessions of the process: counted, and ended when it is time."""

import asyncio
import contextlib
from collections import Counter
from collections.abc import Callable
from typing import Protocol

from paperpath.process.proxied import SpokenFor
from paperpath.telemetry.events import MailboxesTurnedAway
from paperpath.telemetry.log import Log

_KINDS_MOST = 200
"""Reasons and networks that are told apart in one stretch of the log."""


class OpenSession(Protocol):
    """What is asked of a session while it is open."""

    def deadline(self, *, strained: bool) -> float:
        """When it is ended, in the loop's time, if it does not get on; ``strained``: sessions run short."""

    last_step: float
    """When something was last said to the client, in the loop's time."""

    @property
    def is_idle(self) -> bool:
        """Whether nobody is logged in: ending it now would interrupt nothing."""

    def end(self, text: str, reason: str, /) -> None:
        """End it with these last words."""


STRAINED_FROM = 0.75
"""The part of all sessions from which on they run short: whoever holds one without logging in has less time then."""

BEGINNING_S = 2.0
"""How long a client may be silent before it logs in when the process is to end: what it came for can still be done."""
_LOOK_S = 0.25

STOPPING = "[SYS/TEMP] The service is stopping"
TIMEOUT = "You were silent for too long"


class Sessions:
    """All of them."""

    def __init__(self) -> None:
        self._turned_away: dict[tuple[str, str], tuple[int, str]] = {}
        self.most = self.most_per_network = 0
        self.spoken_for: SpokenFor = {}
        self.draining = False
        self.time: Callable[[], float] = asyncio.get_running_loop().time
        self._open: dict[OpenSession, str] = {}
        self._from: Counter[str] = Counter()
        self._none_open = asyncio.Event()
        self._none_open.set()

    def __len__(self) -> int:
        return len(self._open)

    def add(self, session: OpenSession, network: str) -> str | None:
        """Count a session; return why it is one too many, None where it is not."""
        if len(self._open) >= self.most:
            return "too many sessions"
        if self._from[network] >= self.most_per_network:
            return "too many sessions from its network"
        self._open[session] = network
        self._from[network] += 1
        self._none_open.clear()
        return None

    def turn_away(self, network: str, peer: str, reason: str) -> None:
        """Note one that is none: a flood must not become a flood of lines."""
        key = network, reason
        if key not in self._turned_away and len(self._turned_away) >= _KINDS_MOST:
            key = "many", reason
        count, _ = self._turned_away.get(key, (0, ""))
        self._turned_away[key] = count + 1, peer

    def log_turned_away(self, log: Log) -> None:
        """Write a line for each reason and network, and begin anew."""
        for (network, reason), (count, peer) in self._turned_away.items():
            log.emit(MailboxesTurnedAway(network=network, peer=peer, connections=count, reason=reason))
        self._turned_away.clear()

    def discard(self, session: OpenSession) -> None:
        """It ended."""
        network = self._open.pop(session, None)
        if network is not None:
            self._from[network] -= 1
            if not self._from[network]:
                del self._from[network]
        if not self._open:
            self._none_open.set()

    async def all_ended(self) -> None:
        """End each as soon as nothing is interrupted by that, and wait until none is open."""
        while self._open:
            self.end_idle()
            with contextlib.suppress(TimeoutError):
                await asyncio.wait_for(self._none_open.wait(), _LOOK_S)

    def end_late(self) -> None:
        """End those whose time is over."""
        now, strained = self.time(), len(self._open) >= self.most * STRAINED_FROM
        for session in [one for one in self._open if one.deadline(strained=strained) < now]:
            session.end(TIMEOUT, "timeout")

    def end_idle(self) -> None:
        """End those in which nobody is logged in, but for those whose client may be about to."""
        for session in [one for one in self._open if self._is_over(one)]:
            session.end(STOPPING, "stopping")

    def is_to_end(self, session: OpenSession) -> bool:
        """Tell whether a session has to end now because the process does."""
        return self.draining and self._is_over(session)

    def _is_over(self, session: OpenSession) -> bool:
        return session.is_idle and session.last_step < self.time() - BEGINNING_S

    def end_all(self) -> None:
        """End all."""
        for session in list(self._open):
            session.end(STOPPING, "stopping")
