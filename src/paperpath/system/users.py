"""The user database, with its errors.

Python's `pwd` answers "no such user" also when the database could not be asked.  Mail must know the
difference: the one refuses a recipient, the other is temporary.
"""

import ctypes
import errno
import os
import pwd
from dataclasses import dataclass

_NOT_THERE = {0, errno.ENOENT, errno.ESRCH}
_BUFFER_BYTES = 4096
_BUFFER_MOST_BYTES = 1 << 20


@dataclass(frozen=True, slots=True)
class User:
    """A system account."""

    name: str
    uid: int
    gid: int
    home: str


class _Passwd(ctypes.Structure):
    """``struct passwd`` of Linux C libraries."""

    _fields_ = (
        ("name", ctypes.c_char_p),
        ("password", ctypes.c_char_p),
        ("uid", ctypes.c_uint32),
        ("gid", ctypes.c_uint32),
        ("gecos", ctypes.c_char_p),
        ("home", ctypes.c_char_p),
        ("shell", ctypes.c_char_p),
    )


_libc = ctypes.CDLL(None)
_getpwnam = _libc.getpwnam_r
_getpwnam.argtypes = (
    ctypes.c_char_p,
    ctypes.POINTER(_Passwd),
    ctypes.c_char_p,
    ctypes.c_size_t,
    ctypes.POINTER(ctypes.c_void_p),
)
_getpwnam.restype = ctypes.c_int


def find_user(name: str) -> User | None:
    """Return the account of that name, or None where there is none for certain.

    Raises OSError where the database could not be asked.
    """
    raw = os.fsencode(name)
    if not raw or b"\0" in raw:
        return None
    size = _BUFFER_BYTES
    while True:
        entry, found, buffer = _Passwd(), ctypes.c_void_p(), ctypes.create_string_buffer(size)
        failure = _getpwnam(raw, ctypes.byref(entry), buffer, size, ctypes.byref(found))
        if failure != errno.ERANGE or size >= _BUFFER_MOST_BYTES:
            break
        size *= 2
    if found.value is not None:
        return User(os.fsdecode(entry.name), entry.uid, entry.gid, os.fsdecode(entry.home))
    if failure in _NOT_THERE:
        return None
    raise OSError(failure, os.strerror(failure), "user database")


def own_uid() -> int:
    """Return the user id this process acts as."""
    return os.geteuid()


def user_name(uid: int) -> str:
    """Return the name of a user id, or the number where it has none."""
    try:
        return pwd.getpwuid(uid).pw_name
    except KeyError:
        return str(uid)
