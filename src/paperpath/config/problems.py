"""What is wrong with a configuration file: where, what, and what to write instead."""

import re
from dataclasses import dataclass

_HEADER = re.compile(r"\s*(\[\[?)\s*([^\]]+?)\s*\]")
_ASSIGNMENT = re.compile(r"\s*([A-Za-z0-9_.\-]+|\"[^\"]*\"|'[^']*')\s*=")


@dataclass(frozen=True, slots=True)
class Problem:
    """One thing that is wrong."""

    key: str
    """Dotted, as in ``queue.lifetime`` or ``listen[1].address``; empty where it is about the whole file."""
    wrong: str
    instead: str
    line: int = 0
    """Counted from 1; 0 where it is not known."""


class ConfigError(Exception):
    """The file cannot be used.  Carries every problem that was found, and reads as one line for each."""

    def __init__(self, file: str, problems: tuple[Problem, ...]) -> None:
        self.file = file
        self.problems = problems
        super().__init__("\n".join(self._line(problem) for problem in problems))

    def _line(self, problem: Problem) -> str:
        place = f"{self.file}:{problem.line}" if problem.line else self.file
        about = f"{problem.key}: " if problem.key else ""
        return f"{place}: {about}{problem.wrong}; {problem.instead}"


def find_lines(text: str) -> dict[str, int]:
    """Return the line on which each dotted key of a TOML file stands, tables included.

    A small search, not a parser: a key inside a multi-line value may be taken for a setting, and an inline
    table's keys are not seen.  It only serves to point at a line; what is not found is shown without one.
    """
    found: dict[str, int] = {}
    counts: dict[str, int] = {}
    table = ""
    for number, line in enumerate(text.splitlines(), 1):
        if header := _HEADER.match(line):
            table = _plain(header[2])
            if header[1] == "[[":
                counts[table] = counts.get(table, -1) + 1
                table = f"{table}[{counts[table]}]"
            found.setdefault(table, number)
        elif assignment := _ASSIGNMENT.match(line):
            key = _plain(assignment[1])
            found.setdefault(f"{table}.{key}" if table else key, number)
    return found


def line_of(key: str, lines: dict[str, int]) -> int:
    """Return the line of a key, or of the nearest thing around it that has one; 0 where there is none."""
    while key:
        if key in lines:
            return lines[key]
        shorter = re.sub(r"(\[\d+\]|\.[^.\[]*)$", "", key)
        key = "" if shorter == key else shorter
    return 0


def _plain(name: str) -> str:
    return name[1:-1] if name[:1] in "\"'" and len(name) > 1 else name
