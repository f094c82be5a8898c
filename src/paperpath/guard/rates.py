"""How much of something each of many had in the last while.  Pure: the time, in seconds of any clock, is an argument.

A period is cut into slots, and what was counted is kept a slot.  What counts now is all slots that the last period
touches, so no stretch of a period's length ever holds more than its rate allows; what is past its period may count for
one slot longer.
"""

import msgspec

from paperpath.base.bounded import make_room
from paperpath.wire.guard import Rate

SLOTS = 12
"""In a period: what is over counts at most a twelfth of the period longer."""


class Counter(msgspec.Struct, frozen=True, array_like=True):
    """What was counted of one name, as it is kept over restarts."""

    name: str
    period_s: int
    slots: dict[int, int]


class Rates:
    """Counters by name and period.  The number of counters is bounded; the one that was used longest ago goes first."""

    def __init__(self, counters_most: int) -> None:
        self._most = counters_most
        self._counters: dict[tuple[str, int], dict[int, int]] = {}

    def __len__(self) -> int:
        return len(self._counters)

    def kept(self) -> tuple[Counter, ...]:
        """Return all counters, the one that was used longest ago first."""
        return tuple(Counter(name, period_s, slots) for (name, period_s), slots in self._counters.items())

    def restore(self, kept: tuple[Counter, ...]) -> None:
        """Take what was kept, as far as it fits."""
        for one in kept[-self._most :]:
            self._counters[one.name, one.period_s] = one.slots

    def take(self, name: str, amount: int, rates: tuple[Rate, ...], now: float) -> int:
        """Count ``amount`` where every rate allows it; return 0, or after how many seconds to ask again."""
        again = max((self._again(name, amount, rate, now) for rate in rates), default=0)
        if not again:
            for period_s in {rate.period_s for rate in rates}:
                self._add(name, amount, period_s, now)
        return again

    def count(self, name: str, amount: int, rate: Rate, now: float) -> int:
        """Count what has happened already; return 0, or where that was too much, after how many seconds it is not."""
        if amount:
            self._add(name, amount, rate.period_s, now)
        return self._again(name, 0, rate, now)

    def _add(self, name: str, amount: int, period_s: int, now: float) -> None:
        key = name, period_s
        slots = self._counters.pop(key, None)
        if slots is None:
            make_room(self._counters, self._most)
            slots = {}
        self._counters[key] = slots
        slot = _slot(now, period_s)
        slots[slot] = slots.get(slot, 0) + amount

    def _again(self, name: str, amount: int, rate: Rate, now: float) -> int:
        slots = self._counters.get((name, rate.period_s), {})
        current = _slot(now, rate.period_s)
        for old in [slot for slot in slots if slot < current - SLOTS]:
            del slots[old]
        used = sum(slots.values())
        if used + amount <= rate.most:
            return 0
        if amount > rate.most:
            return rate.period_s
        for slot in sorted(slots):
            used -= slots[slot]
            if used + amount <= rate.most:
                end = (slot + SLOTS + 1) * rate.period_s / SLOTS
                return max(1, int(end - now) + 1)
        return rate.period_s


def _slot(now: float, period_s: int) -> int:
    return int(now * SLOTS / period_s)
