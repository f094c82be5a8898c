"""qmail-newu: makes users/cdb from users/assign (qmail-interfaces 4.1 and 4.2)."""

import os

from paperpath.base.cdb import build
from paperpath.inject.command import TEMPORARY, fatal, qmail_home

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterator

_FIELDS = 6
_MODE = 0o644


class BadFormat(ValueError):
    """The file is not one of assignments."""


def main(_argv: list[str]) -> int:
    """Return 0, or 111; then the old file is in place."""
    home = qmail_home()
    folder = home + "/users"
    if not os.path.isdir(home):
        return fatal("qmail-newu", "unable to chdir", TEMPORARY)
    try:
        with open(f"{folder}/assign", "rb") as file:
            assignments = file.read()
    except OSError:
        return fatal("qmail-newu", "unable to open users/assign", TEMPORARY)
    try:
        table = build(records(assignments))
    except BadFormat:
        return fatal("qmail-newu", "bad format in users/assign", TEMPORARY)
    except ValueError:
        return fatal("qmail-newu", "too much for users/cdb", TEMPORARY)
    from paperpath.system.files import write_file_durably

    try:
        write_file_durably(f"{folder}/cdb", table, _MODE)
    except OSError:
        return fatal("qmail-newu", "unable to open users/cdb.tmp", TEMPORARY)
    return 0


def records(assignments: bytes) -> "Iterator[tuple[bytes, bytes]]":
    """Yield the keys and data of users/cdb.  Raises BadFormat."""
    last_characters: list[bytes] = []
    for line in _lines(assignments):
        name, colon, rest = line.partition(b":")
        if not name or not colon or b"\0" in line or rest.count(b":") < _FIELDS:
            raise BadFormat
        data = b"\0".join(rest.split(b":", _FIELDS)[:_FIELDS])
        key = b"!" + name[1:].lower()
        if name[:1] != b"+":
            yield key + b"\0", data
            continue
        if len(name) > 1 and name[-1:] not in last_characters:
            last_characters.append(name[-1:])
        yield key, data
    yield b"", b"".join(last_characters)


def _lines(assignments: bytes) -> "Iterator[bytes]":
    """Yield the lines before the one that begins with a dot.  Raises BadFormat where there is none."""
    at = 0
    while not assignments.startswith(b".", at):
        end = assignments.find(b"\n", at)
        if end < 0:
            raise BadFormat
        yield assignments[at:end]
        at = end + 1
