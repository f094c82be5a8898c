"""The reference pages that are written by hand agree with the code."""

import importlib
import re
from collections.abc import Iterator
from types import ModuleType

import click
import msgspec
import pytest

from paperpath.cli.main import main
from tests.docs.pages import ROOT, read, rows, section

COMMANDS = read("docs/reference/commands.md")
WIRE = {"frame": "Every conversation", "supervision": "supervise and its children", "intake": "receive to queue"}
WIRE |= {"accounts": "receive and queue to local", "delivery": "queue to an agent", "control": "An operator to queue"}
WIRE |= {"nursery": "local and its nursery"}
WIRE |= {"logins": "receive and pop3 to auth", "outside": "auth to its helpers"}
WIRE |= {"mailbox": "pop3 to local and to a mailbox"}
WIRE |= {"tls": "TLS, in the settings of those who meet clients"}
WIRE |= {"guard": "Those who meet clients, and operators, to guard"}


def commands(command: click.Command, name: str) -> Iterator[tuple[str, click.Command]]:
    """Yield a command and all below it, with their full names."""
    yield name, command
    if isinstance(command, click.Group):
        context = click.Context(command)
        for below in command.list_commands(context):
            found = command.get_command(context, below)
            assert found is not None
            yield from commands(found, f"{name} {below}")


ALL_COMMANDS = dict(commands(main, "paperpath"))
del ALL_COMMANDS["paperpath"]


def test_every_command_has_its_heading() -> None:
    assert re.findall(r"^##+ (paperpath .*)$", COMMANDS, re.MULTILINE) == list(ALL_COMMANDS)


@pytest.mark.parametrize("name", ALL_COMMANDS)
def test_options_are_those_of_the_command(name: str) -> None:
    depth = "#" * (1 + name.count(" "))
    text = section(COMMANDS, f"{depth} {name}").partition(f"\n{depth}# ")[0]
    real = {name for option in ALL_COMMANDS[name].params if isinstance(option, click.Option) for name in option.opts}
    table = {cells[0].strip("`").split(" ")[0] for cells in rows(text)}
    shared = set(re.findall(r"`(--\w+)(?: FILE)?`", text.rpartition("\nAlso: ")[2])) if "\nAlso: " in text else set()
    assert table | shared == real


def frames(module: ModuleType) -> dict[str, type[msgspec.Struct]]:
    """Return the types that a module of the wire declares."""
    declared = {name: one for name, one in vars(module).items() if isinstance(one, type)}
    return {
        name: one
        for name, one in declared.items()
        if issubclass(one, msgspec.Struct) and one.__module__ == module.__name__ and one.__name__ == name
    }


def test_every_conversation_is_shown() -> None:
    assert set(WIRE) == {path.stem for path in (ROOT / "src/paperpath/wire").glob("*.py")} - {"__init__"}


@pytest.mark.parametrize("name", WIRE)
def test_frames_are_those_declared(name: str) -> None:
    shown = {cells[0].strip("`"): cells for cells in rows(section(read("docs/reference/wire.md"), f"## {WIRE[name]}"))}
    declared = frames(importlib.import_module(f"paperpath.wire.{name}"))
    assert list(shown) == list(declared)
    for frame, cells in shown.items():
        assert re.findall(r"`(\w+)`", cells[2]) == list(declared[frame].__struct_fields__), frame
        assert cells[1].strip("`") == (declared[frame].__struct_config__.tag or "part of another")


def test_standards_are_cited_where_they_are_kept() -> None:
    """Citations have one form: `RFC 5321 4.5.3.1`."""
    table = {cells[0]: cells[2] for cells in rows(read("docs/reference/standards.md"))}
    assert set(table.values()) == {"done", "partly", "planned"}
    source = "\n".join(path.read_text("utf-8") for path in (ROOT / "src").rglob("*.py"))
    cited = set(re.findall(r"RFC (\d+)", source))
    assert cited - table.keys() == set(), "cited without a row"
    assert {rfc for rfc, state in table.items() if state != "planned"} - cited == set(), "claimed and never cited"
    assert not re.findall(r"RFC-?\d+|RFC \d+ ?§|RFC \d+,? [Ss]ection", source)
