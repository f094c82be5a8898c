"""Running users' own programs: a shell command with a message as its input, watched from a thread that waits."""

import contextlib
import os
import select
import signal
import subprocess
import threading
import time
from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from paperpath.system.files import copy_content, create_spool_file, write_pieces

_SHELL = b"/bin/sh"
_READ_BYTES = 64 * 1024
_LOOK_S = 0.2
"""How often a thread that waits sees whether it is to stop."""
_TERM_GRACE_S = 5.0
"""From TERM to KILL."""
_MEMORY_MOST_BYTES = 256 * 1024
_SPOOL = "/tmp"  # noqa: S108 (the file has no name there)


@dataclass(frozen=True, slots=True)
class Ended:
    """How a program ended."""

    status: int
    """Exit status, or a signal's number below zero."""
    output: bytes | None = None
    """The beginning of what it wrote to standard output and error; None: nobody listened."""
    in_time: bool = True
    """False: it was made to end, because its time was over or because this process is to stop."""


def message_to_read(pieces: Iterable[bytes], source: int | None, size: int) -> int:
    """Return a read-only descriptor, at its beginning, of a new file: ``pieces``, then the first ``size`` bytes
    of ``source``.

    A small one lies in memory, a large one in a file without a name.
    """
    made = _new_file(size)
    try:
        write_pieces(made, tuple(pieces))
        if source is not None:
            copy_content(source, made, size)
        # Opened anew: a position of its own, and nobody writes through it.
        return os.open(f"/proc/self/fd/{made}", os.O_RDONLY | os.O_CLOEXEC)
    finally:
        os.close(made)


def _new_file(size: int) -> int:
    if size <= _MEMORY_MOST_BYTES:
        return os.memfd_create("message", os.MFD_CLOEXEC)
    return create_spool_file(_SPOOL)


def run_unwatched(command: bytes, *, folder: str, environment: Mapping[bytes, bytes], message: int) -> Ended:
    """Run ``/bin/sh -c COMMAND`` with our own output and error as its own, for as long as it takes.

    Its input is ``message``.  Raises OSError where it cannot be started.
    """
    done = subprocess.run([_SHELL, b"-c", command], stdin=message, cwd=folder, env=environment, check=False)
    return Ended(done.returncode)


def run_watched(
    command: bytes,
    *,
    folder: str,
    environment: Mapping[bytes, bytes],
    message: int,
    timeout_s: float,
    output_most_bytes: int,
    stopped: threading.Event,
) -> Ended:
    """Run ``/bin/sh -c COMMAND`` in a session of its own, and wait until it ends; its input is ``message``.

    After ``timeout_s``, or when ``stopped`` is set, its process group gets TERM and, five seconds later, KILL.
    Output beyond the bound is read and dropped.  Processes that it leaves behind live on, without our ear.
    Raises OSError where it cannot be started.  SIGPIPE is as a program expects it.
    """
    ear, mouth = os.pipe2(os.O_CLOEXEC)
    try:
        try:
            child = subprocess.Popen(
                [_SHELL, b"-c", command],
                stdin=message,
                stdout=mouth,
                stderr=mouth,
                cwd=folder,
                env=environment,
                start_new_session=True,
            )
        finally:
            os.close(mouth)
        os.set_blocking(ear, False)
        return _Watch(child, ear, output_most_bytes, stopped).until(time.monotonic() + timeout_s)
    finally:
        os.close(ear)


class _Watch:
    """One program while it runs."""

    def __init__(
        self, child: "subprocess.Popen[bytes]", ear: int, output_most_bytes: int, stopped: threading.Event
    ) -> None:
        self._child, self._ear, self._stopped = child, ear, stopped
        self._output = bytearray()
        self._most = output_most_bytes

    def until(self, end: float) -> Ended:
        pidfd = os.pidfd_open(self._child.pid)
        try:
            in_time = self._ends_before(pidfd, end, heeds_stop=True)
            if not in_time:
                self._signal_group(signal.SIGTERM)
                self._ends_before(pidfd, time.monotonic() + _TERM_GRACE_S, heeds_stop=False)
                # Before it is reaped, so that the number of its group is still its own.
                self._signal_group(signal.SIGKILL)
            status = self._child.wait()
        finally:
            os.close(pidfd)
        self._hear()
        return Ended(status, bytes(self._output), in_time)

    def _ends_before(self, pidfd: int, end: float, *, heeds_stop: bool) -> bool:
        poll = select.poll()
        poll.register(pidfd, select.POLLIN)
        poll.register(self._ear, select.POLLIN)
        while not (heeds_stop and self._stopped.is_set()):
            left = end - time.monotonic()
            if left <= 0:
                return False
            ready = [descriptor for descriptor, _ in poll.poll(min(left, _LOOK_S) * 1000)]
            if pidfd in ready:
                return True
            if self._ear in ready and not self._hear():
                poll.unregister(self._ear)
        return False

    def _hear(self) -> bool:
        """Take one piece of output; False at its end."""
        try:
            piece = os.read(self._ear, _READ_BYTES)
        except BlockingIOError:
            return True
        self._output += piece[: max(0, self._most - len(self._output))]
        return bool(piece)

    def _signal_group(self, number: signal.Signals) -> None:
        with contextlib.suppress(ProcessLookupError):
            os.killpg(self._child.pid, number)
