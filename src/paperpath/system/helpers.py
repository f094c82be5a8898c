"""What the small qmail programs ask of the kernel: to run another program, to become it, to change files under a lock.

For programs that live for milliseconds: nothing is imported but what every interpreter has loaded.  qmail's programs
find others on PATH as execvp(3) does, a script without ``#!`` included.
"""

import _signal  # type: ignore[import-not-found]  # what `signal` is made of, at a tenth of its cost
import errno
import os

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Iterable
    from typing import NoReturn

CANNOT, TEMPORARY = 100, 111
"""Exit codes of a program that could not be started, for good and for now."""

_GONE_FOR_GOOD = {
    errno.ENOENT, errno.ENOTDIR, errno.EACCES, errno.EPERM, errno.ENOEXEC, errno.EISDIR, errno.ELOOP,
    errno.ENAMETOOLONG, errno.E2BIG, errno.EINVAL,
}  # fmt: skip
_NOT_IN_THIS_FOLDER = {errno.ENOENT, errno.ENOTDIR, errno.EACCES}
_PATH = b"/bin:/usr/bin"
_SHELL = b"/bin/sh"
_COPY_BYTES = 1 << 20
_PIPE_HOLDS_BYTES = 4096
_TYPE, _REGULAR = 0o170000, 0o100000
"""Of st_mode: the bits that tell what kind of file it is, and those of a plain file (inode(7))."""
_AT_ONCE_BYTES = 4096
"""A pipe that is ready takes so many without making us wait (pipe(7))."""
_NEW = os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_CLOEXEC | os.O_NOFOLLOW
_MODE = 0o600


def become(words: list[bytes]) -> int:
    """Go on as another program; return only where that cannot be: ``CANNOT`` or ``TEMPORARY``."""
    return CANNOT if try_to_become(words) in _GONE_FOR_GOOD else TEMPORARY


def become_or_say(words: list[bytes], name: str, complaint: str = "unable to run {0}: {1}") -> int:
    """Likewise, and where that cannot be, say so as the program ``name``; {0} is the other program, {1} the reason."""
    failure = try_to_become(words)
    from paperpath.base import errno_words

    text = complaint.format(os.fsdecode(words[0]), errno_words.words(failure))
    _write(2, os.fsencode(f"{name}: fatal: {text}\n"))
    return CANNOT if failure in _GONE_FOR_GOOD else TEMPORARY


def try_to_become(words: list[bytes]) -> int:
    """Go on as another program; return only where that cannot be: why (errno)."""
    # Python ignores it, and what is ignored stays so in the program.
    _signal.signal(_signal.SIGPIPE, _signal.SIG_DFL)
    failure = errno.ENOENT
    for path in _candidates(words[0]):
        failure = _exec(path, words)
        if failure not in _NOT_IN_THIS_FOLDER:
            break
    return failure


def _candidates(name: bytes) -> list[bytes]:
    if b"/" in name:
        return [name]
    return [(folder or b".") + b"/" + name for folder in os.environb.get(b"PATH", _PATH).split(b":")]


def _exec(path: bytes, words: list[bytes]) -> int:
    """Become the program at ``path``; return why not."""
    try:
        os.execv(path, words)  # noqa: S606
    except OSError as error:
        if error.errno != errno.ENOEXEC:
            return error.errno or errno.EIO
    except ValueError:  # an empty name, or a NUL in a word
        return errno.EINVAL
    try:
        os.execv(_SHELL, [_SHELL, path, *words[1:]])  # noqa: S606
    except OSError as error:
        return error.errno or errno.EIO


def become_this_python(words: list[str]) -> "NoReturn":
    """Go on as the interpreter that runs us, with other words.  Raises OSError."""
    import sys

    os.execv(sys.executable, [sys.executable, *words])  # noqa: S606


def is_writable(descriptor: int) -> bool:
    """Tell whether a descriptor is open, and for writing."""
    import fcntl

    try:
        return bool(fcntl.fcntl(descriptor, fcntl.F_GETFL) & (os.O_WRONLY | os.O_RDWR))
    except OSError:
        return False


def point_nowhere(descriptor: int) -> None:
    """Let go of what a descriptor is, and leave it open for nothing.  Raises OSError."""
    nothing = os.open(os.devnull, os.O_RDWR | os.O_CLOEXEC)
    os.dup2(nothing, descriptor)


