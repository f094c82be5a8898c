"""The declarations themselves: every event can be documented, told apart and logged."""

import inspect
import re
import types
import typing

import msgspec
import pytest

from paperpath.telemetry import events
from paperpath.telemetry.event import Event, Level

DECLARED: list[type[Event]] = [
    value
    for value in vars(events).values()
    if inspect.isclass(value) and issubclass(value, Event) and value is not Event
]


def test_there_are_events() -> None:
    assert len(DECLARED) > 20 and events.Delivered in DECLARED


def test_names_are_unique() -> None:
    names = [event.name for event in DECLARED]
    assert sorted(set(names)) == sorted(names)


@pytest.mark.parametrize("event", DECLARED, ids=lambda event: event.__name__)
def test_declaration_is_complete(event: type[Event]) -> None:
    assert re.fullmatch(r"[a-z]+\.[a-z]+(-[a-z]+)*", event.name)
    assert "name" in vars(event), "a name that is inherited is another event's"
    assert event.__doc__ and event.__doc__.strip() and not event.__doc__.startswith(event.__name__ + "(")
    assert event.level in typing.get_args(Level)
    if event.level == "alert":
        assert event.advice, "whoever is woken must be told what to do"
    assert event.advice == "" or event.advice.endswith(".")


@pytest.mark.parametrize("event", DECLARED, ids=lambda event: event.__name__)
def test_fields_are_plain_and_do_not_hide_the_line_s_own(event: type[Event]) -> None:
    for field in msgspec.structs.fields(event):
        kinds = set(typing.get_args(field.type)) if isinstance(field.type, types.UnionType) else {field.type}
        assert kinds - {type(None)} <= {str, int, float}, field.name
        assert field.name not in ("time", "level", "event", "process")
        # A quantity with a fraction has a unit, and the unit is in its name.
        assert float not in kinds or re.search(r"_(s|bytes|ratio)$", field.name), field.name
