"""The open sessions of one process, whatever they speak."""

import asyncio
import contextlib
from collections import Counter
from collections.abc import Callable
from typing import NamedTuple, Protocol

from paperpath.base.reply import Reply
from paperpath.process.proxied import SpokenFor
from paperpath.receive import replies
from paperpath.receive.standing import THIS_HOST, Rank, Standing
from paperpath.receive.turned_away import TurnedAwayLately

STRAINED_FROM = 0.75
"""The part of what there is from which on it is running short."""


BEGINNING_S = 2.0
"""How long a session that has just begun may be silent when the process is to end: its client is about to say what it
came for, and a mail program would show its user that it could not."""

_LOOK_S = 0.25
"""How often a process that is to end looks for sessions that have fallen silent."""

_STRAIN_MOST = {Rank.STRANGER: 0.8, Rank.KNOWN: 0.9, Rank.TRUSTED: 1.0}
"""Strain from which on nobody of a rank is let in."""


class OpenSession(Protocol):
    """What is asked of a session while it is open."""

    last_input: float
    """When it last got on, in the loop's time: bytes alone are not enough where they are to bring something."""

    @property
    def is_idle(self) -> bool:
        """Whether ending it now would interrupt nothing."""

    @property
    def has_brought(self) -> bool:
        """Whether a message was accepted in it."""

    @property
    def waits_for_us(self) -> bool:
        """Whether it is our turn to say something."""

    @property
    def sends_content(self) -> bool:
        """Whether the content of a message is on its way."""

    def end(self, last: Reply, result: str, /) -> None:
        """End it."""


class Patience(NamedTuple):
    """How long, in seconds, a session may get nowhere."""

    command_s: float
    content_s: float
    strained_s: float
    """A stranger's while sessions run short."""


class Sessions:
    """Counts them, and ends those that are to end."""

    def __init__(self) -> None:
        self.most = 0
        self.reserved_percent = 0
        """Of them: half for who is at least known, half for who is trusted."""
        self.strain = 0.0
        """Of what else they need: from 0, at ease, to 1, at the end."""
        self.strained_by = ""
        self.draining = False
        self.turned_away = TurnedAwayLately()
        self.time: Callable[[], float] = asyncio.get_running_loop().time
        self.spoken_for: SpokenFor = {}
        self._open: dict[OpenSession, Standing] = {}
        self._from: Counter[str] = Counter()
        self._none_open = asyncio.Event()
        self._none_open.set()

    def __len__(self) -> int:
        return len(self._open)

    def count_from(self, network: str) -> int:
        """Return how many are open from there."""
        return self._from[network]

    @property
    def is_strained(self) -> bool:
        """Whether they run short: strangers get less time then."""
        return self.strain >= STRAINED_FROM or len(self._open) >= self._room(Rank.STRANGER) * STRAINED_FROM

    @property
    def shortage(self) -> str:
        """Why one more was not let in, for the log."""
        open_now = f"{len(self._open)} of {self.most} sessions are open"
        return f"{open_now}; strained by {self.strained_by}" if self.strain >= STRAINED_FROM else open_now

    def add(self, session: OpenSession, standing: Standing = THIS_HOST) -> bool:
        """Count a session, for its networks too where they are named; False where it is one too many for its rank."""
        rank = standing.rank
        if len(self._open) >= self._room(rank) or self.strain >= _STRAIN_MOST[rank]:
            return False
        self._open[session] = standing
        if standing.network:
            self._from[standing.network] += 1
            self._from[standing.wide] += 1
            standing.came()
        self._none_open.clear()
        return True

    def discard(self, session: OpenSession) -> None:
        """It ended."""
        standing = self._open.pop(session, None)
        if standing is None:
            return
        if standing.network:
            self._give_back(standing.network)
            self._give_back(standing.wide)
            standing.left()
        if not self._open:
            self._none_open.set()

    def _give_back(self, network: str) -> None:
        self._from[network] -= 1
        if not self._from[network]:
            del self._from[network]

    def _room(self, rank: Rank) -> int:
        """Return how many may be open, whoever has them, for one of this rank to be let in."""
        if rank is Rank.TRUSTED:
            return self.most
        return self.most - self.most * self.reserved_percent * (Rank.TRUSTED - rank) // (Rank.TRUSTED * 100)

    async def all_ended(self) -> None:
        """End each as soon as nothing is interrupted by that, and wait until none is open."""
        while self._open:
            self.end_idle()
            with contextlib.suppress(TimeoutError):
                await asyncio.wait_for(self._none_open.wait(), _LOOK_S)

    def end_silent(self, patience: Patience) -> None:
        """End those that got nowhere for so long; one that waits for our answer is not silent."""
        now, strained = self.time(), self.is_strained
        latest = now - min(patience)
        for session, standing in [(s, standing) for s, standing in self._open.items() if s.last_input < latest]:
            allowed_s = patience.content_s if session.sends_content else patience.command_s
            if strained and standing.is_stranger:
                allowed_s = min(allowed_s, patience.strained_s)
            if session.last_input < now - allowed_s and not session.waits_for_us:
                session.end(replies.TOO_SLOW if session.sends_content else replies.TIMEOUT, "timeout")

    def end_idle(self) -> None:
        """End those between transactions, but for those that only begin."""
        for session in [s for s in self._open if self._is_over(s)]:
            session.end(replies.STOPPING, "stopping")

    def is_to_end(self, session: OpenSession) -> bool:
        """Tell whether a session has to end now because the process does."""
        return self.draining and self._is_over(session)

    def _is_over(self, session: OpenSession) -> bool:
        return session.is_idle and (session.has_brought or session.last_input < self.time() - BEGINNING_S)

    def end_all(self) -> None:
        """End all."""
        for session in list(self._open):
            session.end(replies.STOPPING, "stopping")
