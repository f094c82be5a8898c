"""Which processes of the service do not run, for whoever asks without being able to ask them.

The supervisor keeps it in a file that is there only while one of them keeps ending; `paperpath doctor` reads it.
"""

import contextlib
import os

import msgspec

from paperpath.base.text import one_line
from paperpath.system.files import replace_file
from paperpath.system.removal import remove_if_there

_FILE = "troubles"
_MODE = 0o644
_MOST_BYTES = 64 * 1024
_TEXT_MOST = 300


class _Kept(msgspec.Struct):
    supervisor: int
    """Its process id: what another one left behind says nothing."""
    processes: dict[str, str]


class Troubles:
    """What the supervisor knows of its processes."""

    def __init__(self, run: str) -> None:
        self._path = os.path.join(run, _FILE)
        self._known: dict[str, str] = {}

    def note(self, process: str, how: str) -> None:
        """A process ended before it worked, and will be started again; empty: it has taken its settings and works."""
        if how:
            self._known[process] = one_line(how, _TEXT_MOST)
        elif self._known.pop(process, None) is None:
            return
        self._write()

    def clear(self) -> None:
        """There is nothing to tell any more, or not yet."""
        self._known.clear()
        self._write()

    def _write(self) -> None:
        with contextlib.suppress(OSError):  # it is a convenience: the log has it too
            if self._known:
                replace_file(self._path, msgspec.json.encode(_Kept(os.getpid(), self._known)), _MODE)
            else:
                remove_if_there(self._path)


def read_troubles(run: str) -> dict[str, str]:
    """Return which processes of the service that runs do not, and how each has ended; nothing where that is not known.

    Whatever the file holds is shown to an operator only.
    """
    try:
        with open(os.path.join(run, _FILE), "rb") as file:
            kept = msgspec.json.decode(file.read(_MOST_BYTES), type=_Kept)
        return kept.processes if _is_alive(kept.supervisor) else {}
    except (OSError, msgspec.MsgspecError, OverflowError):
        return {}


def _is_alive(process: int) -> bool:
    try:
        os.kill(process, 0)
    except PermissionError:  # as somebody else
        return True
    except ProcessLookupError:
        return False
    return process > 0
