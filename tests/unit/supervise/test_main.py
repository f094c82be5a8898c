"""How the supervisor orders its processes about; the processes are played."""

import asyncio
import json
import os
import shutil
import signal
import socket
import tempfile
from collections.abc import AsyncIterator, Mapping
from pathlib import Path
from typing import Any

import pytest

from paperpath.config.load import load
from paperpath.config.schema import Config
from paperpath.supervise import main as module
from paperpath.supervise.child import Note
from paperpath.supervise.main import Supervisor
from paperpath.supervise.plan import Part, Plan, make_plan
from paperpath.system.users import User
from paperpath.telemetry.log import Log
from tests.certificates import Authority, Made
from tests.service import free_port

NEVER = "never"


class Stage:
    """A configuration in a folder, the processes that were started for it, and what happened to them."""

    def __init__(self, folder: Path) -> None:
        self.file = folder / "paperpath.toml"
        self.children: list[PlayedChild] = []
        self.answers: dict[str, str | None] = {}
        """What a process says to new settings, by name: None, or why not; NEVER: nothing."""
        self.broken = False
        self.done: list[tuple[str, ...]] = []
        self.lines: asyncio.Queue[dict[str, Any]] = asyncio.Queue()
        self.now = 0.0
        self.folder = folder
        self.more = ""
        """Sections to add to the file."""

    def write(self, *, receivers: int = 1, ports: tuple[int, ...]) -> None:
        doors = "".join(f'[[listen]]\nservice = "smtp"\naddress = "127.0.0.1:{port}"\n' for port in ports)
        paths = f'paths.state = "{self.folder}/state"\npaths.run = "{self.folder}/run"\n'
        head = f'hostname = "mx.here.test"\nprivileges = "caller"\nlog.format = "json"\n{paths}'
        rest = f'[receive]\nprocesses = {receivers}\n[stop]\ngrace = 30\n[mailboxes]\ndomains = ["here.test"]\n'
        self.file.write_text(head + doors + rest + self.more)

    def start(self) -> asyncio.Task[int]:
        return asyncio.create_task(Supervisor(str(self.file), make_plan(load(str(self.file)), 1)).run())

    def child(self, part: Part, sockets: Mapping[str, socket.socket], _: Log, note: Note) -> "PlayedChild":
        self.children.append(PlayedChild(self, part, sockets))
        return self.children[-1]

    def log(self, name: str, *, as_json: bool) -> Log:
        return Log(name, lambda data: self.lines.put_nowait(json.loads(data)), lambda: 0.0, as_json=True)

    async def line(self, *events: str) -> dict[str, Any]:
        """Return the next line of one of these events."""
        while (line := await asyncio.wait_for(self.lines.get(), 30))["event"] not in events:
            pass
        return line

    async def reload(self) -> dict[str, Any]:
        os.kill(os.getpid(), signal.SIGHUP)
        return await self.line("service.reloaded", "service.reload-refused", "process.broken")


class PlayedChild:
    """Does at once what it is told, but for what its stage says."""

    def __init__(self, stage: Stage, part: Part, sockets: Mapping[str, socket.socket]) -> None:
        self.part, self.first, self._stage, self._sockets = part, part, stage, sockets

    async def ready(self) -> str | None:
        return None

    async def ready_soon(self) -> str | None:
        return await self._answer("starts")

    async def configure(self, part: Part) -> str | None:
        reason = await self._answer("goes over")
        if reason is None:
            self.part = part
        return reason

    async def go_back(self, part: Part) -> None:
        open_doors = all(self._sockets[name].fileno() >= 0 for name in (*self.part.doors, *part.doors))
        self._stage.done.append(("goes back", self.part.name, "doors open" if open_doors else "doors closed"))
        self.part = part

    async def stop(self, grace_s: float) -> None:
        self._stage.done.append(("stops", self.part.name, f"{grace_s:g}"))
        self._stage.now += grace_s

    def kill(self) -> None:
        self._stage.done.append(("is killed", self.part.name))

    async def _answer(self, what: str) -> str | None:
        self._stage.done.append((what, self.part.name))
        answer = self._stage.answers.get(self.part.name)
        if answer == NEVER:
            await asyncio.Event().wait()
        if self._stage.broken and answer is not None:
            raise KeyError(answer)
        return answer


