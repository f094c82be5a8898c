"""A queue of qmail's own, as it lies on disk (qmail-interfaces 8): what it holds, for looking at.

A host that has moved may still have one, and qmail-send's programs work on it.
"""

import os

from paperpath.base.calendar import MONTHS
from paperpath.inject.command import reason

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterator

SPLIT = 23
"""Folders that files of the queue are spread over, by their numbers."""
_STATES = {b"T": "", b"D": "  done"}


def is_there(home: str) -> bool:
    """Tell whether there is one."""
    return os.path.isdir(f"{home}/queue/info") and os.path.isdir(f"{home}/queue/mess")


def count(home: str) -> tuple[int, int]:
    """Return how many messages it has, and how many of them nobody has looked at yet.  Raises OSError."""
    folder = f"{home}/queue"
    messages = sum(len(os.listdir(f"{folder}/mess/{part}")) for part in os.listdir(f"{folder}/mess"))
    return messages, len(os.listdir(f"{folder}/todo"))


def listing(home: str) -> "Iterator[str]":
    """Yield what is shown of each message; of one that cannot be read, why.  Raises OSError."""
    folder = f"{home}/queue"
    for part in range(SPLIT):
        for name in sorted(_names(f"{folder}/info/{part}"), key=int):
            try:
                yield "".join(_message(folder, name))
            except OSError as error:
                yield f"warning: trouble with #{name}: {reason(error)}\n"


def _names(folder: str) -> list[str]:
    return [name for name in os.listdir(folder) if name.isdigit()] if os.path.isdir(folder) else []


def _message(folder: str, name: str) -> "Iterator[str]":
    path = f"{int(name) % SPLIT}/{name}"
    size = os.stat(f"{folder}/mess/{path}").st_size
    bouncing = " bouncing" if os.path.exists(f"{folder}/bounce/{name}") else ""
    with open(f"{folder}/info/{path}", "rb") as file:
        birth, sender = int(os.fstat(file.fileno()).st_mtime), file.read().partition(b"\0")[0][1:]
    yield f"{date(birth)}  #{name}  {size}  <{shown(sender)}> {bouncing}\n"
    for channel in ("local", "remote"):
        try:
            with open(f"{folder}/{channel}/{path}", "rb") as file:
                records = file.read().split(b"\0")[:-1]
        except FileNotFoundError:
            continue
        for record in records:
            if record[:1] in _STATES:
                yield f"{_STATES[record[:1]]}\t{channel}\t{shown(record[1:])}\n"


def date(seconds: int) -> str:
    """Return ``26 Sep 1995 04:46:54 GMT``."""
    from time import gmtime

    t = gmtime(seconds)
    return f"{t.tm_mday} {MONTHS[t.tm_mon - 1]} {t.tm_year} {t.tm_hour:02d}:{t.tm_min:02d}:{t.tm_sec:02d} GMT"


def shown(address: bytes) -> str:
    """Return an address with what does not print as ``_``."""
    return "".join(chr(byte) if 32 <= byte < 127 else "_" for byte in address)
