import asyncio
import errno
import json
import os
import signal
import socket
import subprocess
import sys
from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from pathlib import Path
from typing import Any, NoReturn

import pytest

from paperpath.supervise import child as module
from paperpath.supervise.child import Child
from paperpath.supervise.plan import Part
from paperpath.system.spawn import Process
from paperpath.telemetry.log import Log

STUB = Path(__file__).with_name("stub.py")


def part(settings: bytes, *doors: str) -> Part:
    return Part("receive-1", "receive", None, settings, doors)


class Stage:
    """Starts stubs instead of processes of ours, and keeps the log."""

    def __init__(self) -> None:
        self.behaviour = "ready"
        self.started: list[tuple[str, str | None]] = []
        self.written: list[bytes] = []
        self.lines: asyncio.Queue[dict[str, Any]] = asyncio.Queue()
        self.log = Log("supervise", self._write, lambda: 0.0, as_json=True)
        self.noted: list[tuple[str, str]] = []
        self._children: list[Child] = []

    def spawn(
        self, module: str, arguments: Sequence[str], descriptors: Sequence[int], user: str | None, _: Mapping[str, str]
    ) -> Process:
        self.started.append((module, user))
        if self.behaviour == "missing":
            raise FileNotFoundError("no such user: nobody-here")
        words = [sys.executable, str(STUB), self.behaviour, *arguments]
        return Process(subprocess.Popen(words, pass_fds=tuple(descriptors)))

    def child(self, settings: bytes = b"one", doors: tuple[str, ...] = ()) -> Child:
        sockets = {name: socket.socket() for name in doors}
        child = Child(Part("receive-1", "receive", None, settings, doors), sockets, self.log, self.note)
        for sock in sockets.values():
            sock.close()
        self._children.append(child)
        return child

    def note(self, name: str, how: str) -> None:
        self.noted.append((name, how))

    async def line(self, event: str) -> dict[str, Any]:
        """Return the next line of this event."""
        while (line := await self.lines.get())["event"] != event:
            pass
        return line

    async def close(self) -> None:
        for child in self._children:
            child.kill()
            await child.stop(0)

    def _write(self, data: bytes) -> None:
        self.written += data.splitlines()
        for line in data.splitlines():
            self.lines.put_nowait(json.loads(line))


