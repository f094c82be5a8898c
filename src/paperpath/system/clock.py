"""The clock: the one place that reads it."""

import time


def now() -> float:
    """Seconds since the epoch."""
    return time.time()


def now_microseconds() -> int:
    """Microseconds since the epoch."""
    return time.time_ns() // 1000


def monotonic() -> float:
    """Seconds on a clock that never goes back; only differences mean something."""
    return time.monotonic()
