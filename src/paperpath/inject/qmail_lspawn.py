"""qmail-lspawn: runs qmail-local for qmail-send, as the user whose an address is (qmail-interfaces 5)."""

import errno
import os
import pwd

from paperpath.delivery.output import bounded
from paperpath.inject import spawning
from paperpath.inject.command import PERMANENT, qmail_home
from paperpath.inject.qmail_getpw import DATABASE_NOT_READABLE, HOME_NOT_READABLE, NO_ALIAS
from paperpath.protocol.spawning import until_nul
from paperpath.system import heard, helpers

TYPE_CHECKING = False
if TYPE_CHECKING:
    from paperpath.config.users import Assignment
    from paperpath.protocol.spawning import Command

_USAGE, _ROOT, _CDB, _EXEC_SOFT, _EXEC_PW, _EXEC_HARD = 112, 113, 117, 120, 121, 126
_TEXTS = {
    _USAGE: b"ZInternal qmail-lspawn bug.\n",
    _ROOT: b"ZNot allowed to perform deliveries as root.\n",
    HOME_NOT_READABLE: b"ZNFS failure in qmail-local.\n",
    NO_ALIAS: b"ZUnable to find alias user!\n",
    _CDB: b"ZTrouble reading users/cdb in qmail-lspawn.\n",
    DATABASE_NOT_READABLE: b"ZTemporary failure in qmail-lspawn.\n",
    119: b"ZOut of memory in qmail-lspawn.\n",
    _EXEC_SOFT: b"ZUnable to run qmail-local.\n",
    _EXEC_PW: b"ZUnable to run qmail-getpw.\n",
    _EXEC_HARD: b"DUnable to run qmail-local.\n",
}
_TEMPORARY = {111, 71, 74, 75}

_HARD = {
    errno.ENOENT, errno.ENOTDIR, errno.EACCES, errno.EPERM, errno.ENOEXEC, errno.EISDIR, errno.ELOOP,
    errno.ENAMETOOLONG, errno.E2BIG, errno.EINVAL,
}  # fmt: skip
_GETPW_USER = "qmailp"
_GETPW_MOST_BYTES = 64 * 1024


class _Stop(Exception):
    """The delivery is over before it began; the argument is the exit status."""


def main(argv: list[str]) -> int:
    """Serve qmail-send on descriptors 0 and 1; the argument is the default delivery."""
    if len(argv) < 2:
        return PERMANENT
    default, folder = os.fsencode(argv[1]), spawning.own_folder(argv)

    def start(command: "Command") -> int:
        try:
            return _deliver(command, default, folder)
        except _Stop as stop:
            code: int = stop.args[0]
            return code

    return spawning.Spawner(start, report).run(lambda home: None)


def _deliver(command: "Command", default: bytes, folder: str) -> int:
    """In a process of its own: become qmail-local as the right user.  Raises _Stop."""
    local, _, domain = command.recipient.rpartition(b"@")
    if not local:
        return 0
    home = qmail_home()
    try:
        os.chdir(home)
    except OSError:
        return _USAGE
    found = _find(local, home, folder)
    if os.geteuid() and found.uid != os.geteuid():
        return _USAGE
    try:
        helpers.give_up_root_for(found.uid, found.gid)
    except PermissionError:
        return _USAGE if found.uid else _ROOT
    user, its_home = os.fsencode(found.user), os.fsencode(found.home)
    words = [b"--", user, its_home, local, found.dash, found.extension, domain, command.sender, default]
    failure = spawning.become([spawning.program(home, folder, "qmail-local"), *words])
    return _EXEC_HARD if failure in _HARD else _EXEC_SOFT


def _find(local: bytes, home: str, folder: str) -> "Assignment":
    """Return whose it is: users/cdb says it, else qmail-getpw.  Raises _Stop."""
    from paperpath.config.users import Assignment, Assignments

    try:
        found = Assignments(home).find(local)
    except (OSError, ValueError):
        raise _Stop(_CDB) from None
    if found is not None:
        return found
    words = [spawning.program(home, folder, "qmail-getpw"), local]
    status, output = heard.output_of(lambda: _become_getpw(words), _GETPW_MOST_BYTES)
    if status:
        raise _Stop(status if status > 0 else DATABASE_NOT_READABLE)
    fields = output.split(b"\0")
    if len(fields) < 6 or not fields[1].isdigit() or not fields[2].isdigit():
        raise _Stop(_USAGE)
    user, uid, gid, its_home, dash, extension = fields[:6]
    return Assignment(os.fsdecode(user), int(uid), int(gid), os.fsdecode(its_home), dash, extension)


def _become_getpw(words: list[bytes]) -> int:
    """As a user who may do nothing, where there is one and we may become it."""
    try:
        user = pwd.getpwnam(_GETPW_USER)
        helpers.give_up_root_for(user.pw_uid, user.pw_gid)
    except KeyError:
        pass
    except OSError:
        return _USAGE
    spawning.become(words)
    return _EXEC_PW


def report(status: int, output: bytes) -> bytes:
    """Return what is reported of a qmail-local that ended so."""
    if status < 0:
        return b"Zqmail-local crashed.\n"
    if status in _TEXTS:
        return _TEXTS[status]
    letter = b"Z" if status in _TEMPORARY else b"D" if status else b"K"
    return letter + until_nul(bounded(output))