def start(be: "Callable[[], int]") -> int:
    """Start a process that is what ``be`` makes of it; return its id.

    Its exit status is what ``be`` returns, ``TEMPORARY`` where it raises.  Raises OSError.
    """
    child = os.fork()
    if not child:
        code = TEMPORARY
        try:
            code = be()
        finally:
            os._exit(code)
    return child


def start_reader(be: "Callable[[], int]") -> int:
    """Start what ``be`` makes of a new process; return the descriptor that writes its input.  Raises OSError."""
    reader, writer = os.pipe()

    def read() -> int:
        os.dup2(reader, 0)
        os.close(writer)
        return be()

    start(read)
    os.close(reader)
    return writer


def run(
    words: list[bytes],
    feed: "Callable[[int], None] | None" = None,
    name: str = "",
    complaint: str = "unable to run {0}: {1}",
) -> int:
    """Run a program on our descriptors and return its exit status, or a signal's number below zero.

    With ``feed``, its standard input is what that writes to the descriptor it gets; the program may stop reading when
    it likes.  Where it cannot be started, the status is ``CANNOT`` or ``TEMPORARY``, and with a ``name`` we say so as
    the program of that name.  Raises OSError.
    """
    reader, writer = os.pipe() if feed is not None else (-1, -1)

    def be() -> int:
        if feed is not None:
            os.dup2(reader, 0)
        return become_or_say(words, name, complaint) if name else become(words)

    child = start(be)
    if feed is not None:
        os.close(reader)
        try:
            feed(writer)
        except BrokenPipeError:
            pass
        os.close(writer)
    return os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])


def run_told(words: list[bytes], told: bytes) -> int:
    """Run a program that can read ``told`` from its descriptor 3; return as ``run`` does.

    Raises BrokenPipeError where it did not read what a pipe does not hold, and OSError; it may still be running then.
    """
    reader, writer = os.pipe()
    # What fits is there before the program is: then one that ends at once has been told, and its exit code counts.
    told = told[os.write(writer, told[:_PIPE_HOLDS_BYTES]) :]

    def be() -> int:
        os.close(writer)
        os.dup2(reader, 3)
        os.set_inheritable(3, True)  # where it was 3 already, dup2 did nothing
        return become(words)

    child = start(be)
    os.close(reader)
    _write(writer, told)
    os.close(writer)
    return os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])


def open_to_read(path: bytes) -> int:
    """Return a descriptor of a file; one that is a pipe is not waited for.  Raises OSError."""
    return os.open(path, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC)


def is_regular(descriptor: int) -> bool:
    """Tell whether an open file is a plain one.  Raises OSError."""
    return os.fstat(descriptor).st_mode & _TYPE == _REGULAR


def rewrite_mbox(path: bytes, temporary: bytes, additions: "Iterable[bytes]") -> None:
    """Replace a file by itself with ``additions`` behind, durably, under an exclusive flock of the old one.

    It is made, mode 0600, where it is missing.  The new content is written to ``temporary`` and renamed.  Raises
    OSError; then the old file is as it was.
    """
    old = _open_locked(path)
    try:
        new = os.open(temporary, _NEW, _MODE)
        try:
            while piece := os.read(old, _COPY_BYTES):
                _write(new, piece)
            for piece in additions:
                _write(new, piece)
            os.fsync(new)
        finally:
            os.close(new)
        os.rename(temporary, path)
    finally:
        os.close(old)
    _sync_folder_of(path)


def _open_locked(path: bytes) -> int:
    """Return a descriptor, to read, of the file that ``path`` names while its lock is held."""
    import fcntl

    while True:
        descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_APPEND | os.O_CLOEXEC | os.O_NOCTTY, _MODE)
        fcntl.flock(descriptor, fcntl.LOCK_EX)
        held, named = os.fstat(descriptor), os.stat(path)
        # Who waited for the lock may hold a file that another has replaced meanwhile.
        if (held.st_dev, held.st_ino) == (named.st_dev, named.st_ino):
            return descriptor
        os.close(descriptor)


