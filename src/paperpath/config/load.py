"""From the file to a checked `Config`: `load` reads, `routing_table` cuts out what routing needs.

Every problem of a file is reported at once, with its line where a search finds it.
"""

import dataclasses
import difflib
import os
import re
import tomllib
from typing import Any

import msgspec

from paperpath.base.text import one_line
from paperpath.config.check import Checker
from paperpath.config.fields import Field, decode, expected, fields_of
from paperpath.config.problems import ConfigError, Problem, find_lines, line_of
from paperpath.config.program_values import DEFAULT_DELIVERY_VARIABLE
from paperpath.config.qmail import as_bytes, with_control
from paperpath.config.routing import RoutingTable
from paperpath.config.schema import Config
from paperpath.config.section import Section

_FILE_MOST_BYTES = 16 * 1024 * 1024
_TOML_LINE = re.compile(r" \(at line ([0-9]+), column [0-9]+\)$")


def load(path: str) -> Config:
    """Read and check a configuration file; relative paths in it are relative to its folder.

    Where it names a qmail home, what the control files there say is part of it, and so is a default delivery that
    `qmail-start` was told.  Raises ConfigError with everything that is wrong.
    """
    config = parse(_read(path), path)
    if default_delivery := os.environ.get(DEFAULT_DELIVERY_VARIABLE):
        config = msgspec.structs.replace(
            config, local=msgspec.structs.replace(config.local, default_delivery=default_delivery)
        )
    return with_control(config) if config.qmail.home else config


def parse(text: str, path: str) -> Config:
    """Check the text of a configuration file that lies, or will lie, at ``path``.  Raises ConfigError."""
    reader = _Reader()
    config: Config | None = reader.read(Config, _toml(text, path), "")
    problems = reader.problems
    if config is not None and not problems:
        checker = Checker(os.path.dirname(os.path.abspath(path)))
        config, problems = checker.check(config), checker.problems
    if config is None or problems:
        lines = find_lines(text)
        placed = [dataclasses.replace(problem, line=line_of(problem.key, lines)) for problem in problems]
        raise ConfigError(path, tuple(sorted(placed, key=lambda problem: problem.line)))
    return config


def routing_table(config: Config) -> RoutingTable:
    """Return what routing depends on; every key is in lower case already."""
    return RoutingTable(
        hostname=as_bytes(config.hostname),
        local=frozenset(map(as_bytes, config.local.domains)),
        mailboxes=frozenset(map(as_bytes, config.mailboxes.domains)),
        virtual={as_bytes(key): as_bytes(value) for key, value in config.virtual.items()},
        relay=frozenset(map(as_bytes, config.relay.domains)),
        routes={as_bytes(key): value for key, value in config.routes.items()},
        postmaster=as_bytes(config.postmaster),
        default_domain=as_bytes(config.local.default_domain),
        percent_hack=frozenset(map(as_bytes, config.local.percent_hack)),
        only_listed=config.relay.open_to == "listed",
        literals=_own_literals() if config.receive.literal_domain else frozenset(),
        literal_domain=as_bytes(config.receive.literal_domain),
    )


def _own_literals() -> frozenset[bytes]:
    from paperpath.system.addresses import own_ipv4_addresses  # few ask for it

    return frozenset(f"[{address}]".encode() for address in own_ipv4_addresses())


def _read(path: str) -> str:
    try:
        with open(path, "rb") as file:
            data = file.read(_FILE_MOST_BYTES + 1)
    except OSError as error:
        instead = "`paperpath init DIR` writes one; --config FILE or PAPERPATH_CONFIG names another"
        raise ConfigError(path, (Problem("", f"cannot be read: {error.strerror}", instead),)) from None
    if len(data) > _FILE_MOST_BYTES:
        raise ConfigError(path, (Problem("", "is far too long", "name a configuration file"),))
    try:
        return data.decode()
    except UnicodeDecodeError as error:
        line = data.count(b"\n", 0, error.start) + 1
        raise ConfigError(path, (Problem("", "is not UTF-8", "save it as UTF-8", line),)) from None


def _toml(text: str, path: str) -> dict[str, Any]:
    try:
        return tomllib.loads(text)
    except tomllib.TOMLDecodeError as error:
        at = _TOML_LINE.search(str(error))
        wrong = _TOML_LINE.sub("", str(error)).removesuffix(" (at end of document)")
        line = int(at[1]) if at else text.count("\n") + 1
        problem = Problem("", f"is not TOML: {one_line(wrong)}", "mend the line", line)
        raise ConfigError(path, (problem,)) from None


class _Reader:
    """Makes sections from TOML tables and gathers what does not fit."""

    def __init__(self) -> None:
        self.problems: list[Problem] = []

    def read(self, section: type[Section], table: dict[str, Any], prefix: str) -> Any:
        """Return the section, or None where a setting that it needs is missing or wrong."""
        fields = {field.name: field for field in fields_of(section)}
        for name in table.keys() - fields.keys():
            self._unknown(prefix + name, name, fields)
        values: dict[str, Any] = {}
        for name, field in fields.items():
            if name in table:
                values[name] = self._value(field, table[name], prefix + name)
            elif field.required:
                self.problems.append(Problem(prefix + name, "is missing", f"write {name} = {expected(field)}"))
                values[name] = None
        if any(value is None for value in values.values()):
            return None
        return section(**values)

    def _unknown(self, key: str, name: str, fields: dict[str, Field]) -> None:
        near = difflib.get_close_matches(name, fields, n=1, cutoff=0.5)
        instead = f"did you mean {near[0]!r}?" if near else f"known here: {', '.join(fields)}"
        self.problems.append(Problem(key, "there is no such setting", instead))

    def _value(self, field: Field, value: Any, key: str) -> Any:
        if field.kind == "section" and isinstance(value, dict) and field.section is not None:
            return self.read(field.section, value, key + ".")
        if field.kind == "sections" and isinstance(value, list) and field.section is not None:
            return self._sections(field.section, value, key)
        try:
            if field.section is None:
                return decode(field, value)
        except ValueError:
            pass
        self.problems.append(Problem(key, f"{_show(value)} cannot stand here", f"write {expected(field)}"))
        return None

    def _sections(self, section: type[Section], tables: list[Any], key: str) -> Any:
        found = [self.read(section, t, f"{key}[{i}].") if isinstance(t, dict) else None for i, t in enumerate(tables)]
        if any(not isinstance(table, dict) for table in tables):
            self.problems.append(Problem(key, "not a list of tables", f"write [[{key}]] above each"))
        return None if any(one is None for one in found) else tuple(found)


def _show(value: Any) -> str:
    return one_line(f'"{value}"' if isinstance(value, str) else str(value), 80)
