"""Descriptors of this process: how many there are, and how many there may be."""

import os
import resource


def descriptors_most() -> int:
    """Return how many may be open."""
    return resource.getrlimit(resource.RLIMIT_NOFILE)[0]


def descriptors_used() -> int:
    """Return how many are open, gaps not counted: the kernel gives out the lowest number that is free."""
    try:
        lowest = os.dup(2)
    except OSError:  # none is left
        return descriptors_most()
    os.close(lowest)
    return lowest
