"""A queue of the release before must open: its mail was accepted."""

from pathlib import Path

import apsw
import pytest

from paperpath.base.terms import MessageTerms, RecipientTerms
from paperpath.store import sqlite_schema as sql
from paperpath.store.contract import Defer, NewMessage, NewRecipient, StoreUnusable
from paperpath.store.sqlite import CONTENT, DATABASE, SqliteStore

VERSION_1 = Path(__file__).parent / "version-1.sql"


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A state folder as the first release left it: WAL, with the process killed under a delivery."""
    (tmp_path / CONTENT).mkdir()
    (tmp_path / CONTENT / "three").write_bytes(b"tre\n")
    connection = apsw.Connection(str(tmp_path / DATABASE))
    connection.execute(f"PRAGMA page_size = {sql.PAGE_BYTES}; PRAGMA journal_mode = WAL")
    connection.execute(VERSION_1.read_text())
    connection.close()
    return tmp_path


def test_mail_of_the_first_release_is_there(folder: Path) -> None:
    store = SqliteStore(str(folder))
    (interrupted,) = store.open(1000)
    assert (interrupted.message, interrupted.address) == (3, b"joe@here.test")
    with store.transaction():
        totals = store.totals(1000)
        (far,) = store.claim("remote", "far.test", 1000, 10, 10)
        (near,) = store.claim("local", "joe", 1000, 10, 10)
        held = store.get(2, 10)
    assert (totals.messages, totals.recipients, totals.held) == (3, 3, 1)
    assert (far.message, far.sender, far.content, far.terms) == (1, b"s@far.test", b"one\n\n", None)
    assert (far.recipients[0].attempts, far.recipients[0].terms) == (2, None)
    assert (near.message, near.file, near.smtputf8) == (3, "three", True)
    assert held is not None and held.held and held.recipients[0].state == "held"
    store.close()


def test_what_is_new_can_be_stored_beside_it(folder: Path) -> None:
    store = SqliteStore(str(folder))
    store.open(1000)
    to = NewRecipient(b"c@far.test", "remote", "far.test", False, RecipientTerms("NEVER"))
    new = NewMessage(9, b"", b"", b"x", 1, 1000, "smtp", False, (to,), terms=MessageTerms(returns="HDRS"))
    with store.transaction():
        store.accept([new])
    store.close()
    store.open(1001)  # and the second opening finds a file of its own version
    with store.transaction():
        old, fresh = store.claim("remote", "far.test", 1001, 10, 10)
        store.settle([Defer(old.message, 0, 1002, "no", terms=RecipientTerms(delay_told=True))], [], 1001)
        (again,) = store.claim("remote", "far.test", 1002, 10, 10)
    assert fresh.terms == MessageTerms(returns="HDRS") and fresh.recipients[0].terms == RecipientTerms("NEVER")
    assert again.recipients[0].terms == RecipientTerms(delay_told=True)
    store.close()


def test_an_upgraded_file_has_the_tables_of_a_new_one(folder: Path) -> None:
    def columns(connection: apsw.Connection) -> dict[str, object]:
        tables = connection.execute("SELECT name FROM sqlite_schema WHERE type = 'table'").fetchall()
        query = 'SELECT name, type, "notnull", dflt_value, pk FROM pragma_table_info(?)'
        return {str(name): connection.execute(query, (name,)).fetchall() for (name,) in tables}

    def indexes(connection: apsw.Connection) -> set[object]:
        return set(connection.execute("SELECT name, sql FROM sqlite_schema WHERE type = 'index'").fetchall())

    old, new = apsw.Connection(str(folder / DATABASE)), apsw.Connection(":memory:")
    assert sql.prepare(old) == sql.prepare(new) == sql.VERSION
    assert columns(old) == columns(new)
    assert indexes(old) == indexes(new)
    old.close()


def test_a_file_of_a_later_release_is_left_alone(folder: Path) -> None:
    connection = apsw.Connection(str(folder / DATABASE))
    connection.execute(f"PRAGMA user_version = {sql.VERSION + 1}")
    connection.close()
    with pytest.raises(StoreUnusable):
        SqliteStore(str(folder)).open(1000)
    connection = apsw.Connection(str(folder / DATABASE))
    assert connection.execute("PRAGMA user_version").get == sql.VERSION + 1
    assert "terms" not in str(connection.execute("SELECT sql FROM sqlite_schema WHERE name = 'message'").get)
    connection.close()
