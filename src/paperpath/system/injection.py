"""What a program that injects mail asks of the kernel.

Such a program lives for milliseconds: everything here does with ``os`` and the built-in half of ``socket``, and the
rest of the standard library is loaded only where something is slow anyway.
"""

import _signal  # type: ignore[import-not-found]  # what `signal` is made of, at a tenth of its cost
import _socket
import errno
import os

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence
    from typing import NoReturn

DROP_VERSION = b"paperpath-drop 1\n"
"""Begins a file in the drop folder; a request as on the socket follows, whose lengths tell whether it is whole."""

_READ_BYTES = 1 << 20
_ANSWER_MOST_BYTES = 4096
_IN_MEMORY_MOST_BYTES = 4 * 1024 * 1024
_SPOOL = "/var/tmp"  # noqa: S108 (the file has no name there)
_TIMEOUT_S = 600.0
"""Silence after which the server is given up; it commits before it answers."""

_NOBODY_THERE = {errno.ENOENT, errno.ECONNREFUSED, errno.ENOTDIR}
_FILE_MODE = 0o640
"""The folder's group, which is that of `receive`, reads; nobody else."""


class NoServer(Exception):
    """Nobody listens on the socket: the server is stopped."""


class ServerSilent(Exception):
    """The server did not answer in time."""


def ignore_signals() -> None:
    """Let a terminal's or a caller's signals not end the taking of a message, as qmail-queue does."""
    for name in ("SIGPIPE", "SIGVTALRM", "SIGPROF", "SIGQUIT", "SIGINT", "SIGHUP", "SIGXCPU", "SIGXFSZ"):
        _signal.signal(getattr(_signal, name), _signal.SIG_IGN)


def exit_after(seconds: int, code: int) -> None:
    """Let this process end with ``code`` when so much time has passed, whatever it does then."""

    def end(*_: object) -> None:
        os._exit(code)

    _signal.signal(_signal.SIGALRM, end)
    _signal.alarm(seconds)


def ignore_broken_pipes() -> None:
    """Let writing to a peer that is gone be an error, and not the end."""
    _signal.signal(_signal.SIGPIPE, _signal.SIG_IGN)


class Connection:
    """A TCP connection of a program that lives for milliseconds."""

    __slots__ = ("_socket",)

    def __init__(self, address: str, port: int, seconds: float) -> None:
        """Connect to an IPv4 address.  Raises TimeoutError, and OSError."""
        self._socket = _socket.socket(_socket.AF_INET, _socket.SOCK_STREAM | _socket.SOCK_CLOEXEC)
        try:
            self._socket.settimeout(seconds)
            self._socket.connect((address, port))
        except OSError:
            self._socket.close()
            raise

    def exchange(self, request: bytes, seconds: float, is_enough: "Callable[[bytes], bool]") -> bytes:
        """Send a request; return what comes back until it is enough, or the end.  ``seconds`` bounds each step.  Raises
        OSError."""
        try:
            self._socket.settimeout(seconds)
            self._socket.sendall(request)
            received = b""
            while not is_enough(received) and len(received) < _ANSWER_MOST_BYTES:
                data = self._socket.recv(_ANSWER_MOST_BYTES)
                if not data:
                    break
                received += data
            return received
        finally:
            self._socket.close()


def read_to_end(descriptor: int, most_bytes: int) -> bytes | None:
    """Return what can be read until the end of input, or None where it is more than ``most_bytes``.

    Raises OSError.
    """
    pieces, size = [], 0
    while piece := os.read(descriptor, _READ_BYTES):
        pieces.append(piece)
        size += len(piece)
        if size > most_bytes:
            return None
    return b"".join(pieces)


def read_to_end_or_map(descriptor: int, most_bytes: int) -> "bytes | memoryview | None":
    """Likewise; what is large comes as a view of a file without a name, so that it need not fit into memory."""
    pieces, size = [], 0
    while piece := os.read(descriptor, _READ_BYTES):
        pieces.append(piece)
        size += len(piece)
        if size > most_bytes:
            return None
        if size > _IN_MEMORY_MOST_BYTES:
            return _mapped(descriptor, most_bytes, pieces)
    return b"".join(pieces)


