"""No statement of the hot path may read a whole table: what is quick with ten rows must be with a million."""

import apsw
import pytest

from paperpath.store import sqlite_schema as sql

STATEMENTS = {
    name: text for name, text in vars(sql).items() if name[0].isupper() and name.isupper() and isinstance(text, str)
} | {f"DROP_PLAIN[{at}]": text for at, text in enumerate(sql.DROP_PLAIN)}
WHOLE = {"ALL_CLAIMED": "SCAN r", "ADD_TOTALS": "SCAN total"}
"""Statements that may scan: the opening after a crash; a table of one row."""


@pytest.fixture(scope="module")
def database() -> apsw.Connection:
    connection = apsw.Connection(":memory:")
    sql.prepare(connection)
    return connection


@pytest.mark.parametrize("name", sorted(STATEMENTS))
def test_statements_search_instead_of_scanning(database: apsw.Connection, name: str) -> None:
    statement = STATEMENTS[name]
    values = (None,) * (1 if "?1" in statement else statement.count("?"))
    plan = [row[3] for row in database.execute(f"EXPLAIN QUERY PLAN {statement}", values)]
    assert not [step for step in plan if "SCAN" in step and "CONSTANT" not in step and name not in WHOLE], plan
    assert not [step for step in plan if "TEMP B-TREE" in step and name != "OPEN_LINES"], plan


def test_an_empty_file_becomes_ours(database: apsw.Connection) -> None:
    assert database.execute("PRAGMA user_version").get == sql.VERSION
    assert database.execute("PRAGMA application_id").get == sql.APPLICATION
    assert database.execute("PRAGMA synchronous").get == 2
    assert sql.prepare(database) == sql.VERSION
