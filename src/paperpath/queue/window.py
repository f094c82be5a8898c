"""Which destinations may be given work now.  Pure.

What is under way is counted against three limits: of the channel, of the destination, and (by the caller) of an
agent's being there at all.  Destinations that have due work waiting in the store stand in line; each turn the first
that has room is served and goes to the end, so none starves another.
"""

from collections import Counter, OrderedDict
from collections.abc import Callable

import msgspec

from paperpath.base.bounded import make_room

_LINE_MOST = 1000
_DOWN_FIRST_S = 60
_DOWN_MOST_S = 960
"""A dead host is knocked at every 16 minutes at the most: about what qmail's tcpto table makes of it, in the middle."""
_MOMENTS_MOST = 100
"""Of one destination; beyond that the latest may be decided late."""
_DOWN_REMEMBERED = 10_000
"""Destinations remembered as down; the oldest is forgotten first, which costs one attempt."""

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
        self._decide_at: dict[Key, set[int]] = {}
        self._shut: set[str] = set()
        self.under_way = 0
        """Jobs under way in all."""
        self.on_idle: Callable[[], None] = lambda: None
        """Called when the last job under way has ended."""

    def set_limits(self, limits: dict[str, Limits]) -> None:
        """Put other limits in force; what is under way stays."""
        self._limits = limits

    def shut(self, channel: str) -> None:
        """Start nothing on this channel: its agents are gone, or we are ending."""
        self._shut.add(channel)
        for key in [key for key in self._line if key[0] == channel]:
            self.emptied(key)

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
        self.under_way += 1
        self._channel[key[0]] += 1
        self._destination[key] += 1

    def end(self, key: Key) -> None:
        """A job has ended."""
        self.under_way -= 1
        self._channel[key[0]] -= 1
        self._destination[key] -= 1
        if not self._destination[key]:
            del self._destination[key]
        if not self.under_way:
            self.on_idle()

    def wait(self, key: Key, now: int) -> None:
        """There is due work for this destination in the store.

        A destination that may get nothing now takes no place in line, and a line that is full takes nobody: the
        store is asked who is due when that changes.
        """
        if len(self._line) < _LINE_MOST and not self.is_shut(key[0]) and not self.down_until(key, now):
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
        """Leave a destination alone that could not be reached, twice as long each time; return until when.

        Jobs that were under way together and fail together count once.
        """
        until, pause = self._down.pop(key, (0, _DOWN_FIRST_S // 2))
        if until <= now:
            pause = min(pause * 2, _DOWN_MOST_S)
            until = min([now + pause, *self._moments(key, now)])
        make_room(self._down, _DOWN_REMEMBERED)
        self._down[key] = (until, pause)
        self.emptied(key)
        return until

    def decide_at(self, key: Key, at: int, now: int) -> None:
        """Leave a destination alone no longer than ``at``, also if it is found down until then: something must be
        decided at that moment about what waits there."""
        if key not in self._decide_at:
            make_room(self._decide_at, _DOWN_REMEMBERED)
        moments = self._decide_at[key] = {*self._moments(key, now), at}
        if len(moments) > _MOMENTS_MOST:
            moments.remove(max(moments))
        until, pause = self._down.get(key, (0, 0))
        if until > at:
            self._down[key] = (at, pause)

    def _moments(self, key: Key, now: int) -> set[int]:
        """Return the moments to come; forget those that are past."""
        moments = {at for at in self._decide_at.pop(key, ()) if at > now}
        if moments:
            self._decide_at[key] = moments
        return moments

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
    def line(self) -> int:
        """How many destinations stand in line."""
        return len(self._line)

    def open_channels(self) -> frozenset[str]:
        """Return the channels on which something may start."""
        return frozenset(channel for channel in self._limits if not self.is_shut(channel))

    def unready(self, now: int) -> frozenset[Key]:
        """Return the destinations that need no asking about: in line already, or left alone."""
        return frozenset(self._line.keys() | {key for key, (until, _) in self._down.items() if until > now})

    def next_up(self, now: int) -> int | None:
        """Return when the first destination that is left alone may be tried again."""
        return min((until for until, _ in self._down.values() if until > now), default=None)
