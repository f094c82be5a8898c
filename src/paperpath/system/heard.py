"""Processes whose output their parent hears: the deliveries of qmail's spawners, and what those ask."""

import os

from paperpath.system.helpers import start

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable

_READ_BYTES = 4096


class Heard:
    """A process with a message as its input, whose output and errors we hear."""

    __slots__ = ("_ear", "_mouth", "_pidfd", "pid", "status")

    def __init__(self, be: "Callable[[], int]", message: int) -> None:
        """Start it; what ``be`` returns is its exit status, 111 where it raises.  Raises OSError."""
        self.status: int | None = None
        """Exit status when it has ended, or a signal's number below zero."""
        self._ear, self._mouth = os.pipe()

        def speak() -> int:
            mouth = os.dup(self._mouth)  # the number 1 may be the original's
            os.dup2(message, 0)
            os.dup2(mouth, 1)
            os.dup2(mouth, 2)
            return be()

        try:
            self.pid = start(speak)
        except OSError:
            os.close(self._ear)
            os.close(self._mouth)
            raise
        self._pidfd = os.pidfd_open(self.pid)

    def waits_on(self) -> list[int]:
        """Return the descriptors that can be read when ``listen`` has something to do."""
        return [self._ear] if self.status is not None else [self._ear, self._pidfd]

    def listen(self) -> bytes | None:
        """Return a piece of output, None where there is none now.

        The output is over when it has ended and nobody else holds our end: then there is a status, and never a piece
        again.
        """
        os.set_blocking(self._ear, False)
        try:
            piece = os.read(self._ear, _READ_BYTES)
        except BlockingIOError:
            self._see_end()
            return b""
        if not piece:
            os.close(self._ear)
            return None
        return piece

    def _see_end(self) -> None:
        if self.status is None:
            pid, status = os.waitpid(self.pid, os.WNOHANG)
            if pid:
                self.status = os.waitstatus_to_exitcode(status)
                os.close(self._pidfd)
                os.close(self._mouth)


def output_of(be: "Callable[[], int]", most_bytes: int) -> tuple[int, bytes]:
    """Run what ``be`` makes of a new process, and return its status and what it prints.  Raises OSError."""
    ear, mouth = os.pipe()

    def speak() -> int:
        os.dup2(mouth, 1)
        return be()

    child = start(speak)
    os.close(mouth)
    output = b""
    while piece := os.read(ear, _READ_BYTES):
        output = (output + piece)[:most_bytes]
    os.close(ear)
    return os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]), output


def start_teller(be: "Callable[[int], int]") -> tuple[int, int]:
    """Start a process that ``be`` is told what to write to; return the descriptor to read that from, and its number.

    What ``be`` returns is its exit status.  Raises OSError.
    """
    ear, mouth = os.pipe()

    def tell() -> int:
        os.close(ear)
        return be(mouth)

    child = start(tell)
    os.close(mouth)
    return ear, child


def start_between(feed: "Callable[[int], None]", be: "Callable[[], int]") -> tuple[int, int, int]:
    """Start a process that ``be`` makes something of, and another that ``feed`` writes the input of the first with.

    Returns the descriptor to read its output from, its number, and the other's.  Raises OSError.
    """
    reader, writer = os.pipe()
    ear, mouth = os.pipe()

    def write() -> int:
        for descriptor in (reader, ear, mouth):
            os.close(descriptor)
        feed(writer)
        return 0

    def answer() -> int:
        os.close(ear)
        os.dup2(reader, 0)
        os.dup2(mouth, 1)
        return be()

    feeder = start(write)
    os.close(writer)
    child = start(answer)
    os.close(reader)
    os.close(mouth)
    return ear, child, feeder
