"""Running a program of the checkpassword interface (qmail reference 15.2)."""

import os
import select
import signal
from collections.abc import Sequence

ASKED_MOST_BYTES = 512
"""What such a program reads; longer questions are not asked."""

_RIGHT, _WRONG = 0, 1


class CheckpasswordError(OSError):
    """The program could not tell."""


def run_checkpassword(program: Sequence[str], asked: bytes, timeout_s: float) -> bool:
    """Run ``program`` with ``asked`` on its descriptor 3; return whether it took the password.

    It has no input, its output goes nowhere, its errors to ours, and PATH is its whole environment.  Blocks until it
    ends; after ``timeout_s`` it is killed with all that it started in its session.  Raises CheckpasswordError for every
    end but 0 and 1.
    """
    reader, writer = os.pipe2(os.O_CLOEXEC)
    try:
        os.write(writer, asked)  # it fits the pipe
    finally:
        os.close(writer)
    try:
        child = _start(program, reader)
    except OSError as error:
        raise CheckpasswordError(error.errno, f"cannot be started: {error.strerror}") from None
    finally:
        os.close(reader)
    status = _wait(child, timeout_s)
    if status not in (_RIGHT, _WRONG):
        raise CheckpasswordError(0, "took too long" if status is None else f"ended with {status}")
    return status == _RIGHT


def _start(program: Sequence[str], reader: int) -> int:
    nothing = os.devnull
    return os.posix_spawn(
        program[0],
        list(program),
        {"PATH": "/usr/local/bin:/usr/bin:/bin"},
        file_actions=(
            (os.POSIX_SPAWN_OPEN, 0, nothing, os.O_RDONLY, 0),
            (os.POSIX_SPAWN_OPEN, 1, nothing, os.O_WRONLY, 0),
            (os.POSIX_SPAWN_DUP2, reader, 3),
        ),
        setsid=True,
        setsigdef=(signal.SIGPIPE, signal.SIGXFSZ),  # what Python ignores
    )


def _wait(child: int, timeout_s: float) -> int | None:
    """Return how it ended, None where it had to be killed."""
    pidfd = os.pidfd_open(child)
    try:
        in_time = bool(select.select([pidfd], [], [], timeout_s)[0])
    finally:
        os.close(pidfd)
    if not in_time:
        # Not reaped yet, so the number of its group is still its own.
        os.killpg(child, signal.SIGKILL)
    status = os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])
    return status if in_time else None