def _mapped(descriptor: int, most_bytes: int, pieces: list[bytes]) -> memoryview | None:
    import mmap

    from paperpath.system.files import create_spool_file

    file = create_spool_file(_SPOOL)
    try:
        size = 0
        while pieces:
            size += len(pieces[0])
            write_all(file, pieces.pop(0))
            if not pieces and size <= most_bytes and (piece := os.read(descriptor, _READ_BYTES)):
                pieces.append(piece)
        return memoryview(mmap.mmap(file, size, access=mmap.ACCESS_READ)) if size <= most_bytes else None
    finally:
        os.close(file)


def write_all(descriptor: int, data: "bytes | memoryview") -> None:
    """Write everything.  Raises OSError."""
    rest = memoryview(data)
    while rest:
        rest = rest[os.write(descriptor, rest) :]


def exchange(path: str, request: "Sequence[bytes | memoryview]") -> bytes:
    """Send a request, in pieces, to the Unix socket ``path`` and return all that comes back.

    Raises NoServer, ServerSilent, and OSError where the conversation broke.
    """
    sock = _socket.socket(_socket.AF_UNIX, _socket.SOCK_STREAM | _socket.SOCK_CLOEXEC)
    try:
        sock.settimeout(_TIMEOUT_S)
        try:
            sock.connect(path)
        except OSError as error:
            if error.errno in _NOBODY_THERE:
                raise NoServer from None
            raise
        for piece in request:
            for at in range(0, len(piece), _READ_BYTES):
                sock.sendall(piece[at : at + _READ_BYTES])
        received = bytearray()
        while (data := sock.recv(_ANSWER_MOST_BYTES)) and len(received) <= _ANSWER_MOST_BYTES:
            received += data
        return bytes(received)
    except TimeoutError:
        raise ServerSilent from None
    finally:
        sock.close()


def drop(folder: str, request: "Sequence[bytes | memoryview]") -> None:
    """Put a message, as it goes to the server, in pieces, into a folder that this user may add to and not read.

    It and its name are durable on return.  It is written under a name that its reader passes over, and renamed when it
    is complete.  After an error it is gone, except where the last sync is what failed.  Raises OSError.
    """
    name = os.urandom(16).hex()
    temporary = f"{folder}/.new-{name}"
    flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC
    descriptor = os.open(temporary, flags, _FILE_MODE)
    try:
        try:
            os.fchmod(descriptor, _FILE_MODE)
            for piece in (DROP_VERSION, *request):
                write_all(descriptor, piece)
            os.fsync(descriptor)
            os.rename(temporary, f"{folder}/{name}")
        except BaseException:
            os.unlink(temporary)
            raise
        _sync_name(folder, descriptor)
    finally:
        os.close(descriptor)


def _sync_name(folder: str, descriptor: int) -> None:
    """Make the name of an open file durable.

    Who may not read a folder cannot sync it by itself, and syncs the file system that it is on.
    """
    try:
        opened = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    except PermissionError:
        from paperpath.system.kernel import sync_file_system

        sync_file_system(descriptor)
        return
    try:
        os.fsync(opened)
    finally:
        os.close(opened)


def become(path: str, arguments: list[str], environment: "Mapping[bytes, bytes]") -> "NoReturn":
    """Go on as another program, searched on PATH where ``path`` has no slash.  Raises OSError."""
    os.execvpe(path, arguments, environment)  # noqa: S606


def run_between_pipes(
    path: bytes, environment: "Mapping[bytes, bytes]", folder: str, inputs: "Sequence[bytes]", answers_on: int
) -> tuple[int, bytes]:
    """Run a program with ``inputs`` on descriptors 0, 1 …, one after the other; return its status and its answer.

    The answer is what it writes to descriptor ``answers_on``.  It starts in ``folder``, where that is there; status
    120: it could not be started.  A signal's number comes back below zero.  The program may stop reading when it likes.
    """
    pipes = [os.pipe() for _ in inputs]
    answer_from, answer_to = os.pipe()
    child = os.fork()
    if not child:
        targets = [(reader, number) for number, (reader, _) in enumerate(pipes)] + [(answer_to, answers_on)]
        _run_child(path, environment, folder, targets)
    os.close(answer_to)
    for reader, _ in pipes:
        os.close(reader)
    for (_, writer), data in zip(pipes, inputs, strict=True):
        try:
            write_all(writer, data)
        except BrokenPipeError:
            pass
        os.close(writer)
    answer = os.read(answer_from, _ANSWER_MOST_BYTES)
    os.close(answer_from)
    return wait(child), answer


