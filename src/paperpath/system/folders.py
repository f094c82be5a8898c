"""Folders with an owner, for the programs that an administrator runs as root."""

import os
import shutil
from collections.abc import Iterator
from contextlib import contextmanager


def give(path: str, uid: int, gid: int, mode: int) -> None:
    """Give ``path`` its owner, group (-1 keeps either) and mode, and sync it.

    A symbolic link is not followed.  Raises OSError.
    """
    descriptor = os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_CLOEXEC | os.O_NONBLOCK)
    try:
        now = os.fstat(descriptor)
        if uid not in (-1, now.st_uid) or gid not in (-1, now.st_gid):
            os.fchown(descriptor, uid, gid)
        os.fchmod(descriptor, mode)
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


@contextmanager
def acting_as_owner_of(folder: str) -> Iterator[None]:
    """Work with the rights of the folder's owner and nothing more, where root does it; otherwise change nothing.

    What is made gets the right owner by itself, and links that the owner has put there lead root nowhere that the owner
    could not go.  Not for programs with threads: the kernel's notion of user is changed for all of them.
    """
    owner = os.stat(folder)
    if os.geteuid() != 0 or owner.st_uid == 0:
        yield
        return
    groups, gid = os.getgroups(), os.getegid()
    os.setgroups([owner.st_gid])
    os.setegid(owner.st_gid)
    os.seteuid(owner.st_uid)
    try:
        yield
    finally:
        os.seteuid(0)
        os.setegid(gid)
        os.setgroups(groups)


def remove_tree(folder: str) -> None:
    """Delete a folder and everything in it; links are deleted, not followed.  Raises OSError."""
    shutil.rmtree(folder)
