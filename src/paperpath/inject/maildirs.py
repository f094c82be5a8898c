"""What the programs that read a Maildir share (qmail-interfaces 7.3)."""

import os

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
        raise Fatal(f"unable to chdir to {folder}: {error.strerror}") from None


def clean() -> None:
    """Remove what deliveries that were cut off left in ``tmp``, as far as that can be."""
    now = clock.now()
    try:
        for name in os.listdir(b"tmp"):
            if not name.startswith(b".") and os.stat(b"tmp/" + name).st_atime + _STALE_S < now:
                helpers.remove(b"tmp/" + name)
    except OSError:
        pass


def scan(folders: "Sequence[bytes]") -> list[tuple[int, bytes]]:
    """Return time (seconds) and name of the messages, oldest first, none of this second's.  Raises Fatal.

    Others may come within this second; left for the next time, they stay in their order.
    """
    now, found = int(clock.now()), []
    for folder in folders:
        try:
            names = os.listdir(folder)
        except OSError as error:
            raise Fatal(f"unable to scan $MAILDIR/{os.fsdecode(folder)}: {error.strerror}") from None
        for name in names:
            path = folder + b"/" + name
            try:
                time = int(os.stat(path).st_mtime)
            except OSError:
                continue
            if not name.startswith(b".") and time < now:
                found.append((time, path))
    return sorted(found)
