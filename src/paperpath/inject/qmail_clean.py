"""qmail-clean: removes files of qmail's queue for qmail-send (qmail-interfaces 8.4)."""

import os

from paperpath.inject.command import PERMANENT, TEMPORARY, qmail_home
from paperpath.inject.qmail_queue_folder import SPLIT
from paperpath.system import clock, helpers, injection

_READ_BYTES = 1024
_COMMAND_BYTES = range(7, 101)
"""How long a command is, its NUL included."""
_STALE_S = 129_600
_COMMANDS_BETWEEN = 30
_NUMBER_MOST = 1 << 64


def main(_argv: list[str]) -> int:
    """Answer one byte to each command; return 0 at the end of input."""
    try:
        os.chdir(qmail_home() + "/queue")
    except OSError:
        return TEMPORARY
    rest, count = b"", 0
    _clean_pid()
    while data := _read():
        *commands, rest = (rest + data).split(b"\0")
        rest = rest[: _COMMAND_BYTES.stop]
        for command in commands:
            try:
                injection.write_all(1, _carry_out(command))
            except OSError:
                return PERMANENT
            count += 1
            if count % _COMMANDS_BETWEEN == 0:
                _clean_pid()
    return 0


def _read() -> bytes:
    try:
        return os.read(0, _READ_BYTES)
    except OSError:
        return b""


def _carry_out(command: bytes) -> bytes:
    word, number = command[:5], command[5:]
    if len(command) + 1 not in _COMMAND_BYTES or not number.isdigit():
        return b"x"
    name = int(number) % _NUMBER_MOST
    files = {b"foop/": f"mess/{name % SPLIT}/{name}", b"todo/": f"todo/{name}"}
    if word not in files:
        return b"x"
    for path in (f"intd/{name}", files[word]):
        try:
            helpers.remove(path.encode())
        except FileNotFoundError:
            pass
        except OSError:
            return b"!"
    return b"+"


def _clean_pid() -> None:
    """Remove what qmail-queue processes left that ended long ago, as far as that can be."""
    try:
        names = os.listdir(b"pid")
    except OSError:
        return
    for name in names:
        try:
            if os.stat(b"pid/" + name).st_atime + _STALE_S <= clock.now():
                helpers.remove(b"pid/" + name)
        except OSError:
            pass
