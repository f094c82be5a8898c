"""Whether the users of the processes may run this Python and read Paperpath: for `doctor` and `init --system`."""

import os
import stat
import sys

import paperpath

ADVICE = "install Paperpath with a Python, and into a folder, that every user may enter: docs/howto/install.md"


def closed_to_others() -> str:
    """Return what keeps others from using the running interpreter and its Paperpath, or nothing."""
    return obstacle_to(sys.executable) or obstacle_to(os.path.dirname(paperpath.__file__))


def obstacle_to(path: str) -> str:
    """Return what keeps a user who owns none of it from using what lies at a path, or nothing."""
    for end in dict.fromkeys((os.path.dirname(os.path.abspath(path)), os.path.realpath(path))):
        closed = _closed(end)
        if closed:
            return f"the users of the processes cannot use {path}: {closed} is closed to them"
    return ""


def _closed(end: str) -> str:
    """Return the first folder on the way, or the end itself, that others may not enter or execute."""
    on_the_way = [end]
    while on_the_way[-1] != "/":
        on_the_way.append(os.path.dirname(on_the_way[-1]))
    for path in reversed(on_the_way):
        if not os.stat(path).st_mode & stat.S_IXOTH:
            return path
    return ""
