"""Control directories of qmail hosts and what follows from them; see tests/transcripts/qmail_control.

A line of a ``cases`` file is ``RECIPIENT -> CHANNEL ADDRESS``, ``stranger RECIPIENT -> yes|no`` (whether anybody may
send there) or ``hop DOMAIN -> URL|mx``.  The numbers are those of the interop cases (reference 27).
"""

from collections.abc import Iterator
from pathlib import Path

import pytest
from _pytest.mark import ParameterSet

from paperpath.base.text import show
from paperpath.config.load import parse, routing_table
from paperpath.config.qmail import with_control
from paperpath.config.routing import is_open, next_hop, route

FOLDER = Path(__file__).parents[2] / "transcripts" / "qmail_control"


def cases() -> Iterator[ParameterSet]:
    for file in sorted(FOLDER.glob("*/cases")):
        for line in file.read_text().splitlines():
            if not line.startswith("#"):
                question, _, answer = line.partition(" -> ")
                yield pytest.param(file.parent, question, answer, id=f"{file.parent.name} {question}")


@pytest.mark.parametrize(("home", "question", "answer"), list(cases()))
def test_case(home: Path, question: str, answer: str) -> None:
    text = f'hostname = "toml.ex"\n[qmail]\nhome = "{home}"\n'
    table = routing_table(with_control(parse(text, "/etc/paperpath.toml")))
    word, _, given = question.rpartition(" ")
    if word == "stranger":
        found = route(table, given.encode())
        assert is_open(table, given.encode(), found) == (answer == "yes")
    elif word == "hop":
        assert next_hop(table, given) == ("" if answer == "mx" else answer)
    else:
        found = route(table, question.encode())
        assert f"{found.channel} {show(found.address)}" == answer


def test_there_are_cases() -> None:
    names = {file.parent.name[:2] for file in FOLDER.glob("*/cases")}
    assert {f"{number:02}" for number in range(1, 13)} <= names
