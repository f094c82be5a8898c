"""The workers that live now: at most one of a name, ``_LIVING_MOST`` in all."""

import asyncio
import signal
import socket
from collections.abc import Mapping, Sequence

from paperpath.base.limits import WORKERS_MOST
from paperpath.local.lookup import MAILBOXES, CannotTell, Identity
from paperpath.local.nurse import Nurse
from paperpath.system.spawn import Adopted, Process, how_it_ended, spawn
from paperpath.system.users import User, find_user
from paperpath.telemetry.events import ProcessEnded
from paperpath.telemetry.log import Log

_LIVING_MOST = WORKERS_MOST + 8
"""Those that `queue` keeps, and some on their way out."""

_FORMER_WITHIN_S = 5.0
"""How long a new worker waits for the one of its name that was told to go: it finishes one batch at most."""

_MODULE = "paperpath.local.worker_main"


class Workers:
    """Starts, counts and reaps them."""

    def __init__(self, log: Log) -> None:
        self._log = log
        self._nurse = Nurse(log)
        self._living: dict[str, tuple[Process | Adopted, asyncio.Future[None]]] = {}
        self._starting: set[str] = set()

    async def start(
        self, name: str, identity: Identity, instructions: Sequence[str], environment: Mapping[str, str]
    ) -> socket.socket:
        """Start the worker and return our end of the conversation with it.

        ``instructions`` are its last arguments, see `worker_main`, and its ``environment`` goes on to programs.
        One that ends within seconds is waited for.  Raises CannotTell where there is no room, or its name is taken.
        """
        former = self._living.get(name)
        if former is not None:
            await asyncio.wait([former[1]], timeout=_FORMER_WITHIN_S)
        if name in self._living or name in self._starting:
            raise CannotTell("the worker of this name is still at work")
        if len(self._living) + len(self._starting) >= _LIVING_MOST:
            raise CannotTell("too many workers")
        ours, theirs = socket.socketpair()
        self._starting.add(name)
        try:
            with theirs:
                arguments = [identity.folder, identity.user, log_form(self._log), *instructions]
                self._watch(name, await self._start(name, identity, arguments, environment, theirs))
        except BaseException as error:
            ours.close()
            if isinstance(error, OSError):
                raise CannotTell(f"the worker could not be started: {error.strerror or error}") from error
            raise
        finally:
            self._starting.discard(name)
        return ours

    async def _start(
        self,
        name: str,
        identity: Identity,
        arguments: Sequence[str],
        environment: Mapping[str, str],
        theirs: socket.socket,
    ) -> Process | Adopted:
        """Start it anew, or where there may be many, as a copy of a process that is warm.

        Raises OSError and CannotTell.
        """
        if identity.become and name != MAILBOXES:
            return await self._nurse.rear(name, _user(identity), arguments, environment, theirs)
        number = theirs.fileno()
        return spawn(_MODULE, [str(number), *arguments], [number], whom(identity), environment)

    async def end(self, grace_s: float) -> None:
        """Wait until all have ended, which they do when `queue` lets them go; kill those that outlast the
        grace."""
        if self._living:
            await asyncio.wait([ended for _, ended in self._living.values()], timeout=grace_s)
        for process, _ in list(self._living.values()):
            process.send_signal(signal.SIGKILL)
        if self._living:
            await asyncio.wait([ended for _, ended in self._living.values()])
        self._nurse.close()

    def _watch(self, name: str, process: Process | Adopted) -> None:
        loop = asyncio.get_running_loop()
        self._living[name] = process, loop.create_future()
        loop.add_reader(process.pidfd, self._ended, name)

    def _ended(self, name: str) -> None:
        process, ended = self._living.pop(name)
        asyncio.get_running_loop().remove_reader(process.pidfd)
        status = process.poll()
        ended.set_result(None)
        if status:
            how = how_it_ended(status)
            self._log.emit(ProcessEnded(role=f"local worker {name}", pid=process.pid, how=how, restart_s=0.0))


def log_form(log: Log) -> str:
    """Return how a process of ours is told the form of its log lines."""
    return "json" if log.as_json else "logfmt"


def _user(identity: Identity) -> User:
    """Return the ids to become.  Raises OSError where they are not known."""
    if identity.ids is not None:
        return User(identity.user, *identity.ids, identity.folder)
    found = find_user(identity.user)
    if found is None:
        raise FileNotFoundError(f"no such user: {identity.user}")
    return found


def whom(identity: Identity) -> User | str | None:
    """Return whom a process for this identity is started as, as `system.spawn` takes it."""
    if not identity.become or identity.ids is None:
        return identity.user if identity.become else None
    return User(identity.user, *identity.ids, identity.folder)
