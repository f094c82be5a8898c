"""The supervisor: `paperpath serve`."""

import asyncio
import contextlib
import os
import signal
import socket
import sys
from collections.abc import Coroutine
from typing import Any

from paperpath.config.certificates import files_state
from paperpath.config.endpoints import Tcp
from paperpath.config.load import load
from paperpath.config.problems import ConfigError
from paperpath.config.program_values import write_values
from paperpath.config.qmail import after_change, after_hup, session_state, with_control
from paperpath.process.child import new_log, report_broken, run_loop
from paperpath.process.troubles import Troubles
from paperpath.supervise.child import Child
from paperpath.supervise.logins import ROLES as LOGIN_ROLES
from paperpath.supervise.plan import Door, Part, Plan, PlanError, make_plan
from paperpath.system.clock import monotonic
from paperpath.system.dropped import MODE as DROP_MODE
from paperpath.system.dropped import make_folder_for
from paperpath.system.listeners import listen_tcp, listen_unix, lock_file
from paperpath.system.notify import inherited_sockets, notify
from paperpath.system.privileges import raise_file_limit
from paperpath.telemetry import events

_EXIT_DONE, _EXIT_CONFIG, _EXIT_TEMPORARY = 0, 100, 111
_SOCKET_MODE = 0o666
_HUP, _CONTROL, _CERTIFICATES = "SIGHUP", "control", "certificates"
"""Orders that are no reason to stop: read all again; a control file that qmail reads for each session has changed; a
certificate or a key has."""

_WATCH_S = 1.0
"""How old a change of those files may grow before it counts."""
_CERTIFICATES_WATCH_S = 10.0
"""How often certificates are looked at.  What changed counts when it was the same twice: whoever renews them writes
several files, and two that do not belong together are none."""
_STOP_ORDER = (
    (("receive", "pop3"), 1 / 3),
    (("queue",), 9 / 10),
    *(((role,), 1) for role in ("remote", "local", *LOGIN_ROLES, "guard")),
)
"""Who drains first, and which part of the grace is over when it must have ended: nothing new comes in, then nothing
goes out to agents, then they have nothing to do.  A client that is silent takes no time from the deliveries."""


def serve(path: str) -> int:
    """Run the service in the foreground until TERM; return the exit code."""
    try:
        plan = make_plan(load(path), os.cpu_count() or 1)
    except (ConfigError, PlanError) as error:
        sys.stderr.write(f"paperpath: {error}\n")
        return _EXIT_CONFIG
    raise_file_limit()

    async def run() -> int:
        return await Supervisor(path, plan).run()

    return run_loop(run(), is_small=True)


