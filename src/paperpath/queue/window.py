"""Which destinations may be given work now.  Pure.

What is under way is counted against three limits: of the channel, of the destination, and (by the caller) of an
agent's being there at all.  Destinations that have due work waiting in the store stand in line; each turn the first
that has room is served and goes to the end, so none starves another.
"""

from collections import Counter, OrderedDict

import msgspec

Key = tuple[str, str]
"""Channel and destination."""


class Limits(msgspec.Struct, frozen=True):
    """Jobs at once on one channel, and at one destination of it."""

    channel: int
    destination: int


class Window:
    """The counts and the line."""

    def __init__(self, limits: dict[str, Limits]) -> None:
        self._limits = limits
        self._channel: Counter[str] = Counter()
        self._destination: Counter[Key] = Counter()
        self._line: OrderedDict[Key, None] = OrderedDict()
        self._down: dict[Key, tuple[int, int]] = {}
        self._shut: set[str] = set()

    @property
    def under_way(self) -> int:
        """Jobs under way in all."""
        return self._channel.total()

    def set_limits(self, limits: dict[str, Limits]) -> None:
        """Put other limits in force; what is under way stays."""
        self._limits = limits

    def shut(self, channel: str) -> None:
        """Start nothing on this channel: its agents are gone, or we are ending."""
        self._shut.add(channel)

    def unshut(self, channel: str) -> None:
        """Undo ``shut``."""
        self._shut.discard(channel)

    def is_shut(self, channel: str) -> bool:
        """Tell whether nothing starts on this channel."""
        return channel in self._shut or not self._limits[channel].channel

    def room(self, key: Key, now: int) -> int:
        """Return how many jobs could start at this destination now."""
        channel = key[0]
        if channel in self._shut or self.down_until(key, now):
            return 0
        limits = self._limits[channel]
        free = min(limits.channel - self._channel[channel], limits.destination - self._destination.get(key, 0))
        return max(0, free)

    def may_start_fresh(self, key: Key, now: int) -> bool:
        """Tell whether new mail may go straight out: there is room, and nothing older stands in line for it."""
        return key not in self._line and self.room(key, now) > 0

    def start(self, key: Key) -> None:
        """Count a job."""
        self._channel[key[0]] += 1
        self._destination[key] += 1

    def end(self, key: Key) -> None:
        """A job has ended."""
        self._channel[key[0]] -= 1
        self._destination[key] -= 1
        if not self._destination[key]:
            del self._destination[key]

    def wait(self, key: Key) -> None:
        """There is due work for this destination in the store.

        A line that is full takes nobody: when it has been served, the store is asked who else is due.
        """
        if len(self._line) < _LINE_MOST:
            self._line.setdefault(key)

    def emptied(self, key: Key) -> None:
        """There is no more due work for this destination."""
        self._line.pop(key, None)

    def next_waiting(self, now: int) -> tuple[Key, int] | None:
        """Return the first destination in line that has room, and how much; it goes to the end of the line."""
        for key in self._line:
            room = self.room(key, now)
            if room:
                self._line.move_to_end(key)
                return key, room
        return None

    def mark_down(self, key: Key, now: int) -> int:
        """Leave a destination alone that could not be reached, twice as long each time; return until when."""
        _, pause = self._down.get(key, (0, _DOWN_FIRST_S // 2))
        pause = min(pause * 2, _DOWN_MOST_S)
        if len(self._down) >= _DOWN_REMEMBERED:
            self._down.pop(next(iter(self._down)))
        self._down[key] = (now + pause, pause)
        return now + pause

    def mark_up(self, key: Key) -> None:
        """A destination was reached."""
        self._down.pop(key, None)

    def forget_down(self) -> None:
        """Try every destination again: somebody who should know says that it is worth it."""
        self._down.clear()

    def down_until(self, key: Key, now: int) -> int:
        """Return until when a destination is left alone; 0 where it is not."""
        until, _ = self._down.get(key, (0, 0))
        return until if until > now else 0

    @property
    def has_line(self) -> bool:
        """Whether any destination stands in line."""
        return bool(self._line)

    def unready(self, now: int) -> frozenset[Key]:
        """Return the destinations that need no asking about: in line already, or left alone."""
        return frozenset(self._line.keys() | {key for key, (until, _) in self._down.items() if until > now})

    def next_up(self, now: int) -> int | None:
        """Return when the first destination that is left alone may be tried again."""
        return min((until for until, _ in self._down.values() if until > now), default=None)


_LINE_MOST = 1000
_DOWN_FIRST_S = 60
_DOWN_MOST_S = 960
"""A dead host is knocked at every 16 minutes at the most: about what qmail's tcpto table makes of it, in the middle."""
_DOWN_REMEMBERED = 10_000
"""Destinations remembered as down; the oldest is forgotten first, which costs one attempt."""
