"""Chance: the one place that draws it."""

import secrets

_STEPS = 1 << 30


def chance() -> float:
    """Return a random number from 0 to 1, 1 excluded."""
    return secrets.randbelow(_STEPS) / _STEPS
