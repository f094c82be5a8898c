"""Chance: the one place that draws it."""

import secrets

_STEPS = 1 << 30


def chance() -> float:
    """Return a random number from 0 to 1, 1 excluded."""
    return secrets.randbelow(_STEPS) / _STEPS


def random_bytes(count: int) -> bytes:
    """Return bytes that nobody can guess, fit for keys."""
    return secrets.token_bytes(count)
