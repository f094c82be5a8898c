"""Confinement of this process by the kernel: files by Landlock, system calls by seccomp.

Both are a second wall behind the user that the process runs as.  Where the kernel lacks one, the process runs
without, and the value returned says so.  Both hold for ever, and for every program started from here.

Call when all is open and imported, and before threads start: Landlock binds the thread that calls and those
that it starts.  `confine_files` refuses a process with more threads, so that what it returns is true of the
whole process; seccomp binds all threads whenever it is called.
"""

import ctypes
import errno
import os
import stat
import struct
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from paperpath.system.kernel import forbid_new_privileges

_libc = ctypes.CDLL(None, use_errno=True)
_libc.syscall.restype = ctypes.c_long


def _call(number: int, *arguments: int | ctypes.Array[ctypes.c_char] | None) -> int:
    """Make a system call; return what it returns.  Raises OSError."""
    plain = [ctypes.c_long(one) if isinstance(one, int) else one for one in arguments]
    result: int = _libc.syscall(ctypes.c_long(number), *plain)
    if result < 0:
        code = ctypes.get_errno()
        raise OSError(code, os.strerror(code), f"system call {number}")
    return result


def _buffer(data: bytes) -> ctypes.Array[ctypes.c_char]:
    return ctypes.create_string_buffer(data, len(data))


# Landlock, from linux/landlock.h.  The numbers of its calls are the same on every machine.

_CREATE_RULESET, _ADD_RULE, _RESTRICT_SELF = 444, 445, 446
_GET_VERSION = 1
_PATH_BENEATH = 1

_WRITE_FILE, _READ_FILE, _READ_DIR, _REMOVE_DIR, _REMOVE_FILE = 1 << 1, 1 << 2, 1 << 3, 1 << 4, 1 << 5
_MAKE_DIR, _MAKE_FILE, _MAKE_SOCKET = 1 << 7, 1 << 8, 1 << 9
_REFER, _TRUNCATE = 1 << 13, 1 << 14

_READ = _READ_FILE | _READ_DIR
_CHANGE = _WRITE_FILE | _TRUNCATE | _REMOVE_DIR | _REMOVE_FILE | _REFER
_WRITE = _READ | _CHANGE | _MAKE_DIR | _MAKE_FILE | _MAKE_SOCKET
_OF_FILES = _WRITE_FILE | _READ_FILE | _TRUNCATE
"""The rights that a file has that is not a folder."""

# The rights that each version of the interface knows; what is named and not granted is forbidden.
_KNOWN = {2: (1 << 14) - 1, 3: (1 << 15) - 1, 4: (1 << 15) - 1, 5: (1 << 16) - 1}
_NEWEST = max(_KNOWN)


def confine_files(*, read: Sequence[str], write: Sequence[str]) -> bool:
    """Forbid every file and folder but what is at or below these paths, and executing any; what is open stays
    open.

    ``read`` can be read and listed; in ``write`` files and folders can also be made, changed, moved between
    its folders and removed, and sockets made.  Paths that do not exist are passed over.  Returns whether that is in
    force.  Raises OSError where the kernel has Landlock and refuses these rules, RuntimeError where threads run
    already.
    """
    if len(os.listdir("/proc/self/task")) > 1:
        raise RuntimeError("a process is confined before its threads start")
    version = min(_landlock_version(), _NEWEST)
    if version not in _KNOWN:  # version 1 forbids all moves between folders, which Maildir needs
        return False
    forbid_new_privileges()
    known = _KNOWN[version]
    ruleset = _call(_CREATE_RULESET, _buffer(struct.pack("=Q", known)), 8, 0)
    try:
        for path in read:
            _allow(ruleset, path, _READ & known)
        for path in write:
            _allow(ruleset, path, _WRITE & known)
        _call(_RESTRICT_SELF, ruleset, 0)
    finally:
        os.close(ruleset)
    return True


def _landlock_version() -> int:
    try:
        return _call(_CREATE_RULESET, None, 0, _GET_VERSION)
    except OSError:  # not built in, not switched on, or forbidden by a container's own filter
        return 0


def _allow(ruleset: int, path: str, rights: int) -> None:
    """Add a rule for what is at and below ``path``, where there is such a path."""
    try:
        descriptor = os.open(path, os.O_PATH | os.O_CLOEXEC)
    except (FileNotFoundError, NotADirectoryError):
        return
    try:
        if not stat.S_ISDIR(os.fstat(descriptor).st_mode):
            rights &= _OF_FILES
        _call(_ADD_RULE, ruleset, _PATH_BENEATH, _buffer(struct.pack("=Qi", rights, descriptor)), 0)
    finally:
        os.close(descriptor)


# seccomp: a list of what no process of a mail server needs, and what has let intruders out of others.

