"""Log lines: one line for every reader, whatever the values, and nothing lost."""

import json
import re
import select
from collections.abc import Callable
from typing import ClassVar

import pytest
from hypothesis import given
from hypothesis import strategies as st

from paperpath.telemetry.event import Event, Level
from paperpath.telemetry.log import Log, json_line, logfmt

NOW = 1795343417.0625


class Sample(Event, frozen=True):
    """An event with a field of each kind."""

    name: ClassVar[str] = "sample.seen"
    level: ClassVar[Level] = "notice"
    text: str
    count: int
    duration_s: float
    reason: str | None = None


# `st.text` would leave the surrogate out.
_ANYTHING = st.lists(st.characters() | st.sampled_from('\n\r\t\0 "\\=\x7f\x85\u2028\u202e\udc80')).map("".join)


def read_logfmt(line: str) -> tuple[list[str], dict[str, str]]:
    """Read a line back as any logfmt reader does: words, then key=value with JSON strings where quoted."""
    time, level, name, rest = line.split(" ", 3)
    pairs = re.findall(r'([a-z_]+)=("(?:[^"\\]|\\.)*"|[^ "]*)(?: |$)', rest)
    assert " ".join(f"{key}={value}" for key, value in pairs) == rest
    return [time, level, name], {key: json.loads(value) if value.startswith('"') else value for key, value in pairs}


def test_logfmt_line() -> None:
    event = Sample(text="two words", count=3, duration_s=1.5)
    assert logfmt(event, "queue", NOW) == (
        '2026-11-22T10:30:17.062Z notice sample.seen process=queue text="two words" count=3 duration_s=1.500'
    )


@pytest.mark.parametrize("text", ["", "a b", 'a"b', "a=b", "a\\b", "a\nb", "ü", "joe@example.org", "\u00a0", "x\x85y"])
def test_logfmt_value_reads_back(text: str) -> None:
    _, fields = read_logfmt(logfmt(Sample(text=text, count=0, duration_s=0.0), "p", NOW))
    assert fields["text"] == text


@pytest.mark.parametrize("text", ["\udc80", "a\ud800", "\u2028", "\x85", "\x7f", "\u202e", "\ufeff"])
def test_what_the_quick_encoder_lets_through_or_refuses(text: str) -> None:
    event = Sample(text=text, count=0, duration_s=0.0)
    line = logfmt(event, "p", NOW)
    assert line.isprintable() and read_logfmt(line)[1]["text"] == text
    line = json_line(event, "p", NOW)
    assert line.isprintable() and json.loads(line)["text"] == text


@given(_ANYTHING, st.integers(), _ANYTHING | st.none())
def test_lines_read_back_whatever_the_values(text: str, count: int, reason: str | None) -> None:
    event = Sample(text=text, count=count % 2**63, duration_s=0.25, reason=reason)
    wanted: dict[str, object] = {"process": "p", "text": text, "count": count % 2**63, "duration_s": 0.25}
    if reason is not None:
        wanted["reason"] = reason

    line = logfmt(event, "p", NOW)
    assert line.isprintable()
    head, fields = read_logfmt(line)
    assert head == ["2026-11-22T10:30:17.062Z", "notice", "sample.seen"]
    assert fields == {**{key: str(value) for key, value in wanted.items()}, "duration_s": "0.250"}

    line = json_line(event, "p", NOW)
    assert line.isprintable()
    assert json.loads(line) == {"time": 1795343417.062, "level": "notice", "event": "sample.seen", **wanted}


class Recorder:
    """Where a log writes to, and a loop that runs what is scheduled when told."""

    def __init__(self) -> None:
        self.writes: list[bytes] = []
        self.scheduled: list[Callable[[], None]] = []

    def log(self, *, batched: bool, as_json: bool = False) -> Log:
        schedule = self.scheduled.append if batched else None
        return Log("p", self.writes.append, lambda: NOW, as_json=as_json, schedule=schedule)


def test_without_a_schedule_every_line_is_written_at_once() -> None:
    recorder = Recorder()
    log = recorder.log(batched=False)
    for count in range(3):
        log.emit(Sample(text="t", count=count, duration_s=0.0))
    assert [write.count(b"\n") for write in recorder.writes] == [1, 1, 1]
    assert all(write.endswith(b"\n") for write in recorder.writes)


def test_lines_of_one_turn_are_one_write() -> None:
    recorder = Recorder()
    log = recorder.log(batched=True, as_json=True)
    for count in range(3):
        log.emit(Sample(text="t", count=count, duration_s=0.0))
    assert recorder.writes == [] and len(recorder.scheduled) == 1
    recorder.scheduled.pop()()
    (written,) = recorder.writes
    assert [json.loads(line)["count"] for line in written.splitlines()] == [0, 1, 2]
    log.flush()
    assert len(recorder.writes) == 1
    log.emit(Sample(text="t", count=3, duration_s=0.0))
    assert len(recorder.scheduled) == 1


@pytest.mark.parametrize("text", ["t" * 1000, "ü" * 600, "t"])
def test_writes_are_whole_lines_and_no_longer_than_a_pipe_takes_in_one_piece(text: str) -> None:
    recorder = Recorder()
    log = recorder.log(batched=True)
    for count in range(100):
        log.emit(Sample(text=text, count=count, duration_s=0.0))
    log.flush()
    assert max(map(len, recorder.writes)) <= select.PIPE_BUF
    assert all(write.endswith(b"\n") for write in recorder.writes)
    lines = b"".join(recorder.writes).decode().splitlines()
    assert [read_logfmt(line)[1]["count"] for line in lines] == [str(count) for count in range(100)]


def test_line_that_is_longer_than_that_is_a_write_of_its_own() -> None:
    recorder = Recorder()
    log = recorder.log(batched=True)
    for text in ("short", "t" * select.PIPE_BUF, "short"):
        log.emit(Sample(text=text, count=0, duration_s=0.0))
    log.flush()
    assert [write.count(b"\n") for write in recorder.writes] == [1, 1, 1]


@given(_ANYTHING, st.booleans())
def test_emit_never_fails(text: str, as_json: bool) -> None:
    recorder = Recorder()
    recorder.log(batched=False, as_json=as_json).emit(Sample(text=text, count=1, duration_s=0.0))
    (written,) = recorder.writes
    assert len(written.decode().splitlines()) == 1
