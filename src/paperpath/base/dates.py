"""Dates as mail writes them.  Time enters as an argument, in seconds since the epoch."""

from datetime import UTC, datetime
from functools import lru_cache

from paperpath.base.calendar import DAYS, MONTHS


@lru_cache(maxsize=4)
def rfc5322(seconds: int) -> str:
    """Return ``Sun, 22 Nov 2026 10:30:17 +0000`` (RFC 5322 3.3), always in UTC."""
    t = datetime.fromtimestamp(seconds, UTC)
    return f"{DAYS[t.weekday()]}, {t.day} {MONTHS[t.month - 1]} {t.year} {t.hour:02}:{t.minute:02}:{t.second:02} +0000"


@lru_cache(maxsize=4)
def iso8601(seconds: int) -> str:
    """Return ``2026-11-22T10:30:17Z``."""
    t = datetime.fromtimestamp(seconds, UTC)
    return f"{t.year}-{t.month:02}-{t.day:02}T{t.hour:02}:{t.minute:02}:{t.second:02}Z"
