"""A child that cannot even be started."""

import asyncio

import pytest

from paperpath.supervise import child as module
from paperpath.supervise.child import Child
from paperpath.supervise.plan import Part
from paperpath.telemetry.log import Log

PART = Part(name="queue", role="queue", user="no-such-user-here", settings=b"", doors=())


async def test_one_that_cannot_be_started_is_tried_less_and_less_often(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "_PAUSE_FIRST_S", 0.001)
    monkeypatch.setattr(module, "_PAUSE_MOST_S", 0.004)
    pauses, enough = list[str](), asyncio.Event()

    def write(line: bytes) -> None:
        pauses.append(line.decode().split("restart_s=")[1].strip())
        if len(pauses) == 5:
            enough.set()

    child = Child(PART, {}, Log("supervise", write, lambda: 0.0))
    await enough.wait()
    await child.stop(0)
    assert pauses[:5] == ["0.001", "0.002", "0.004", "0.004", "0.004"]
