"""Whatever moment the power fails at while a queue of the release before is opened: its mail is there."""

import random
from pathlib import Path

import apsw
import pytest

from paperpath.store import sqlite_schema
from paperpath.store.sqlite import CONTENT, DATABASE, SqliteStore
from tests.crash.store_disk import Cut, Disk

VERSION_1 = Path(__file__).parents[1] / "unit" / "store" / "version-1.sql"
NOW = 1000
ROUNDS = 3
pytestmark = [pytest.mark.crash, pytest.mark.timeout(120)]


def with_file(folder: Path) -> Path:
    """Put the one content there that is a file: the upgrade does not touch it."""
    (folder / CONTENT).mkdir(parents=True, exist_ok=True)
    (folder / CONTENT / "three").write_bytes(b"tre\n")
    return folder


def make_version_1(folder: Path) -> None:
    """Leave what the first release leaves."""
    connection = apsw.Connection(str(with_file(folder) / DATABASE))
    connection.execute(f"PRAGMA page_size = {sqlite_schema.PAGE_BYTES}; PRAGMA journal_mode = WAL")
    connection.execute(VERSION_1.read_text())
    connection.close()


def mail_in(folder: Path) -> tuple[list[int], bytes, bytes, int]:
    """Open what is there; return ids, a body in the table, one in a file, and how much was interrupted."""
    store = SqliteStore(str(folder))
    store.open(NOW)
    with store.transaction():
        ids = store.messages_after(0, 10)
        (far,) = store.claim("remote", "far.test", NOW, 10, 10)
        file = store.content(3, 10)
    assert file is not None and far.terms is None
    interrupted = store.interrupted
    store.close()
    connection = apsw.Connection(str(folder / DATABASE))
    version = connection.execute("PRAGMA user_version").get
    connection.close()
    assert version == sqlite_schema.VERSION
    return ids, far.content, file[1], interrupted


def test_a_power_cut_at_any_moment_of_an_upgrade(tmp_path: Path) -> None:
    disk = Disk()
    try:
        make_version_1(tmp_path / "before")
        began = len(disk.acts)
        store = SqliteStore(str(tmp_path / "before"))
        store.open(NOW)
        acts = list(disk.acts)
        store.close()
    finally:
        disk.unplug()
    assert any(act.kind == "sync" for act in acts[began:])
    found = set()
    for moment in range(began, len(acts) + 1):
        for again in range(ROUNDS):
            folder = tmp_path / f"cut-{moment}-{again}"
            Cut(acts, moment, random.Random(again)).write_to(folder)
            ids, body, file, interrupted = mail_in(with_file(folder))
            assert (ids, body, file) == ([1, 2, 3], b"one\n\n", b"tre\n"), f"cut after act {moment}"
            found.add(interrupted)
    assert found == {0, 1}, "some cuts came before the upgrade was committed, and some after"
