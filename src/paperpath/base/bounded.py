"""Tables that never hold more than so many entries."""

from typing import TypeVar

K = TypeVar("K")
V = TypeVar("V")


def make_room(table: dict[K, V], most: int) -> None:
    """Make room for one entry more where there are ``most``: the one that came first goes."""
    if len(table) >= most:
        del table[next(iter(table))]