class Supervisor:
    """The service as a whole."""

    def __init__(self, path: str, plan: Plan) -> None:
        self._path, self._plan = path, plan
        self._log = new_log("supervise", as_json=plan.log_as_json)
        self._sockets: dict[str, socket.socket] = {}
        self._troubles = Troubles(plan.run)
        self._children: list[Child] = []
        self._orders: asyncio.Queue[str] = asyncio.Queue()
        self._change: asyncio.Task[None] | None = None
        self._stopping = False
        self._errands: set[asyncio.Task[None]] = set()

    async def run(self) -> int:
        """Start everything, keep it running, stop it; return the exit code."""
        report_broken(self._log)
        try:
            lock = self._prepare()
        except (OSError, ValueError, PlanError) as error:
            self._log.flush()
            sys.stderr.write(f"paperpath: {error}\n")
            return _EXIT_TEMPORARY
        self._take_signals()
        try:
            return await self._serve()
        finally:
            for sock in self._sockets.values():
                sock.close()
            os.close(lock)

    def _prepare(self) -> int:
        """Make the folders, take the lock, open the sockets; return the lock's descriptor."""
        for folder in self._plan.folders:
            os.makedirs(folder, mode=0o700 if folder != self._plan.run else 0o755, exist_ok=True)
        make_folder_for(self._plan.drop_reader, self._plan.drop, DROP_MODE)
        make_folder_for(self._plan.logins_writer, self._plan.logins, 0o700)
        lock = lock_file(os.path.join(self._plan.run, "lock"))
        if lock is None:
            raise PlanError(f"the service is running already: another process holds {self._plan.run}/lock")
        self._open_sockets(self._plan, inherited_sockets())
        self._tell_programs()
        return lock

    def _tell_programs(self) -> None:
        """Write what injecting programs need beside the configuration; where that may not be, they read the whole."""
        with contextlib.suppress(OSError):
            write_values(self._plan.config, self._path)

    def _open_sockets(self, plan: Plan, inherited: dict[str, tuple[socket.socket, ...]]) -> None:
        for door in plan.doors:
            if door.name not in self._sockets:
                self._sockets[door.name] = _inherited(door, inherited) or _open(door)

    def _take_signals(self) -> None:
        loop = asyncio.get_running_loop()
        for number in (signal.SIGTERM, signal.SIGINT):
            loop.add_signal_handler(number, self._ordered, number.name)
        loop.add_signal_handler(signal.SIGHUP, self._orders.put_nowait, _HUP)
        loop.add_signal_handler(signal.SIGALRM, self._retry_all)
        for number in (signal.SIGUSR1, signal.SIGUSR2):  # they mean nothing here, and must not end the service
            loop.add_signal_handler(number, lambda: None)

    def _retry_all(self) -> None:
        """Have everything in the queue tried now, as qmail-send does at this signal."""
        from paperpath.supervise.retry import retry_all  # seldom asked for, and one module fewer in a root process

        retry = asyncio.create_task(retry_all(f"{self._plan.run}/queue.control", self._log))
        self._errands.add(retry)
        retry.add_done_callback(self._errands.discard)

    def _ordered(self, signal_name: str) -> None:
        """A change that is under way is given up.  A second TERM means now."""
        if self._stopping:
            for child in self._children:
                child.kill()
        self._stopping = True
        if self._change is not None:
            self._change.cancel()
        self._orders.put_nowait(signal_name)

    async def _serve(self) -> int:
        self._troubles.clear()
        self._children = [self._child(part) for part in self._plan.parts]
        beside = (self._wait_ready(), self._watch_control(), self._watch_certificates())
        tasks = [asyncio.create_task(one) for one in beside]
        changes = {_HUP: self._reload, _CONTROL: self._control_changed, _CERTIFICATES: self._certificates_changed}
        while (order := await self._orders.get()) in changes:
            if not self._stopping:
                await self._carry_out(changes[order]())
        for task in tasks:
            task.cancel()
        await self._stop(order)
        return _EXIT_DONE

    def _child(self, part: Part) -> Child:
        return Child(part, self._sockets, self._log, self._troubles.note)

    async def _wait_ready(self) -> None:
        """Say that the service is there when every process has taken its settings; one that fails is started again."""
        await asyncio.gather(*(_until_ready(child) for child in self._children))
        listeners = ", ".join(door.name for door in self._plan.doors if " " in door.name)
        self._log.emit(events.ServiceReady(listeners=listeners, privileges=self._plan.privileges))
        notify("READY=1")

    async def _carry_out(self, change: Coroutine[Any, Any, None]) -> None:
        """Wait for a change of settings, and survive it; TERM ends it."""
        self._change = asyncio.create_task(change)
        await asyncio.wait((self._change,))
        if not self._change.cancelled() and (error := self._change.exception()) is not None:
            context = {"message": "changing settings", "exception": error}
            asyncio.get_running_loop().call_exception_handler(context)
        self._change = None

    async def _reload(self) -> None:
        """Read the file again and tell everybody; what cannot be put in force leaves the former settings."""
        notify("RELOADING=1")
        try:
            plan = make_plan(after_hup(self._plan.config, load(self._path)), os.cpu_count() or 1)
            self._open_sockets(plan, {})
            await self._go_over_to(plan)
        except (ConfigError, PlanError, OSError, ValueError) as error:
            self._log.emit(events.ReloadRefused(reason=str(error)))
        else:
            self._plan = plan
            self._tell_programs()
            self._log.as_json = plan.log_as_json
            self._log.emit(events.ServiceReloaded(file=self._path))
        finally:
            self._close_unused(self._plan)
            notify("READY=1")

    async def _watch_control(self) -> None:
        """Notice what an administrator of qmail changes without telling anybody, as that host's programs would."""
        home = ""
        seen: tuple[object, ...] = ()
        while True:
            if home != self._plan.config.qmail.home:
                home = self._plan.config.qmail.home
                seen = session_state(home)
            await asyncio.sleep(_WATCH_S)
            if home and seen != (found := session_state(home)):
                seen = found
                self._orders.put_nowait(_CONTROL)

    async def _watch_certificates(self) -> None:
        known = last = files_state(self._plan.config.tls)
        while True:
            await asyncio.sleep(_CERTIFICATES_WATCH_S)
            found = files_state(self._plan.config.tls)
            if found == last and found != known:
                known = found
                self._orders.put_nowait(_CERTIFICATES)
            last = found

    async def _certificates_changed(self) -> None:
        """Show the new certificates; those that cannot be used leave the former ones, everywhere."""
        try:
            plan = make_plan(self._plan.config, os.cpu_count() or 1)
            if plan.parts == self._plan.parts:
                return  # HUP was sooner, or only a date changed
            await self._go_over_to(plan)
        except (PlanError, OSError, ValueError) as error:
            self._log.emit(events.CertificatesRefused(reason=str(error)))
        else:
            self._plan = plan
            self._log.emit(events.CertificatesReloaded(certificate=plan.config.tls.certificate))

    async def _control_changed(self) -> None:
        """Put in force what qmail reads for each session; what cannot be read leaves the former settings."""
        former = self._plan.config
        if not former.qmail.home:
            return
        try:
            plan = make_plan(after_change(former, with_control(former)), os.cpu_count() or 1)
            await self._go_over_to(plan)
        except (ConfigError, PlanError, OSError, ValueError) as error:
            self._log.emit(events.ReloadRefused(reason=str(error)))
        else:
            self._plan = plan
            self._log.emit(events.ServiceReloaded(file=f"{former.qmail.home}/control"))

    async def _go_over_to(self, plan: Plan) -> None:
        """Put a plan in force in every process.  Raises PlanError where one cannot take its part: then all go back."""
        if plan.config.paths != self._plan.config.paths:
            raise PlanError("[paths] cannot change while the service runs: restart it")
        if plan.privileges != self._plan.privileges:
            raise PlanError("privileges cannot change while the service runs: restart it")
        wanted = {part.name: part for part in plan.parts}
        kept = [child for child in self._children if child.part.name in wanted]
        leaving = [child for child in self._children if child.part.name not in wanted]
        over: list[tuple[Child, Part]] = []
        added: list[Child] = []
        try:
            for child in kept:
                former = child.part
                _check(child, await child.configure(wanted.pop(former.name)))
                over.append((child, former))
            added += [self._child(part) for part in wanted.values()]
            self._children += added
            for child in added:
                _check(child, await child.ready_soon())
        except Exception:
            await asyncio.gather(*(child.go_back(former) for child, former in over))
            await self._let_go(added, self._plan.grace_s)
            raise
        await self._let_go(leaving, plan.grace_s)

    async def _let_go(self, children: list[Child], grace_s: float) -> None:
        """Drain processes that are not wanted any more; where that is broken off, the end of the service ends them."""
        await asyncio.gather(*(child.stop(grace_s) for child in children))
        for child in children:
            self._troubles.note(child.part.name, "")
        self._children = [child for child in self._children if child not in children]

    def _close_unused(self, plan: Plan) -> None:
        for name in self._sockets.keys() - {door.name for door in plan.doors}:
            self._sockets.pop(name).close()

    async def _stop(self, order: str) -> None:
        began, grace = monotonic(), float(self._plan.grace_s)
        notify("STOPPING=1")
        self._log.emit(events.ServiceStopping(signal=order))
        for roles, share in _STOP_ORDER:
            left = max(0.0, grace * share - (monotonic() - began))
            await asyncio.gather(*(child.stop(left) for child in self._children if child.part.role in roles))
        self._troubles.clear()
        self._log.emit(events.ServiceStopped(duration_s=monotonic() - began))
        self._log.flush()


def _check(child: Child, reason: str | None) -> None:
    if reason is not None:
        raise PlanError(f"{child.part.name}: {reason}")


async def _until_ready(child: Child) -> None:
    while (await child.ready()) is not None:
        pass


def _open(door: Door) -> socket.socket:
    endpoint = door.endpoint
    try:
        if isinstance(endpoint, Tcp):
            return listen_tcp(endpoint.host, endpoint.port)
        return listen_unix(endpoint.path, _SOCKET_MODE)
    except OSError as error:
        raise PlanError(f"cannot listen on {endpoint} for {door.name}: {error.strerror or error}") from error


def _inherited(door: Door, sockets: dict[str, tuple[socket.socket, ...]]) -> socket.socket | None:
    """Return the socket that the service manager opened for this door: by our name, or by the service's alone."""
    service = door.name.partition(" ")[0]
    for name in (door.name, service):
        for sock in sockets.get(name, ()):
            if not isinstance(door.endpoint, Tcp) or sock.getsockname()[:2] == (door.endpoint.host, door.endpoint.port):
                return sock
    return None
