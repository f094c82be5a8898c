"""Linux calls that Python does not offer, each as a plain function that raises OSError.

Where a kernel or file system lacks one, its caller has another way; the functions here say so and choose
nothing.
"""

import ctypes
import os

_libc = ctypes.CDLL(None, use_errno=True)

_SYNC_FILE_RANGE_WRITE = 2
_RENAME_NOREPLACE = 1
_PR_SET_NO_NEW_PRIVS = 38


def _declare(name: str, *arguments: type) -> "ctypes._FuncPointer | None":
    function = getattr(_libc, name, None)
    if function is not None:
        function.argtypes = arguments
        function.restype = ctypes.c_int
    return function


_sync_file_range = _declare("sync_file_range", ctypes.c_int, ctypes.c_int64, ctypes.c_int64, ctypes.c_uint)
_renameat2 = _declare("renameat2", ctypes.c_int, ctypes.c_char_p, ctypes.c_int, ctypes.c_char_p, ctypes.c_uint)
_syncfs = _declare("syncfs", ctypes.c_int)
_prctl = _declare("prctl", ctypes.c_int, *[ctypes.c_ulong] * 4)

HAS_RENAMEAT2 = _renameat2 is not None
"""Whether the C library has the call; the file system may still refuse it with EINVAL."""


def _raise_errno(what: str) -> None:
    number = ctypes.get_errno()
    raise OSError(number, os.strerror(number), what)


def start_writeout(descriptor: int) -> None:
    """Ask the kernel to begin writing a file's dirty pages, without waiting and without any promise.

    A hint: an fsync must follow, and it alone reports errors.  So errors here are left to it.
    """
    if _sync_file_range is not None:
        _sync_file_range(descriptor, 0, 0, _SYNC_FILE_RANGE_WRITE)


def rename_exclusively(old_folder: int, new_folder: int, name: bytes) -> None:
    """Move ``name`` between two open folders, atomically.  Raises FileExistsError rather than replace a file.

    Raises OSError with EINVAL or ENOSYS where kernel or file system cannot (NFS, for one).
    """
    assert _renameat2 is not None
    if _renameat2(old_folder, name, new_folder, name, _RENAME_NOREPLACE):
        _raise_errno(os.fsdecode(name))


def sync_file_system(descriptor: int) -> None:
    """Make everything durable on the file system that an open file lies on, names of files too."""
    if _syncfs is None:
        os.sync()
    elif _syncfs(descriptor):
        _raise_errno("syncfs")


def forbid_new_privileges() -> None:
    """Give up set-user-id programs and file capabilities, for this process and all it starts; there is no way back."""
    if _prctl is None or _prctl(_PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0):
        _raise_errno("no_new_privs")
