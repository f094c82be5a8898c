"""Chance: the one place that draws it, from the kernel; `secrets` would bring `random` into every process."""

import os

_BITS = 32


def chance() -> float:
    """Return a random number from 0 to 1, 1 excluded."""
    return int.from_bytes(os.urandom(_BITS // 8)) / (1 << _BITS)


def random_bytes(count: int) -> bytes:
    """Return bytes that nobody can guess, fit for keys."""
    return os.urandom(count)
