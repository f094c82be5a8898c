"""Starting processes of ours: afresh, isolated, as the right user, with the right descriptors only."""

import os
import select
import signal
import socket
import subprocess
import sys
from collections.abc import Mapping, Sequence

from paperpath.system.users import User, find_user

PROGRAM_PATH = "/usr/local/bin:/usr/bin:/bin"
ENVIRONMENT = {"PATH": PROGRAM_PATH, "LANG": "C.UTF-8"}
"""Of every process of ours, and of users' programs."""
_INTERRUPT = frozenset({signal.SIGINT})
ROOM_FOR_TITLE = " " * 400
"""An argument for a process whose copies are to be told apart: see `forking.set_title`."""


def how_it_ended(status: int | None) -> str:
    """Return in words how a process ended, from its exit status, or a signal's number below zero."""
    if status is None or status >= 0:
        return f"exit {status}"
    try:
        return signal.Signals(-status).name
    except ValueError:  # a real-time signal has no name
        return f"signal {-status}"


class Process:
    """A child of ours.  ``pidfd`` becomes readable when it has ended; then ``poll`` reaps it."""

    def __init__(self, child: "subprocess.Popen[bytes]") -> None:
        self._child = child
        self.pid = child.pid
        try:
            self.pidfd = os.pidfd_open(child.pid)
        except OSError:
            child.kill()
            child.wait()
            raise

    def poll(self) -> int | None:
        """Return None while it runs; then its exit status, or a signal's number below zero.

        The call that first finds it ended reaps it and closes ``pidfd``: remove that from the loop before.
        """
        reaped = self._child.returncode is not None
        status = self._child.poll()
        if status is not None and not reaped:
            os.close(self.pidfd)
        return status

    def wait(self, timeout_s: float) -> int | None:
        """Block until it has ended, at most so long; return what ``poll`` then returns."""
        if self._child.returncode is None:
            select.select([self.pidfd], [], [], timeout_s)
        return self.poll()

    def send_signal(self, number: signal.Signals) -> None:
        """Send it a signal, never to another process that got its id; one that has ended is left in peace."""
        if self._child.returncode is None:
            try:
                signal.pidfd_send_signal(self.pidfd, number)
            except ProcessLookupError:
                pass


class Adopted:
    """A process that is no child of ours, as its parent's pidfd shows it; how it ended is the parent's to tell."""

    def __init__(self, pid: int, pidfd: int) -> None:
        self.pid, self.pidfd = pid, pidfd
        self._ended = False

    def poll(self) -> int | None:
        """Return 0 once it has ended, else None; the call that first finds it ended closes ``pidfd``."""
        if not self._ended and select.select([self.pidfd], [], [], 0)[0]:
            self._ended = True
            os.close(self.pidfd)
        return 0 if self._ended else None

    def send_signal(self, number: signal.Signals) -> None:
        """Send it a signal, never to another process that got its id; one that has ended is left in peace."""
        if not self._ended:
            try:
                signal.pidfd_send_signal(self.pidfd, number)
            except ProcessLookupError:
                pass


def spawn(
    module: str,
    arguments: Sequence[str],
    descriptors: Sequence[int],
    user: User | str | None,
    environment: Mapping[str, str],
) -> Process:
    """Start ``python -I -m module arguments…`` and return at once.

    It has ``descriptors`` under the numbers they have here, standard error, and /dev/null as input and
    output; a session of its own, ``/`` as its folder, umask 077, and ``environment`` beside PATH and LANG.
    With ``user``, an account or the name of one, it gives up this process's user, group and supplementary
    groups for that account's own; ``None`` changes nothing.  Raises PermissionError where the account has
    user id 0, and OSError where there is no such account or the process could not be started.

    INT waits until the module calls `heed_interrupts`: a Python that is just starting would answer it with a traceback.
    """
    account = None if user is None else _account(user)
    former = signal.pthread_sigmask(signal.SIG_BLOCK, _INTERRUPT)
    try:
        child = subprocess.Popen(
            [sys.executable, "-I", "-m", module, *arguments],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            pass_fds=tuple(descriptors),
            cwd="/",
            env={**ENVIRONMENT, **environment},
            start_new_session=True,
            umask=0o077,
            user=None if account is None else account.uid,
            group=None if account is None else account.gid,
            extra_groups=None if account is None else [account.gid],
        )
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, former)
    return Process(child)


def spawn_with_socket(module: str, arguments: Sequence[str], user: User | str | None) -> tuple[Process, socket.socket]:
    """Start a process as `spawn` does, whose first argument is its end of a conversation; return ours with it."""
    ours, theirs = socket.socketpair()
    with theirs:
        number = theirs.fileno()
        try:
            return spawn(module, [str(number), *arguments], [number], user, {}), ours
        except BaseException:
            ours.close()
            raise


def heed_interrupts() -> None:
    """Let INT end this process, which `spawn` started, without a word from Python; call it first of all."""
    signal.signal(signal.SIGINT, signal.SIG_DFL)
    signal.pthread_sigmask(signal.SIG_UNBLOCK, _INTERRUPT)


def _account(user: User | str) -> User:
    account = find_user(user) if isinstance(user, str) else user
    if account is None:
        raise FileNotFoundError(f"no such user: {user}")
    if account.uid == 0:
        raise PermissionError(f"{account.name} has user id 0")
    return account
