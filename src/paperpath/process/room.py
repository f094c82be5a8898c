"""Whether there is room for mail: a full disk is told when it begins and when it is over, and not for each message."""

from collections.abc import Callable

from paperpath.system.clock import monotonic
from paperpath.telemetry.events import StorageFree, StorageFull
from paperpath.telemetry.log import Log

_QUIET_S = 60.0
"""How long nothing must have been refused before a message that is taken means that there is room again: on a disk
that is nearly full, small messages are taken between large ones that are not."""


class Room:
    """What one process has seen of it; what is refused meanwhile has a line of its own elsewhere."""

    def __init__(self, log: Log, now: Callable[[], float] = monotonic) -> None:
        self._log, self._now = log, now
        self._began: float | None = None
        self._last = 0.0
        self._refused = 0

    def lacks(self, error: str, *, refused: int = 0) -> None:
        """Something found no room, and so many messages were refused for it."""
        self._last = self._now()
        if self._began is None:
            self._began, self._refused = self._last, 0
            self._log.emit(StorageFull(error=error))
        self._refused += refused

    def is_there(self) -> None:
        """A message found room."""
        if self._began is None or self._now() - self._last < _QUIET_S:
            return
        self._log.emit(StorageFree(refused=self._refused, duration_s=self._last - self._began))
        self._began = None