class Between:
    """A queue program that reads a message from its descriptor 0, then an envelope from 1, while both are written."""

    __slots__ = ("_answers", "_envelope", "message", "pid")

    def __init__(self, be: "Callable[[], int]", answers_on: int) -> None:
        """Start a process that is what ``be`` makes of it; what it returns is the exit status, 120 where it raises.

        The program may answer on descriptor ``answers_on``.  Raises OSError.
        """
        message, self.message = os.pipe()
        envelope, self._envelope = os.pipe()
        self._answers, answers = os.pipe()
        self.pid = os.fork()
        if not self.pid:
            code = 120
            try:
                for ours in (self.message, self._envelope, self._answers):
                    os.close(ours)
                _signal.signal(_signal.SIGPIPE, _signal.SIG_DFL)
                _place([(message, 0), (envelope, 1), (answers, answers_on)])
                code = be()
            finally:
                os._exit(code)
        for its in (message, envelope, answers):
            os.close(its)

    def finish(self, envelope: bytes) -> tuple[int, bytes, bool]:
        """End the message, hand over the envelope, and wait for the end.

        Returns exit status (a signal's number below zero), answer, and whether the envelope was taken.
        """
        os.close(self.message)
        is_taken = True
        try:
            write_all(self._envelope, envelope)
        except OSError:
            is_taken = False
        os.close(self._envelope)
        answer = os.read(self._answers, _ANSWER_MOST_BYTES)
        os.close(self._answers)
        return wait(self.pid), answer, is_taken


def enter(folder: str) -> None:
    """Go to a folder, where it is there."""
    try:
        os.chdir(folder)
    except OSError:
        pass


def run_with_input(words: list[bytes], feed: "Callable[[int], None]", name: str) -> int:
    """Run a program, searched on PATH, whose standard input ``feed`` writes (it gets the descriptor); return its
    status, 111 where it could not be started: then the program ``name``, which we are, has said so."""
    reader, writer = os.pipe()
    child = os.fork()
    if not child:
        try:
            os.dup2(reader, 0)
            _signal.signal(_signal.SIGPIPE, _signal.SIG_DFL)
            os.execvp(words[0], words)  # noqa: S606
        except OSError as error:
            from paperpath.base.errno_words import describe

            write_all(2, os.fsencode(f"{name}: fatal: unable to run {os.fsdecode(words[0])}: {describe(error)}\n"))
        finally:
            os._exit(111)
    os.close(reader)
    try:
        feed(writer)
    except BrokenPipeError:
        pass
    os.close(writer)
    return wait(child)


def copy_to_end(source: int, target: int) -> None:
    """Copy from one descriptor to the other until the end of input.  Raises OSError."""
    while piece := os.read(source, _READ_BYTES):
        write_all(target, piece)


def wait(child: int) -> int:
    """Wait for a child; return its exit status, or a signal's number below zero."""
    return os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])


def _run_child(
    path: bytes, environment: "Mapping[bytes, bytes]", folder: str, targets: "list[tuple[int, int]]"
) -> "NoReturn":
    """In the child: put descriptors in their places and become the program."""
    try:
        _signal.signal(_signal.SIGPIPE, _signal.SIG_DFL)
        _place(targets)
        enter(folder)
        os.execve(path, [path], environment)  # noqa: S606
    finally:
        os._exit(120)


def _place(targets: "list[tuple[int, int]]") -> None:
    """Give descriptors the numbers that go with them."""
    # Away from the low numbers first, so that no target overwrites what is still to be moved.
    moved = [(_high(source), target) for source, target in targets]
    for source, target in moved:
        os.dup2(source, target)


def _high(descriptor: int) -> int:
    """Return a copy of a descriptor with a number above those that programs agree on."""
    copies = []
    while (copy := os.dup(descriptor)) < 10:
        copies.append(copy)
    return copy
