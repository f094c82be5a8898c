"""The page of programs agrees with what `paperpath programs` installs, and each has been run as it is installed."""

from pathlib import Path

from paperpath.cli.programs import PROGRAMS
from tests.docs.pages import ROOT, read, rows
from tests.transcripts.programs import story

_STORIES_OF_THEIR_OWN = {
    "mailq",
    "datemail",
    "qmail-queue",
    "qmail-pop3d",
    "qmail-qmqpc",
    "qmail-local",
    "qmail-qread",
    "qmail-qstat",
    "qmail-remote",
    "qmail-send",
    "qmail-start",
}
"""Played by other tests, with a server or a home."""


def test_every_program_has_its_row() -> None:
    table = rows(read("docs/reference/programs.md"))
    assert all(len(cells) == 4 and cells[2] for cells in table)
    named = [cells[0].strip("`") for cells in table]
    assert sorted(named) == sorted(PROGRAMS)


def test_every_small_program_has_its_story() -> None:
    played = {one.program for path in _stories() for one in story.read(path)}
    inject = (ROOT / "tests/transcripts/inject/programs.txt").read_text("utf-8")
    missing = {name for name in set(PROGRAMS) - played if f" {name}" not in inject}
    assert missing <= _STORIES_OF_THEIR_OWN, missing


def _stories() -> list[Path]:
    return sorted((ROOT / "tests/transcripts/programs").glob("*.txt"))
