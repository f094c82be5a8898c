"""The life of every process but the supervisor: born with one descriptor, told its settings, drained, gone.

A process is started as ``python -I -m paperpath.ROLE FD``.  On FD the supervisor sends its listening sockets, then
``Configure``; later perhaps both again; and ``Drain`` at the end.  If the supervisor dies, FD ends, and the process
drains by itself: nobody is left to restart it.
"""

import asyncio
import gc
import os
import socket
import sys
from collections.abc import Callable, Coroutine
from typing import Any, Generic, NoReturn, Protocol, TypeVar

import msgspec

from paperpath.base.text import describe
from paperpath.process.settings import Common
from paperpath.system import clock
from paperpath.system.channel import Channel
from paperpath.system.confine import confine_calls, confine_files
from paperpath.system.kernel import forbid_new_privileges
from paperpath.system.output import write_stderr
from paperpath.system.privileges import FILES_MOST, limit_resources
from paperpath.system.spawn import heed_interrupts
from paperpath.telemetry.events import ProcessBroken
from paperpath.telemetry.log import Log
from paperpath.wire.supervision import Configure, Drain, FromSupervisor, Listener, Ready, Rejected

_GRACE_WITHOUT_SUPERVISOR_S = 10.0
_EXIT_BROKEN = 111
_COLLECT_AFTER = (20_000, 20, 50)
"""New objects before a collection, and collections before an older generation's: some hundred messages' worth."""
_SYSTEM_FOLDERS = ("/etc", "/lib", "/lib64", "/usr/lib", "/usr/share/zoneinfo", "/run/systemd/resolve")
_NULL = "/dev/null"
"""What libuv keeps open, to have a descriptor to give up where there are no more; without it, it asks for every
connection again."""

S = TypeVar("S", bound=Common)
S_contra = TypeVar("S_contra", bound=Common, contravariant=True)
T = TypeVar("T")

Listeners = list[tuple[str, socket.socket]]


class Role(Protocol[S_contra]):
    """What a process folder implements; `run_role` drives it."""

    async def configure(self, settings: S_contra, listeners: Listeners) -> None:
        """Start, or go over to new settings and sockets.  Raises ValueError where they cannot be put in force."""

    async def drain(self, grace_s: float) -> None:
        """Finish what is under way within the time; the process exits when this returns."""


def run_loop(main: Coroutine[Any, Any, T], *, is_small: bool = False) -> T:
    """Run ``main`` on uvloop; on the standard loop where that is missing, or where memory matters more than speed."""
    # What was made at import stays for good, and what a message makes is gone without the collector's help.
    gc.freeze()
    gc.set_threshold(*_COLLECT_AFTER)
    if is_small:
        return asyncio.run(main)
    try:
        from uvloop import new_event_loop
    except ImportError:
        return asyncio.run(main)
    with asyncio.Runner(loop_factory=new_event_loop) as runner:
        return runner.run(main)


def new_log(name: str, *, as_json: bool = False) -> Log:
    """Return a log on standard error that writes once a turn of the running loop."""
    return Log(name, write_stderr, clock.now, as_json=as_json, schedule=asyncio.get_running_loop().call_soon)


def report_broken(log: Log) -> None:
    """Send errors that nobody expected to the log instead of asyncio's own printing."""

    def broken(_loop: asyncio.AbstractEventLoop, context: dict[str, Any]) -> None:
        error = context.get("exception")
        log.emit(ProcessBroken(where=str(context.get("message", "")), error=describe(error)))

    asyncio.get_running_loop().set_exception_handler(broken)


class _Life(Generic[S]):
    """The conversation with the supervisor around one role."""

    def __init__(self, name: str, settings_type: type[S], make: Callable[[Log], Role[S]], confined: bool) -> None:
        self._to_confine = confined
        self._decode = msgspec.msgpack.Decoder(settings_type).decode
        self._log = new_log(name)
        self._role = make(self._log)
        self._listeners: Listeners = []
        self._commands: asyncio.Queue[tuple[Configure, Listeners] | Drain] = asyncio.Queue()

    def _take(self, frame: Listener | Configure | Drain, descriptor: int | None) -> None:
        if isinstance(frame, Listener):
            self._listeners.append((frame.name, socket.socket(fileno=descriptor)))
        elif isinstance(frame, Configure):
            self._commands.put_nowait((frame, self._listeners))
            self._listeners = []
        else:
            self._commands.put_nowait(frame)

    async def live(self, control: socket.socket) -> None:
        report_broken(self._log)
        try:
            await self._serve(control)
        except Exception as error:  # the last resort: say why, end, and be started again
            self._log.emit(ProcessBroken(where="process", error=describe(error)))
            self._log.flush()
            sys.exit(_EXIT_BROKEN)

    async def _serve(self, control: socket.socket) -> None:
        last = Drain(_GRACE_WITHOUT_SUPERVISOR_S)
        channel = Channel(control, FromSupervisor, self._take, lambda _: self._commands.put_nowait(last))
        configured = False
        while not isinstance(command := await self._commands.get(), Drain):
            refused = await self._configure(*command)
            channel.send(Ready() if refused is None else Rejected(refused))
            if refused is not None and not configured:
                self._give_up(channel)
            configured = True
        await self._role.drain(command.grace_s)
        self._log.flush()

    def _give_up(self, channel: Channel) -> NoReturn:
        """End, to be started again: without settings there is nothing to do, and the reason may pass."""
        channel.flush()
        self._log.flush()
        sys.exit(_EXIT_BROKEN)

    async def _configure(self, frame: Configure, listeners: Listeners) -> str | None:
        """Put settings in force; return None, or why that cannot be."""
        try:
            settings = self._decode(frame.settings)
            self._log.as_json = settings.log_as_json
            if self._to_confine:
                self._to_confine = False
                confine_files(read=(*_readable(), *settings.readable), write=settings.writable)
            await self._role.configure(settings, listeners)
        except (ValueError, OSError) as error:
            for _, sock in listeners:
                sock.close()
            return describe(error)
        return None


def run_role(
    name: str,
    settings_type: type[S],
    make: Callable[[Log], Role[S]],
    *,
    confined: bool = True,
    is_small: bool = False,
) -> None:
    """Be one process until the supervisor says stop.  The descriptor's number is the only argument.

    ``confined`` gives up, before a byte from outside is read, what no process but `local` needs: gaining privileges,
    starting programs, and once the settings are there every file but those of ``_readable`` and ``writable``.
    ``is_small``: it has little to do, and is to take little memory.
    """
    heed_interrupts()
    if confined:
        forbid_new_privileges()
        limit_resources(FILES_MOST)
        # Before there is a loop: libuv would begin to use io_uring, which is forbidden here, and not survive that.
        confine_calls()

    control = socket.socket(fileno=int(sys.argv[1]))
    # It came by being passed on; programs that are started from here must not have it.
    control.set_inheritable(False)

    async def live() -> None:
        await _Life(name, settings_type, make, confined).live(control)

    run_loop(live(), is_small=is_small)


def _readable() -> tuple[str, ...]:
    """Return what Python and its loop read after their start: modules, libraries, name service configuration."""
    return (*filter(os.path.isabs, sys.path), sys.prefix, sys.base_prefix, *_SYSTEM_FOLDERS, _NULL)
