"""When a deferred recipient is tried again: qmail's quadratic schedule (reference 10.3).  Pure."""

from math import isqrt

_SKIP_S = {"local": 10, "remote": 20}
"""qmail's constants: the first retry comes after 100 s locally, after 400 s remotely."""

_JITTER = 0.1
"""Share of the interval by which a retry may come later, so that what failed together does not return together."""

_AGENT_LOST_S = 5
"""First retry after a delivery agent died: the fault is ours and probably over, but it doubles with each attempt."""


def next_attempt(channel: str, birth: int, now: int, chance: float) -> int:
    """Return the time of the next attempt.  ``chance`` is a random number from 0 to 1 that spreads retries."""
    birth = min(birth, now)  # a clock that was ahead when the message came must not hold it for as long
    age = now - birth
    due = birth + (isqrt(age) + _SKIP_S[channel]) ** 2
    return due + int((due - now) * _JITTER * chance)


def after_lost_agent(channel: str, birth: int, now: int, attempts: int, chance: float) -> int:
    """Return the time of the next attempt where the agent died under the last one."""
    return min(next_attempt(channel, birth, now, chance), now + (_AGENT_LOST_S << min(attempts, 10)))
