"""The page that follows messages through every process tells the truth: it is carried out, and the log compared."""

import json
import re
import shlex
from collections.abc import Iterator
from functools import partial
from itertools import groupby

import pytest

from tests.docs.pages import blocks, read
from tests.service import Line, Service, free_port, running_service
from tests.sink import Sink, running_sink

PAGE = "docs/explanation/a-messages-way.md"
OF_ONE_RUN = {
    "time",
    "pid",
    "message",
    "report",
    "duration_s",
    "age_s",
    "next_s",
    "bytes_in",
    "size_bytes",
    "privileges",
}
"""Fields whose values the page cannot promise."""

_FIELD = re.compile(r'(\w+)=("(?:[^"\\]|\\.)*"|\S*)')


def shown_line(text: str) -> Line:
    """Read one line of the log as the page shows it."""
    time, level, event, rest = text.split(" ", 3)
    fields = {name: json.loads(value) if value.startswith('"') else value for name, value in _FIELD.findall(rest)}
    return {"time": time, "level": level, "event": event} | fields


def comparable(line: Line, ports: dict[str, str]) -> Line:
    """Return what two runs have in common."""
    kept = {name: str(value) for name, value in line.items() if name not in OF_ONE_RUN}
    for real, shown in ports.items():
        kept = {name: value.replace(real, shown) for name, value in kept.items()}
    return kept | {"origin": re.sub("(report on) .*", r"\1", kept["origin"])} if "origin" in kept else kept


def by_process(lines: list[Line]) -> dict[str, list[Line]]:
    """Return each process's own lines in order: lines of different processes may overtake one another."""
    ordered = sorted(lines, key=lambda line: str(line["process"]))
    return {name: list(group) for name, group in groupby(ordered, key=lambda line: str(line["process"]))}


def refusing(verb: str, address: str) -> str:
    return "550 5.1.1 No such user" if verb == "RCPT" and address.startswith("gone@") else ""


def parts(text: str) -> Iterator[tuple[str, list[Line]]]:
    """Yield each command of the page with the lines that follow it; the first command is the start."""
    command, lines = "", list[Line]()
    for block in blocks(text, "send", "log"):
        if block.kind == "send":
            yield command, lines
            command, lines = block.text, []
        else:
            lines += map(shown_line, block.text.splitlines())
    yield command, lines


@pytest.fixture
def sink() -> Iterator[Sink]:
    with running_sink() as sink:
        sink.verdict = refusing
        yield sink


@pytest.fixture
def service(sink: Sink) -> Iterator[Service]:
    closed = f"smtp://127.0.0.1:{free_port()}"
    settings = {"receive": {"processes": 1}, "routes": {"there.test": sink.route, "closed.test": closed}}
    with running_service(settings=settings) as service:
        yield service


def test_lines_come_as_shown(service: Service) -> None:
    ports, since = {str(service.port): "2525"}, 0
    story = list(parts(read(PAGE)))
    assert len(story) == 4
    for command, lines in story:
        at_the_end = [line for line in lines if line["event"].startswith("service.sto")]
        expected = [line for line in lines if line not in at_the_end]
        if command:
            words = shlex.split(command)
            service.run(*words[1 : words.index("--config")], *words[words.index("--config") + 2 :])
        wanted = by_process([comparable(line, {}) for line in expected])
        service.wait_until(partial(_has, service, since, wanted, ports), f"{wanted}")
        since = service.mark()
        if at_the_end:
            service.stop()
            ended = [comparable(line, ports) for line in service.log if line["event"].startswith("service.sto")]
            assert ended == [comparable(line, {}) for line in at_the_end]


def _has(service: Service, since: int, wanted: dict[str, list[Line]], ports: dict[str, str]) -> bool:
    """Tell whether all lines are there; fail where others are."""
    real = by_process([comparable(line, ports) for line in service.log[since:]])
    for process, lines in real.items():
        assert lines == wanted.get(process, [])[: len(lines)]
    return real == wanted
