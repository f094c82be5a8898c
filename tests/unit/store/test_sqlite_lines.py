"""Where recipients wait."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from paperpath.store import sqlite_lines
from paperpath.store.sqlite_database import Database
from paperpath.store.sqlite_lines import Lines


@pytest.fixture
def database(tmp_path: Path) -> Iterator[Database]:
    made = Database(str(tmp_path / "queue.sqlite"))
    made.open()
    yield made
    made.close()


def rows(database: Database) -> list[tuple[str, int]]:
    return database.all("SELECT name, due FROM destination ORDER BY id")


def test_joining_makes_a_row_and_only_dates_it_back(database: Database) -> None:
    lines = Lines(database)
    row = lines.join("remote", "a.example", 50)
    assert lines.join("remote", "a.example", 70) == row
    assert rows(database) == [("a.example", 50)]
    assert lines.join("remote", "a.example", 20) == row
    assert rows(database) == [("a.example", 20)]
    lines.forget()
    assert lines.place("remote", "a.example") == (row, 20)
    assert lines.place("local", "a.example") is None


def test_a_row_where_nobody_waits_goes_when_it_is_read(database: Database) -> None:
    lines = Lines(database)
    lines.join("remote", "a.example", 50)
    assert lines.next_due(10) is None
    assert rows(database) == []
    assert lines.join("remote", "a.example", 60)
    assert lines.due(100, 10, frozenset({"remote"}), frozenset()) == []
    assert rows(database) == []
    assert lines.place("remote", "a.example") is None


def test_what_is_remembered_is_bounded(database: Database, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sqlite_lines, "PLACES_MOST", 3)
    lines = Lines(database)
    for at in range(20):
        lines.join("remote", f"d{at}.example", at)
    assert len(lines._places) <= 3
    assert len(rows(database)) == 20
