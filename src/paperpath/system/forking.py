"""Becoming another user in a copy of this process: for workers, whose interpreter is warm already.

A program that is started anew (`system.spawn`) costs as much processor time as some hundred deliveries; a copy
costs a hundredth of that.  What it copies must be worth nothing: the process that calls this has read no mail and
holds no secret.
"""

import ctypes
import os
import traceback
from collections.abc import Callable, Mapping

from paperpath.system.spawn import ENVIRONMENT

_DESCRIPTOR = 3
"""The one that the copy has beside standard input, output and error."""
_DESCRIPTORS_END = 65_536
_ARGUMENTS_BEGIN, _ARGUMENTS_END = 45, 46
"""Places in ``/proc/self/stat`` behind the name."""


def fork_as(
    uid: int, gid: int, environment: Mapping[str, str], descriptor: int, work: Callable[[int], None], title: str
) -> int:
    """Return the id of a copy of this process that is user ``uid`` for good and does ``work``.

    ``work`` gets the number that ``descriptor`` has there, where no other is open.  The copy has a session of its
    own, ``/`` as its folder, umask 077, no groups but ``gid``, and ``environment`` beside PATH and LANG.  Raises
    OSError, and PermissionError for user id 0.
    """
    if uid == 0 or gid < 0:
        raise PermissionError("a worker of user id 0")
    child = os.fork()
    if child:
        return child
    status = 1
    try:
        os.dup2(descriptor, _DESCRIPTOR)
        os.closerange(_DESCRIPTOR + 1, _DESCRIPTORS_END)
        _become(uid, gid)
        os.environ.clear()
        os.environ.update({**ENVIRONMENT, **environment})
        set_title(title)
        work(_DESCRIPTOR)
        status = 0
    except BaseException:
        traceback.print_exc()
    finally:
        os._exit(status)


def _become(uid: int, gid: int) -> None:
    os.setsid()
    os.chdir("/")
    os.umask(0o077)
    # Groups first, user last: each step needs the privilege that the last one gives up.
    os.setgroups([gid])
    os.setresgid(gid, gid, gid)
    os.setresuid(uid, uid, uid)
    if os.getresuid() != (uid, uid, uid) or os.getresgid() != (gid, gid, gid) or os.getgroups() not in ([], [gid]):
        raise PermissionError("could not become the user for good")


def set_title(title: str) -> None:
    """Show ``title`` as this process's command line, as far as the one that it was started with has room.

    Its words are parted by NUL.  Where the kernel does not tell where that is, nothing happens.
    """
    try:
        with open("/proc/self/stat", "rb") as file:
            fields = file.read().rpartition(b")")[2].split()
        begin, end = int(fields[_ARGUMENTS_BEGIN]), int(fields[_ARGUMENTS_END])
    except (OSError, ValueError, IndexError):
        return
    if 0 < begin < end:
        data = os.fsencode(title)[: end - begin - 1]
        ctypes.memset(begin, 0, end - begin)
        ctypes.memmove(begin, data, len(data))
