"""When the store is asked for due work, and for which destination.

New mail starts at once where the window has room.  The rest is claimed from the store: when a slot becomes free and a
destination stands in line, and when the clock reaches the moment at which something becomes due.
"""

import asyncio
from collections.abc import Callable

from paperpath.queue.jobs import Work, of_claimed
from paperpath.queue.journal import Journal
from paperpath.queue.window import Key, Window
from paperpath.queue.writer import Writer
from paperpath.store.contract import Claimed, DestinationDue, Store, StoreFull
from paperpath.system.clock import now

_LINE = 200
"""Destinations fetched into the line at once; the store keeps the others."""

_AGAIN_S = 5
"""When to look again after looking failed."""


class Schedule:
    """Looks into the store and begins what is due."""

    def __init__(
        self,
        window: Window,
        writer: Writer,
        journal: Journal,
        begin: Callable[[Work], None],
        transaction_recipients: int,
    ) -> None:
        self.transaction_recipients = transaction_recipients
        self._loop = asyncio.get_running_loop()
        self._window, self._writer, self._journal, self._begin = window, writer, journal, begin
        self._pump_scheduled = False
        self._looking = False
        self._look_again = False
        self._more = False
        self._wake_at = 0
        self._timer: asyncio.TimerHandle | None = None

    def pump(self) -> None:
        """Soon, in this turn of the loop: claim for whoever stands in line and has room."""
        if not self._pump_scheduled:
            self._pump_scheduled = True
            self._loop.call_soon(self._pump)

    def look(self) -> None:
        """Look into the store for destinations with due work, now."""
        if self._looking:
            self._look_again = True
            return
        self._looking = True
        moment = int(now())
        channels, skip = self._window.open_channels(), self._window.unready(moment)

        def work(store: Store) -> tuple[list[DestinationDue], int | None]:
            return store.due_destinations(moment, _LINE, channels, skip), store.next_due(moment)

        self._writer.call(work, self._looked)

    def wake(self, at: int) -> None:
        """Something becomes due ``at`` that moment: look then at the latest."""
        if self._timer is not None and self._wake_at <= at:
            return
        if self._timer is not None:
            self._timer.cancel()
        self._wake_at = at
        # A due time is a whole second; a moment later it is certainly past.
        self._timer = self._loop.call_later(max(0.0, at - now()) + 0.01, self._woken)

    def stop(self) -> None:
        """Look no more."""
        if self._timer is not None:
            self._timer.cancel()

    def _woken(self) -> None:
        self._timer = None
        self.look()

    def _looked(self, answer: tuple[list[DestinationDue], int | None] | Exception) -> None:
        self._looking = False
        moment = int(now())
        if isinstance(answer, Exception):
            self._failed("looking for due work", answer)
            self.wake(moment + _AGAIN_S)
            return
        destinations, next_due = answer
        self._more = len(destinations) == _LINE
        for found in destinations:
            self._window.wait((found.channel, found.destination), moment)
        for at in (next_due, self._window.next_up(moment)):
            if at is not None:
                self.wake(at)
        if self._look_again:
            self._look_again = False
            self.look()
        self.pump()

    def _pump(self) -> None:
        self._pump_scheduled = False
        moment = int(now())
        while (waiting := self._window.next_waiting(moment)) is not None:
            self._claim(*waiting, moment)

    def _claim(self, key: Key, room: int, moment: int) -> None:
        """Ask the store for ``room`` jobs at one destination; their places are taken at once."""
        for _ in range(room):
            self._window.start(key)
        channel, destination = key
        per_message = 1 if channel == "local" else self.transaction_recipients
        self._writer.call(
            lambda store: store.claim(channel, destination, moment, room, per_message),
            lambda answer: self._claimed(key, room, answer),
        )

    def _claimed(self, key: Key, room: int, answer: list[Claimed] | Exception) -> None:
        if isinstance(answer, Exception):
            self._give_back(key, room)
            self._window.emptied(key)
            self._failed("claiming due work", answer)
            self.wake(int(now()) + _AGAIN_S)
            return
        if len(answer) < room:
            self._window.emptied(key)
            self._give_back(key, room - len(answer))
            self.pump()
            if not self._window.line or (self._more and self._window.line < _LINE // 2):
                self.look()
        for claimed in answer:
            self._begin(of_claimed(claimed))

    def _failed(self, what: str, error: Exception) -> None:
        if isinstance(error, StoreFull):  # a claim is written down too
            self._journal.room.lacks(f"{what}: {error}")
        else:
            self._journal.broken(what, error)

    def _give_back(self, key: Key, places: int) -> None:
        for _ in range(places):
            self._window.end(key)
