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


def utc(seconds: float | None = None) -> tuple[int, int, int, int, int, int]:
    """Year, month, day, hour, minute and second in UTC, of ``seconds`` since the epoch or of now."""
    t = time.gmtime(seconds)
    return t.tm_year, t.tm_mon, t.tm_mday, t.tm_hour, t.tm_min, t.tm_sec