def read_locked(path: str, most_bytes: int) -> bytes:
    """Return the beginning of a file that others change under an exclusive lock.  Raises OSError."""
    import fcntl

    descriptor = os.open(path, os.O_RDWR | os.O_CLOEXEC)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX)
        return os.pread(descriptor, most_bytes, 0)
    finally:
        os.close(descriptor)


def open_lock(path: bytes) -> int:
    """Return a descriptor of a file, made where it is missing; it stays open in what we become.  Raises OSError."""
    descriptor = os.open(path, os.O_WRONLY | os.O_NONBLOCK | os.O_APPEND | os.O_CREAT, _MODE)
    os.set_inheritable(descriptor, True)
    return descriptor


def lock(descriptor: int, *, waits: bool) -> None:
    """Take the exclusive lock of an open file.  Raises OSError."""
    import fcntl

    fcntl.flock(descriptor, fcntl.LOCK_EX | (0 if waits else fcntl.LOCK_NB))


def change_locked(path: str, most_bytes: int, change: "Callable[[bytes], tuple[int, bytes] | None]") -> None:
    """Change bytes of a file that is there, under an exclusive lock: what ``change`` makes of its beginning, where
    and which.  Raises OSError."""
    import fcntl

    descriptor = os.open(path, os.O_RDWR | os.O_CLOEXEC)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX)
        changed = change(os.pread(descriptor, most_bytes, 0))
        if changed is not None:
            os.pwrite(descriptor, changed[1], changed[0])
    finally:
        os.close(descriptor)


def overwrite_locked(path: str, data: bytes) -> None:
    """Write ``data`` at the beginning of a file that is there, under an exclusive lock.  Raises OSError."""
    import fcntl

    descriptor = os.open(path, os.O_WRONLY | os.O_CLOEXEC)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX)
        _write(descriptor, data)
    finally:
        os.close(descriptor)


def remove(path: bytes) -> None:
    """Remove a file.  Raises OSError."""
    os.unlink(path)


def rename(path: bytes, other: bytes) -> None:
    """Give a file another name; one that has it already is replaced.  Raises OSError."""
    os.rename(path, other)


def write_to_terminal(path: bytes, data: bytes, allowed: int) -> None:
    """Write to a terminal of this user's whose mode has the bit ``allowed``; any other is left in peace.

    Raises OSError.
    """
    descriptor = os.open(path, os.O_WRONLY | os.O_APPEND | os.O_NONBLOCK | os.O_NOCTTY | os.O_CLOEXEC)
    try:
        found = os.fstat(descriptor)
        if found.st_mode & allowed and found.st_uid == os.getuid():
            _write(descriptor, data)
    finally:
        os.close(descriptor)


def give_up_root_for(uid: int, gid: int) -> None:
    """Become this user for good, with this group only, where we are root; else change nothing.

    Raises PermissionError for root's own id.
    """
    if os.geteuid():
        return
    if not uid:
        raise PermissionError(errno.EPERM, "this would be root")
    os.setgroups([gid])
    os.setresgid(gid, gid, gid)
    os.setresuid(uid, uid, uid)


def read_within(descriptor: int, most_bytes: int, seconds: int) -> bytes:
    """Return what comes next, nothing at the end of input.  Raises TimeoutError, and OSError."""
    import select

    poll = select.poll()
    poll.register(descriptor, select.POLLIN)
    if not poll.poll(seconds * 1000):
        raise TimeoutError
    return os.read(descriptor, most_bytes)


def write_within(descriptor: int, data: bytes, seconds: int) -> None:
    """Write everything; ``seconds`` may pass between one piece and the next.  Raises TimeoutError, and OSError."""
    import select

    poll = select.poll()
    poll.register(descriptor, select.POLLOUT)
    rest = memoryview(data)
    while rest:
        if not poll.poll(seconds * 1000):
            raise TimeoutError
        rest = rest[os.write(descriptor, rest[:_AT_ONCE_BYTES]) :]


def pause(seconds: int) -> None:
    """Do nothing for a while."""
    import select

    select.select([], [], [], seconds)


def _write(descriptor: int, data: bytes) -> None:
    rest = memoryview(data)
    while rest:
        rest = rest[os.write(descriptor, rest) :]


def _sync_folder_of(path: bytes) -> None:
    descriptor = os.open(os.path.dirname(path) or b".", os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