# Name: number on x86_64, on aarch64.
_NEVER = {
    "ptrace": (101, 117),
    "process_vm_readv": (310, 270),
    "process_vm_writev": (311, 271),
    "pidfd_getfd": (438, 438),
    "kcmp": (312, 272),
    "kexec_load": (246, 104),
    "kexec_file_load": (320, 294),
    "init_module": (175, 105),
    "finit_module": (313, 273),
    "delete_module": (176, 106),
    "reboot": (169, 142),
    "swapon": (167, 224),
    "swapoff": (168, 225),
    "mount": (165, 40),
    "umount2": (166, 39),
    "pivot_root": (155, 41),
    "chroot": (161, 51),
    "open_tree": (428, 428),
    "move_mount": (429, 429),
    "fsopen": (430, 430),
    "fsconfig": (431, 431),
    "fsmount": (432, 432),
    "fspick": (433, 433),
    "mount_setattr": (442, 442),
    "unshare": (272, 97),
    "setns": (308, 268),
    "open_by_handle_at": (304, 265),
    "bpf": (321, 280),
    "perf_event_open": (298, 241),
    "userfaultfd": (323, 282),
    "io_uring_setup": (425, 425),  # its requests are not seen by seccomp
    "io_uring_enter": (426, 426),
    "io_uring_register": (427, 427),
    "add_key": (248, 217),
    "request_key": (249, 218),
    "keyctl": (250, 219),
    "execve": (59, 221),
    "execveat": (322, 281),
}


@dataclass(frozen=True, slots=True)
class _Machine:
    column: int
    audit: int
    """AUDIT_ARCH: calls by another convention (32-bit) have other numbers."""
    seccomp: int
    clone: int
    forks: tuple[int, ...]


_MACHINES = {
    "x86_64": _Machine(column=0, audit=0xC000003E, seccomp=317, clone=56, forks=(57, 58)),
    "aarch64": _Machine(column=1, audit=0xC00000B7, seccomp=277, clone=220, forks=()),
}
_CLONE3 = 435
_CLONE_THREAD = 0x10000
_X32 = 0x40000000
"""Numbers from here on are x86_64's second convention; no aarch64 call is that high."""

_LOAD, _IF_EQUAL, _IF_AT_LEAST, _IF_BITS, _RETURN = 0x20, 0x15, 0x35, 0x45, 0x06
_AT_NUMBER, _AT_MACHINE, _AT_FLAGS = 0, 4, 16
"""Offsets in struct seccomp_data: call, convention, low half of the first argument."""

_PASS, _END_PROCESS, _ANSWER = 0x7FFF0000, 0x80000000, 0x00050000
_SET_FILTER, _ALL_THREADS = 1, 1


def confine_calls() -> bool:
    """Make calls that a mail server never needs fail with EPERM, fork and exec among them; tell whether that is in
    force.

    Threads can still be started.  False: the kernel has no seccomp, or this machine is neither x86_64 nor aarch64.
    """
    machine = _MACHINES.get(os.uname().machine)
    if machine is None:
        return False
    forbid_new_privileges()
    program = b"".join(_filter(machine))
    instructions = _buffer(program)
    header = struct.pack("@HP", len(program) // 8, ctypes.addressof(instructions))
    try:
        unbound = _call(machine.seccomp, _SET_FILTER, _ALL_THREADS, _buffer(header))
    except OSError as error:
        if error.errno in (errno.ENOSYS, errno.EINVAL):
            return False
        raise
    if unbound:
        raise RuntimeError(f"thread {unbound} has a filter of its own")
    return True


def _filter(machine: _Machine) -> Iterator[bytes]:
    """Yield the filter's instructions: each a code, how far to jump if true and if not, and an operand."""

    def step(code: int, operand: int, if_true: int = 0, if_false: int = 0) -> bytes:
        return struct.pack("=HBBI", code, if_true, if_false, operand)

    refused = step(_RETURN, _ANSWER | errno.EPERM)
    yield step(_LOAD, _AT_MACHINE)
    yield step(_IF_EQUAL, machine.audit, if_true=1)
    yield step(_RETURN, _END_PROCESS)
    yield step(_LOAD, _AT_NUMBER)
    yield step(_IF_AT_LEAST, _X32, if_false=1)
    yield refused
    for number in (*(call[machine.column] for call in _NEVER.values()), *machine.forks):
        yield step(_IF_EQUAL, number, if_false=1)
        yield refused
    # A filter cannot see clone3's flags.  "No such call" makes the C library use clone, whose flags it sees.
    yield step(_IF_EQUAL, _CLONE3, if_false=1)
    yield step(_RETURN, _ANSWER | errno.ENOSYS)
    yield step(_IF_EQUAL, machine.clone, if_false=3)
    yield step(_LOAD, _AT_FLAGS)
    yield step(_IF_BITS, _CLONE_THREAD, if_true=1)
    yield refused
    yield step(_RETURN, _PASS)
