"""Whose an address is on a qmail host: `users/cdb` first, then qmail-getpw's rules, then the alias user.

Reference 4 and 5.  Looks only: at one file, at the user database, and at who owns a home.  `local`'s root half uses
it, `paperpath explain` tells it, qmail-getpw prints it.
"""

import errno
import os
import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass

from paperpath.base.cdb import Cdb
from paperpath.config.cdb_file import CdbFile
from paperpath.system.users import User

FindUser = Callable[[str], User | None]
Stat = Callable[[str], os.stat_result]

ALIAS_USER = "alias"
"""Who gets what belongs to no account (reference 1.2)."""

_BREAK = b"-"
_NAME_MOST_BYTES = 31
"""qmail-getpw's bound on a name that it asks the user database for."""
_NAME = re.compile(rb"[!-.0-9;-~]{1,%d}" % _NAME_MOST_BYTES)
"""Printable ASCII, without what a path or a line of the user database is made of."""

_IDS_END = (1 << 32) - 1
_NOT_THERE = {errno.ENOENT, errno.ENOTDIR}


@dataclass(frozen=True, slots=True)
class Assignment:
    """An address's account, in the six fields of users/assign."""

    user: str
    uid: int
    gid: int
    home: str
    dash: bytes
    extension: bytes
    """In its own spelling."""


class Assignments:
    """`users/cdb` of a qmail home, read again when it was replaced."""

    def __init__(self, home: str) -> None:
        self._file = CdbFile(home + "/users/cdb")

    def find(self, local: bytes) -> Assignment | None:
        """Return what is assigned to a local part, or None, also where there is no such file.

        Raises OSError, and ValueError where the file is not what qmail-newu writes: both are temporary.
        """
        table = self._file.load()
        return None if table is None else assigned(table, local)


def assigned(table: Cdb, local: bytes) -> Assignment | None:
    """Look a local part up as qmail-lspawn does: the whole, then the longest prefix.  Raises ValueError."""
    last_characters = table.find(b"")
    if last_characters is None:
        raise ValueError("users/cdb has no index of last characters")
    found = table.find(b"!" + local.lower() + b"\0")
    if found is not None:
        return _assignment(found, b"")
    for end in range(len(local), -1, -1):
        key = b"!" + local[:end].lower()
        if end == 0 or key[-1] in last_characters:
            found = table.find(key)
            if found is not None:
                return _assignment(found, local[end:])
    return None


def _assignment(data: bytes, rest: bytes) -> Assignment:
    """Read the fields of a record, ``rest`` put behind the last.  Raises ValueError."""
    fields = data.split(b"\0")
    if len(fields) < 6:
        raise ValueError("users/cdb: a record has fewer than six fields")
    user, uid, gid, home, dash, extension = fields[:6]
    if not user or not home.startswith(b"/"):
        raise ValueError("users/cdb: a record names no user, or no absolute home")
    path = os.path.normpath(os.fsdecode(home))
    return Assignment(os.fsdecode(user), _id(uid), _id(gid), path, dash, extension + rest)


def _id(text: bytes) -> int:
    if not text.isdigit() or len(text) > 10 or int(text) >= _IDS_END:
        raise ValueError("users/cdb: an id is not a number")
    return int(text)


def getpw(local: bytes, find_user: FindUser, stat: Stat = os.stat) -> Assignment | None:
    """Return the account with the longest name that the local part is or begins with, up to a ``-``.

    Where there is none, it is the alias user's, with the local part as extension; None where there is no alias
    user either.  Raises OSError.
    """
    for name, dash, extension in splits(local):
        user = eligible(name, find_user, stat)
        if user is not None:
            return Assignment(user.name, user.uid, user.gid, user.home, dash, extension)
    alias = find_user(ALIAS_USER)
    if alias is None:
        return None
    return Assignment(alias.name, alias.uid, alias.gid, os.path.normpath(alias.home), _BREAK, local)


def splits(local: bytes) -> Iterator[tuple[bytes, bytes, bytes]]:
    """Yield the ways to read a local part as account name, dash and extension: the longest name first."""
    yield local.lower(), b"", b""
    at = local.rfind(_BREAK)
    while at >= 0:
        yield local[:at].lower(), _BREAK, local[at + 1 :]
        at = local.rfind(_BREAK, 0, at)


def eligible(name: bytes, find_user: FindUser, stat: Stat = os.stat) -> User | None:
    """Return the account if mail may be delivered for it: not root's, and its home is there and its own.

    Raises OSError where that cannot be told.
    """
    if not _NAME.fullmatch(name):
        return None
    user = find_user(name.decode("ascii"))
    if user is None or user.uid == 0 or not user.home.startswith("/"):
        return None
    try:
        if stat(user.home).st_uid != user.uid:
            return None
    except OSError as error:
        if error.errno in _NOT_THERE:
            return None
        raise
    return User(user.name, user.uid, user.gid, os.path.normpath(user.home))
