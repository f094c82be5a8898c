"""Giving up what a process was born with: user, groups, the way back to them, and resources without end.

Call before the first outside byte is read, and before threads start: resources and users are the process's,
but no_new_privs binds the thread that calls and those that it starts.
"""

import os
import resource

from paperpath.system.kernel import forbid_new_privileges
from paperpath.system.users import find_user

FILES_MOST = 65_536
"""Open files of one process at the most: 10,000 sessions several times over."""


def drop_to(user: str) -> None:
    """Become ``user`` for good: its user id, its groups, and no way to gain privileges again.

    Raises FileNotFoundError where there is no such account and PermissionError where it has user id 0 or
    where the kernel left a way back; then the process must end, because some of it may have happened.
    """
    account = find_user(user)
    if account is None:
        raise FileNotFoundError(f"no such user: {user}")
    uid, gid = account.uid, account.gid
    if uid == 0:
        raise PermissionError(f"{user} has user id 0")
    # Groups first, user last: each step needs the privilege that the last one gives up.
    os.initgroups(user, gid)
    os.setresgid(gid, gid, gid)
    os.setresuid(uid, uid, uid)
    forbid_new_privileges()
    if os.getresuid() != (uid, uid, uid) or os.getresgid() != (gid, gid, gid) or _is_root_possible():
        raise PermissionError(f"could not become {user} for good")


def _is_root_possible() -> bool:
    """Try to go back.  Without root's id in any of the three places only a left-over capability lets that
    succeed."""
    try:
        os.setresuid(0, 0, 0)
    except PermissionError:
        return False
    return True


def limit_resources(*, files: int, core: int = 0, address_space: int | None = None) -> int:
    """Bound open files, the core dump and (where given) the address space, the last two in bytes, for good.

    Returns how many files may be open: fewer than asked for where the hard limit is lower and may not be
    raised.
    """
    try:
        resource.setrlimit(resource.RLIMIT_NOFILE, (files, files))
    except ValueError:  # what Python makes of EPERM here
        files = resource.getrlimit(resource.RLIMIT_NOFILE)[1]
        resource.setrlimit(resource.RLIMIT_NOFILE, (files, files))
    resource.setrlimit(resource.RLIMIT_CORE, (core, core))
    if address_space is not None:
        resource.setrlimit(resource.RLIMIT_AS, (address_space, address_space))
    return files


def raise_file_limit(files: int = FILES_MOST) -> None:
    """Let this process and those it starts open as many files as may be: ``files`` or more where we may say so."""
    hard = resource.getrlimit(resource.RLIMIT_NOFILE)[1]
    for wanted in (max(hard, files), hard):
        try:
            resource.setrlimit(resource.RLIMIT_NOFILE, (wanted, wanted))
        except (ValueError, OSError):  # not ours to raise
            continue
        return
