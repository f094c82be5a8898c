"""What the programs that read a Maildir share (qmail-interfaces 7.3)."""

import os

from paperpath.inject.command import reason
from paperpath.system import clock, helpers

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Sequence

_STALE_S = 129_600
"""36 hours: a file in ``tmp`` that nobody looked at for so long belongs to a delivery that was cut off."""


class Fatal(Exception):
    """It cannot be read; the text says why."""


def enter() -> None:
    """Go to the Maildir that MAILDIR names.  Raises Fatal."""
    folder = os.environ.get("MAILDIR")
    if folder is None:
        raise Fatal("MAILDIR not set")
    try:
        os.chdir(folder)
    except OSError as error:
        raise Fatal(f"unable to chdir to {folder}: {reason(error)}") from None


def clean() -> None:
    """Remove what deliveries that were cut off left in ``tmp``, as far as that can be."""
    now = clock.now()
    try:
        names = os.listdir(b"tmp")
    except OSError:
        return
    for name in names:
        try:
            if not name.startswith(b".") and os.stat(b"tmp/" + name).st_atime + _STALE_S < now:
                helpers.remove(b"tmp/" + name)
        except OSError:
            continue


def scan(folders: "Sequence[bytes]") -> list[tuple[int, bytes]]:
    """Return time (seconds) and name of the messages, oldest first, none of this second's.  Raises Fatal.

    Of the same second they come in the order in which qmail's own heap gives them, which follows from the folder's.

    Others may come within this second; left for the next time, they stay in their order.
    """
    now, found = int(clock.now()), []
    for folder in folders:
        try:
            names = os.listdir(folder)
        except OSError as error:
            raise Fatal(f"unable to scan $MAILDIR/{os.fsdecode(folder)}: {reason(error)}") from None
        for name in names:
            path = folder + b"/" + name
            try:
                time = int(os.stat(path).st_mtime)
            except OSError:
                continue
            if not name.startswith(b".") and time < now:
                found.append((time, path))
    return _by_time(found)


def _by_time(found: list[tuple[int, bytes]]) -> list[tuple[int, bytes]]:
    if len({time for time, _ in found}) == len(found):
        return sorted(found)
    heap: list[tuple[int, bytes]] = []
    for one in found:
        _push(heap, one)
    return [_pop(heap) for _ in found]


def _push(heap: list[tuple[int, bytes]], one: tuple[int, bytes]) -> None:
    """Put one in; it goes up until it meets one that is as old or older."""
    at = len(heap)
    heap.append(one)
    while at and heap[(at - 1) // 2][0] > one[0]:
        heap[at] = heap[(at - 1) // 2]
        at = (at - 1) // 2
    heap[at] = one


def _pop(heap: list[tuple[int, bytes]]) -> tuple[int, bytes]:
    """Take the oldest; the last goes down from its place until it meets none that is older, the left child first."""
    oldest, last = heap[0], heap[-1]
    at, end = 0, len(heap) - 1
    while (child := 2 * at + 2) <= end:
        if heap[child - 1][0] <= heap[child][0]:
            child -= 1
        if last[0] <= heap[child][0]:
            break
        heap[at] = heap[child]
        at = child
    heap[at] = last
    heap.pop()
    return oldest