@pytest.fixture
async def stage(monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[Stage]:
    folder = Path(tempfile.mkdtemp(prefix="pp", dir="/tmp"))  # sockets' paths are bounded
    stage = Stage(folder)
    monkeypatch.setattr(module, "Child", stage.child)
    monkeypatch.setattr(module, "new_log", stage.log)
    monkeypatch.setattr(module, "monotonic", lambda: stage.now)
    yield stage
    shutil.rmtree(folder)


async def end(service: asyncio.Task[int], stage: Stage) -> list[tuple[str, ...]]:
    """Send TERM; return what was done from then on."""
    stage.done.clear()
    os.kill(os.getpid(), signal.SIGTERM)
    assert await asyncio.wait_for(service, 30) == 0
    return stage.done


async def running(stage: Stage, **settings: Any) -> asyncio.Task[int]:
    stage.write(**settings)
    service = stage.start()
    await stage.line("service.ready")
    return service


def names(stage: Stage, what: str) -> list[str]:
    return [done[1] for done in stage.done if done[0] == what]


@pytest.mark.parametrize("broken", [False, True])
async def test_where_one_refuses_those_before_it_go_back_while_their_doors_are_open(stage: Stage, broken: bool) -> None:
    first, second = free_port(), free_port()
    service = await running(stage, ports=(first,))
    stage.write(ports=(second,), receivers=2)
    stage.answers, stage.broken = {"receive": "no", "remote": "not this"}, broken
    line = await stage.reload()
    expected = ("process.broken", "KeyError") if broken else ("service.reload-refused", "remote: not this")
    assert (line["event"], (line.get("reason") or line["error"])[: len(expected[1])]) == expected
    assert stage.done == [
        *(("goes over", name) for name in ("queue", "local", "remote")),
        *(("goes back", name, "doors open") for name in ("queue", "local")),
    ]
    assert all(child.part is child.first for child in stage.children)
    with pytest.raises(ConnectionRefusedError):
        socket.create_connection(("127.0.0.1", second))
    socket.create_connection(("127.0.0.1", first)).close()
    await end(service, stage)


async def test_where_a_new_process_does_not_start_all_go_back_and_it_goes(stage: Stage) -> None:
    ports = (free_port(),)
    service = await running(stage, ports=ports, receivers=2)
    stage.write(ports=ports, receivers=3)
    stage.answers = {"receive-3": "no"}
    assert (await stage.reload())["reason"] == "receive-3: no"
    kept = ["queue", "local", "remote", "guard", "receive-1", "receive-2"]
    assert names(stage, "goes back") == kept
    assert names(stage, "stops") == ["receive-3"]
    stage.answers = {}
    assert (await stage.reload())["event"] == "service.reloaded"
    assert names(stage, "starts") == ["receive-3", "receive-3"]
    assert sorted(name for what, name, *_ in await end(service, stage)) == sorted([*kept, "receive-3"])


@pytest.mark.parametrize(
    ("before", "after", "reason"),
    [
        ('privileges = "caller"', 'privileges = "separate"', "privileges cannot change"),
        ("/run", "/elsewhere", "[paths] cannot change"),
    ],
)
async def test_what_holds_for_the_life_of_a_service_needs_a_restart(
    stage: Stage, monkeypatch: pytest.MonkeyPatch, before: str, after: str, reason: str
) -> None:
    monkeypatch.setattr("paperpath.supervise.plan.own_uid", lambda: 0)
    monkeypatch.setattr("paperpath.supervise.plan.find_user", lambda name: User(name, 1234, 1234, "/"))
    service = await running(stage, ports=(free_port(),))
    stage.file.write_text(stage.file.read_text().replace(before, after))
    assert (await stage.reload())["reason"].startswith(reason)
    assert stage.done == []
    await end(service, stage)


async def test_process_that_is_not_wanted_any_more_goes_when_all_others_are_content(stage: Stage) -> None:
    ports = (free_port(),)
    service = await running(stage, ports=ports, receivers=3)
    stage.write(ports=ports, receivers=2)
    stage.answers = {"receive-2": "no"}
    assert (await stage.reload())["event"] == "service.reload-refused"
    assert names(stage, "stops") == []
    stage.answers = {}
    assert (await stage.reload())["event"] == "service.reloaded"
    assert names(stage, "stops") == ["receive-3"]
    assert "receive-3" not in [done[1] for done in await end(service, stage)]


def tls_lines(made: Made, folder: Path) -> str:
    certificate, key = made.write(folder, "mx")
    return f'[tls]\ncertificate = "{certificate}"\nkey = "{key}"\n'


async def test_certificates_that_change_are_shown_without_hup(stage: Stage, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "_CERTIFICATES_WATCH_S", 0.01)
    first, second = Authority().issue("mx.here.test"), Authority().issue("mx.here.test")
    stage.more = tls_lines(first, stage.folder)
    service = await running(stage, ports=(free_port(),))
    (stage.folder / "mx.pem").write_bytes(second.certificate)
    refused = await stage.line("tls.reload-refused")
    assert refused["reason"].endswith("mx.pem: the key is not this certificate's")
    assert stage.done == []
    second.write(stage.folder, "mx")
    assert (await stage.line("tls.reloaded"))["certificate"] == str(stage.folder / "mx.pem")
    told = {child.part.role: second.key in child.part.settings for child in stage.children}
    assert told["receive"] and not told["queue"] and not told["local"] and not told["remote"]
    stage.done.clear()
    stage.answers = {"receive": "no"}
    first.write(stage.folder, "mx")
    assert (await stage.line("tls.reload-refused"))["reason"] == "receive: no"
    assert "queue" in names(stage, "goes back")
    await end(service, stage)


async def test_certificates_that_hup_has_read_are_not_told_again(stage: Stage, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "_CERTIFICATES_WATCH_S", 0.01)
    plans: asyncio.Queue[Plan] = asyncio.Queue()

    def noted_plan(config: Config, processors: int) -> Plan:
        plan = make_plan(config, processors)
        plans.put_nowait(plan)
        return plan

    stage.more = tls_lines(Authority().issue("mx.here.test"), stage.folder)
    service = await running(stage, ports=(free_port(),))
    monkeypatch.setattr(module, "make_plan", noted_plan)
    Authority().issue("mx.here.test").write(stage.folder, "mx")
    assert (await stage.reload())["event"] == "service.reloaded"
    stage.done.clear()
    await plans.get()  # that of HUP
    await asyncio.wait_for(plans.get(), 30)  # that of the watch
    assert stage.done == []
    await end(service, stage)
    assert (await stage.line("service.stopped", "tls.reloaded"))["event"] == "service.stopped"


async def test_term_breaks_a_reload_off_and_a_second_one_kills(stage: Stage) -> None:
    service = await running(stage, ports=(free_port(),))
    stage.answers = {"remote": NEVER}
    os.kill(os.getpid(), signal.SIGHUP)
    while ("goes over", "remote") not in stage.done:
        await asyncio.sleep(0)
    os.kill(os.getpid(), signal.SIGHUP)  # waits in line, and must not be begun now
    done = await end(service, stage)
    assert [what for what, *_ in done] == ["stops"] * 5


async def test_second_term_kills_all_at_once(stage: Stage, monkeypatch: pytest.MonkeyPatch) -> None:
    service = await running(stage, ports=(free_port(),))
    ended = asyncio.Event()

    async def stop(child: PlayedChild, _: float) -> None:
        stage.done.append(("stops", child.part.name))
        await ended.wait()

    monkeypatch.setattr(PlayedChild, "stop", stop)
    monkeypatch.setattr(PlayedChild, "kill", lambda _: ended.set())
    os.kill(os.getpid(), signal.SIGTERM)
    while not stage.done:
        await asyncio.sleep(0)
    assert not service.done()
    os.kill(os.getpid(), signal.SIGTERM)
    assert await asyncio.wait_for(service, 30) == 0


async def test_silent_client_leaves_the_deliveries_their_time(stage: Stage) -> None:
    service = await running(stage, ports=(free_port(),))
    # Each takes all that it is given.
    assert await end(service, stage) == [
        ("stops", "receive", "10"),
        ("stops", "queue", "17"),
        ("stops", "remote", "3"),
        ("stops", "local", "0"),
        ("stops", "guard", "0"),
    ]