@pytest.fixture
async def stage(monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[Stage]:
    stage = Stage()
    monkeypatch.setattr("paperpath.system.spawn.spawn", stage.spawn)
    yield stage
    await stage.close()


async def test_process_is_started_told_its_settings_and_ended(stage: Stage) -> None:
    child = stage.child()
    assert await child.ready() is None
    assert stage.started == [("paperpath.receive", None)]
    assert (await stage.line("process.started"))["role"] == "receive-1"
    await child.stop(30)
    assert stage.lines.empty(), "an end that was asked for is no news"


async def test_one_that_worked_and_was_killed_is_no_trouble_that_lasts(stage: Stage) -> None:
    child = stage.child()
    assert await child.ready() is None
    os.kill((await stage.line("process.started"))["pid"], signal.SIGKILL)
    assert (await stage.line("process.ended"))["how"] == "SIGKILL"
    assert await child.ready() is None
    assert {how for _, how in stage.noted} == {""}, "whoever asks it meanwhile waits for a moment"


async def test_settings_come_after_their_sockets(stage: Stage) -> None:
    stage.behaviour = "rejects"
    sockets = {"smtp": socket.socket(), "lmtp": socket.socket()}
    child = Child(Part("receive", "receive", None, b"one", ("smtp", "lmtp")), sockets, stage.log, stage.note)
    assert await child.ready() == "one on smtp lmtp"
    await child.stop(30)
    for sock in sockets.values():
        sock.close()


async def test_process_that_dies_is_started_again_later_each_time(stage: Stage) -> None:
    stage.behaviour = "dies"
    child = stage.child()
    ends = [await stage.line("process.ended") for _ in range(3)]
    assert [end["how"] for end in ends] == ["exit 3"] * 3
    assert [end["restart_s"] for end in ends] == [0.1, 0.2, 0.4]
    stage.behaviour = "ready"
    while await child.ready() is not None:
        pass
    assert len(stage.started) == 4


async def test_pause_has_an_upper_bound(stage: Stage, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "_PAUSE_FIRST_S", 0.01)
    monkeypatch.setattr(module, "_PAUSE_MOST_S", 0.02)
    stage.behaviour = "missing"
    stage.child()
    assert [(await stage.line("process.ended"))["restart_s"] for _ in range(4)] == [0.01, 0.02, 0.02, 0.02]


async def test_process_that_lived_long_is_started_again_at_once(stage: Stage, monkeypatch: pytest.MonkeyPatch) -> None:
    stage.behaviour = "dies"
    stage.child()
    for _ in range(2):
        await stage.line("process.ended")
    monkeypatch.setattr(module, "_STEADY_S", -1.0)
    assert (await stage.line("process.ended"))["restart_s"] == 0.1


async def test_process_that_cannot_be_started_is_tried_again(stage: Stage) -> None:
    stage.behaviour = "missing"
    child = stage.child()
    end = await stage.line("process.ended")
    assert end["how"] == "could not be started: no such user: nobody-here"
    stage.behaviour = "ready"
    while await child.ready() is not None:
        pass
    assert len(stage.started) == 2


async def test_signal_that_ended_it_is_named(stage: Stage) -> None:
    child = stage.child()
    assert await child.ready() is None
    os.kill((await stage.line("process.started"))["pid"], signal.SIGSEGV)
    assert (await stage.line("process.ended"))["how"] == "SIGSEGV"
    assert await child.ready() is None


async def test_waiting_ends_when_the_process_does(stage: Stage) -> None:
    stage.behaviour = "dies"
    child = stage.child()
    assert await child.ready() == "exit 3"


async def test_settings_that_are_refused_leave_the_former(stage: Stage) -> None:
    stage.behaviour = "once"
    child = stage.child(b"former")
    assert await child.ready() is None
    later = Part("receive-1", "receive", None, b"later", ())
    assert await child.configure(later) == "later on "
    assert child.part.settings == b"former"


async def test_settings_that_are_taken_stay_over_a_restart(stage: Stage) -> None:
    child = stage.child(b"former")
    assert await child.ready() is None
    later = Part("receive-1", "receive", None, b"later", ())
    assert await child.configure(later) is None
    stage.behaviour = "rejects"
    os.kill((await stage.line("process.started"))["pid"], signal.SIGKILL)
    assert (await stage.line("process.ended"))["how"] == "SIGKILL"
    assert await child.ready() == "later on "


async def test_every_answer_is_to_its_own_question(stage: Stage) -> None:
    stage.behaviour = "once"
    child = stage.child()
    first, second = await asyncio.gather(child.ready(), child.configure(part(b"second")))
    assert (first, second) == (None, "second on ")


async def test_first_settings_that_are_refused_are_news(stage: Stage) -> None:
    stage.behaviour = "rejects"
    child = stage.child()
    assert await child.ready() == "one on "
    line = await stage.line("process.settings-rejected")
    assert (line["role"], line["reason"]) == ("receive-1", "one on ")


async def test_who_asks_is_told_how_a_process_ended_and_that_it_works_again(stage: Stage) -> None:
    stage.behaviour = "picky"
    child = stage.child(b"bad")
    await stage.line("process.ended")
    assert stage.noted == [("receive-1", "exit 111: bad on ")]
    stage.behaviour = "ready"
    while (await child.ready()) is not None:
        pass
    assert stage.noted[-1] == ("receive-1", "")


async def test_later_settings_that_are_refused_are_for_whoever_asked(stage: Stage) -> None:
    stage.behaviour = "once"
    child = stage.child()
    assert await child.ready() is None
    await child.configure(part(b"later"))
    assert [json.loads(line)["event"] for line in stage.written] == ["process.started"]


async def test_process_that_does_not_answer_is_told_its_former_settings_again(
    stage: Stage, monkeypatch: pytest.MonkeyPatch
) -> None:
    stage.behaviour = "late"
    child = stage.child(b"former")
    assert await child.ready() is None
    with monkeypatch.context() as hurry:
        hurry.setattr(module, "_ANSWER_MOST_S", 0.01)
        assert await child.configure(part(b"later")) == "no answer within 0.01 s"
    assert child.part.settings == b"former"
    assert await child.configure(part(b"last")) == "former later former last"


async def test_waiting_that_is_broken_off_as_the_answer_comes_ends(stage: Stage) -> None:
    child = stage.child()
    assert await child.ready() is None
    change = asyncio.create_task(child.configure(part(b"later")))
    telling = asyncio.get_running_loop().create_future()
    with pytest.MonkeyPatch.context() as watched:
        resolve = module._resolve

        def answered(question: module.Answer, reason: str | None) -> None:
            resolve(question, reason)
            change.cancel()
            telling.set_result(None)

        watched.setattr(module, "_resolve", answered)
        await telling
    with pytest.raises(asyncio.CancelledError):
        await change


async def test_settings_mended_while_a_process_ends_over_the_former_are_taken(stage: Stage) -> None:
    stage.behaviour = "picky"
    child = stage.child(b"bad")
    assert await child.configure(part(b"good")) is None
    assert (await stage.line("process.ended"))["how"] == "exit 111"
    assert len(stage.started) == 2
    assert child.part.settings == b"good"


async def test_process_goes_back(stage: Stage) -> None:
    stage.behaviour = "thrice"
    child = stage.child(b"former")
    assert await child.ready() is None
    assert await child.configure(part(b"later")) is None
    await child.go_back(part(b"former"))
    assert await child.configure(part(b"last")) == "former later former last"


async def test_process_that_does_not_go_back_is_started_again_with_its_former_settings(stage: Stage) -> None:
    stage.behaviour = "twice"
    child = stage.child(b"former")
    assert await child.ready() is None
    assert await child.configure(part(b"later")) is None
    stage.behaviour = "picky"
    await child.go_back(part(b"good"))
    assert (await stage.line("process.ended"))["how"] == "SIGKILL"
    assert await child.ready() is None


async def test_door_that_is_gone_is_an_end_like_others(stage: Stage) -> None:
    sockets: dict[str, socket.socket] = {}
    child = Child(Part("receive-1", "receive", None, b"one", ("smtp",)), sockets, stage.log, stage.note)
    end = await stage.line("process.ended")
    assert end["how"].startswith("could not be started: KeyError: 'smtp'")
    with socket.socket() as sockets["smtp"]:
        while await child.ready() is not None:
            pass
    await child.stop(30)


@pytest.mark.parametrize("error", [OSError(errno.EMFILE, "Too many open files"), RuntimeError("can't start")])
async def test_start_that_fails_is_tried_again(stage: Stage, monkeypatch: pytest.MonkeyPatch, error: Exception) -> None:
    def fail() -> NoReturn:
        raise error

    child = stage.child()
    assert await child.ready() is None
    with monkeypatch.context() as full:
        full.setattr(socket, "socketpair", fail)
        os.kill((await stage.line("process.started"))["pid"], signal.SIGKILL)
        ends = [(await stage.line("process.ended"))["how"] for _ in range(3)]
    assert [str(error) in end for end in ends] == [False, True, True]
    while await child.ready() is not None:
        pass


async def test_settings_that_cannot_be_told_are_refused(stage: Stage) -> None:
    child = stage.child(b"former")
    assert await child.ready() is None
    reason = await child.configure(part(b"later", "gone"))
    assert reason is not None and "KeyError: 'gone'" in reason
    assert child.part.settings == b"former"
    assert (await stage.line("process.ended"))["how"] == "SIGKILL"
    assert await child.ready() is None


async def test_signal_without_a_name_is_a_number(stage: Stage) -> None:
    child = stage.child()
    assert await child.ready() is None
    os.kill((await stage.line("process.started"))["pid"], signal.SIGRTMIN + 1)
    assert (await stage.line("process.ended"))["how"] == f"signal {signal.SIGRTMIN + 1}"
    assert await child.ready() is None


@pytest.mark.parametrize("how", [lambda child: child.stop(0.0), lambda child: child.stop(0.01)])
async def test_process_that_does_not_drain_is_killed(
    stage: Stage, monkeypatch: pytest.MonkeyPatch, how: Callable[[Child], Any]
) -> None:
    monkeypatch.setattr(module, "_KILL_AFTER_S", 0.01)
    stage.behaviour = "stays"
    child = stage.child()
    assert await child.ready() is None
    await how(child)
    assert (await stage.line("process.started"))["role"] == "receive-1"
    assert stage.lines.empty()


async def test_child_that_waits_to_be_started_again_is_stopped_at_once(stage: Stage) -> None:
    stage.behaviour = "dies"
    child = stage.child()
    await stage.line("process.ended")
    await child.stop(30)
    await asyncio.sleep(0)
    assert len(stage.started) == 1
