"""What can go wrong with the file, the disk and the lock, and what is made of it."""

import shutil
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import apsw
import pytest

from paperpath.store import sqlite_database, sqlite_schema
from paperpath.store.contract import Finish, NewMessage, NewRecipient, StoreBroken, StoreFull, StoreUnusable
from paperpath.store.sqlite import SqliteStore
from tests.crash.store_disk import Act, Disk

NOW = 1_000_000
LOG = "queue.sqlite-wal"


def new(message: int, size: int = 100) -> NewMessage:
    to = NewRecipient(b"a@a.example", "remote", "a.example", True)
    return NewMessage(message, b"", b"", b"x" * size, size, NOW, "smtp", False, (to,))


def accept(store: SqliteStore, *messages: NewMessage) -> None:
    with store.transaction():
        store.accept(messages)


def ids(store: SqliteStore) -> list[int]:
    with store.transaction():
        return store.messages_after(0, 1000)


@pytest.fixture
def disk() -> Iterator[Disk]:
    plugged = Disk()
    yield plugged
    plugged.unplug()


@pytest.fixture
def store(tmp_path: Path, disk: Disk) -> Iterator[SqliteStore]:
    made = SqliteStore(str(tmp_path))
    made.open(NOW)
    yield made
    disk.fault = lambda act: None
    made.close()


def fails(name: str, kind: str, error: type[apsw.Error]) -> Callable[[Act], None]:
    def fault(act: Act) -> None:
        if (act.name, act.kind) == (name, kind):
            raise error("staged")

    return fault


@pytest.mark.parametrize("size", [100, 80_000_000], ids=["in the commit", "before it"])
def test_a_full_disk_undoes_the_transaction_and_no_more(store: SqliteStore, disk: Disk, size: int) -> None:
    accept(store, new(1))
    disk.fault = fails(LOG, "write", apsw.FullError)
    with pytest.raises(StoreFull):
        accept(store, new(2, size), new(3))
    with pytest.raises(StoreFull), store.transaction():
        store.settle([], [Finish(1, 0)])
    disk.fault = lambda act: None
    assert ids(store) == [1]
    accept(store, new(2))
    with store.transaction():
        assert store.settle([], [Finish(1, 0)]) == [1]
        assert store.totals(NOW).messages == 1


@pytest.mark.parametrize(
    ("kind", "error"), [("sync", apsw.IOError), ("write", apsw.IOError), ("write", apsw.CorruptError)]
)
def test_after_a_lying_disk_everything_is_refused(
    store: SqliteStore, disk: Disk, tmp_path: Path, kind: str, error: type[apsw.Error]
) -> None:
    accept(store, new(1))
    disk.fault = fails(LOG, kind, error)
    with pytest.raises(StoreBroken):
        accept(store, new(2))
    disk.fault = lambda act: None
    with pytest.raises(StoreBroken):
        accept(store, new(3))
    with pytest.raises(StoreBroken):
        ids(store)
    with pytest.raises(StoreBroken):
        store.messages_after(0, 1)
    store.close()
    again = SqliteStore(str(tmp_path))
    again.open(NOW)
    assert 1 in ids(again)
    assert 3 not in ids(again)
    again.close()


def test_a_broken_store_may_be_opened_anew(store: SqliteStore, disk: Disk) -> None:
    disk.fault = fails(LOG, "sync", apsw.IOError)
    with pytest.raises(StoreBroken):
        accept(store, new(1))
    disk.fault = lambda act: None
    store.close()
    store.open(NOW)
    accept(store, new(2))
    assert 2 in ids(store)


def test_a_checkpoint_without_room_is_put_off(store: SqliteStore, disk: Disk, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sqlite_schema, "CHECKPOINT_AT_LAST_PAGES", 1)
    disk.fault = fails("queue.sqlite", "write", apsw.FullError)
    accept(store, new(1))
    disk.acts.clear()
    disk.fault = lambda act: None
    accept(store, new(2))
    assert any(act.name == "queue.sqlite" and act.kind == "sync" for act in disk.acts)
    assert ids(store) == [1, 2]


def test_a_checkpoint_on_a_lying_disk_breaks_the_store(
    store: SqliteStore, disk: Disk, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sqlite_schema, "CHECKPOINT_AT_LAST_PAGES", 1)
    disk.fault = fails("queue.sqlite", "sync", apsw.IOError)
    with pytest.raises(StoreBroken):
        accept(store, new(1))
    disk.fault = lambda act: None
    with pytest.raises(StoreBroken):
        ids(store)


def test_the_log_is_copied_once_it_is_long_and_only_then(
    store: SqliteStore, disk: Disk, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sqlite_schema, "CHECKPOINT_AT_LAST_PAGES", 500)
    accept(store, new(1))
    assert not any(act.name == "queue.sqlite" and act.kind == "sync" for act in disk.acts[-5:])
    accept(store, new(2, 500 * sqlite_schema.PAGE_BYTES))
    copied = len(disk.acts)
    assert disk.acts[-1] == Act("queue.sqlite", "sync")
    accept(store, new(3))
    assert all(act.name == LOG for act in disk.acts[copied:])


def test_a_shorter_log_is_copied_when_there_is_nothing_else_to_do(
    store: SqliteStore, disk: Disk, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sqlite_schema, "CHECKPOINT_PAGES", 100)
    accept(store, new(1))
    before = len(disk.acts)
    store.rest()
    assert len(disk.acts) == before
    accept(store, new(2, 100 * sqlite_schema.PAGE_BYTES))
    assert disk.acts[-1] == Act(LOG, "sync")
    store.rest()
    assert disk.acts[-1] == Act("queue.sqlite", "sync")


@pytest.fixture
def short_log(monkeypatch: pytest.MonkeyPatch) -> int:
    monkeypatch.setattr(sqlite_schema, "LOG_KEEP_BYTES", 256 * 1024)
    monkeypatch.setattr(sqlite_schema, "LOG_STEP_BYTES", 50 * 1024)
    return 256 * 1024


def test_the_log_is_made_longer_when_there_is_nothing_else_to_do(
    store: SqliteStore, tmp_path: Path, short_log: int
) -> None:
    accept(store, new(1))
    log = tmp_path / LOG
    before = log.stat().st_size
    assert store.rest()
    assert log.stat().st_size == before + 50 * 1024
    while store.rest():
        pass
    assert log.stat().st_size == short_log
    accept(store, new(2, 50_000))
    assert log.stat().st_size == short_log


@pytest.mark.parametrize("commits", [0, 1, 5])
def test_what_follows_in_a_longer_log_is_no_mail(
    store: SqliteStore, tmp_path: Path, short_log: int, commits: int
) -> None:
    """As a power cut leaves it: the files as they are, with nobody having closed them."""
    while store.rest():
        pass
    for number in range(commits):
        accept(store, new(number + 1, 30_000))
    after = tmp_path / "after"
    after.mkdir()
    for name in ("queue.sqlite", LOG):
        shutil.copy(tmp_path / name, after / name)
    reopened = SqliteStore(str(after))
    reopened.open(NOW)
    assert ids(reopened) == list(range(1, commits + 1))
    reopened.close()


def test_a_log_that_cannot_be_made_longer_breaks_the_store(store: SqliteStore, monkeypatch: pytest.MonkeyPatch) -> None:
    def broken(path: str, size: int, step: int) -> bool:
        raise OSError(5, "lies")

    monkeypatch.setattr(sqlite_database, "grow", broken)
    with pytest.raises(StoreBroken):
        store.rest()
    with pytest.raises(StoreBroken):
        ids(store)


def test_a_commit_is_synced_and_one_that_changes_nothing_is_not_written(store: SqliteStore, disk: Disk) -> None:
    accept(store, new(1))
    assert disk.acts[-1] == Act(LOG, "sync")
    before = len(disk.acts)
    assert ids(store) == [1]
    assert len(disk.acts) == before


def test_a_store_that_is_not_open_refuses(tmp_path: Path) -> None:
    store = SqliteStore(str(tmp_path))
    with pytest.raises(StoreBroken, match="not open"):
        ids(store)
    store.open(NOW)
    store.close()
    store.close()
    with pytest.raises(StoreBroken, match="closed"):
        ids(store)


def test_another_format_is_refused_and_left_alone(tmp_path: Path) -> None:
    store = SqliteStore(str(tmp_path))
    store.open(NOW)
    accept(store, new(1))
    store.close()
    path = tmp_path / "queue.sqlite"
    with apsw.Connection(str(path)) as connection:
        connection.execute("PRAGMA user_version = 99")
    connection.close()
    before = path.read_bytes()
    with pytest.raises(StoreUnusable, match="format 99"):
        store.open(NOW)
    assert path.read_bytes() == before


def test_a_file_that_is_no_database_is_broken(tmp_path: Path) -> None:
    (tmp_path / "queue.sqlite").write_bytes(b"not a database at all " * 1000)
    with pytest.raises(StoreBroken):
        SqliteStore(str(tmp_path)).open(NOW)


def test_someone_elses_database_is_refused(tmp_path: Path) -> None:
    connection = apsw.Connection(str(tmp_path / "queue.sqlite"))
    connection.execute("CREATE TABLE theirs (a)")
    connection.close()
    with pytest.raises(StoreUnusable, match="format 0"):
        SqliteStore(str(tmp_path)).open(NOW)


def test_a_place_that_is_no_file_cannot_be_opened(tmp_path: Path) -> None:
    (tmp_path / "queue.sqlite").mkdir()
    with pytest.raises(StoreUnusable, match="owner and mode"):
        SqliteStore(str(tmp_path)).open(NOW)


@pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning")  # closing meets the fault too
def test_a_full_disk_at_the_opening(tmp_path: Path, disk: Disk) -> None:
    disk.fault = fails("queue.sqlite", "write", apsw.FullError)
    with pytest.raises(StoreFull):
        SqliteStore(str(tmp_path)).open(NOW)


def test_another_process_is_kept_out_and_told(tmp_path: Path) -> None:
    store = SqliteStore(str(tmp_path))
    store.open(NOW)
    program = (
        "import sys; from paperpath.store.sqlite import SqliteStore\n"
        "try: SqliteStore(sys.argv[1]).open(0)\n"
        "except Exception as error: print(type(error).__name__, error)\n"
    )
    ended = subprocess.run(
        [sys.executable, "-c", program, str(tmp_path)],
        capture_output=True, text=True, check=True, env={"PYTHONPATH": ":".join(sys.path)},
    )  # fmt: skip
    assert ended.stdout.startswith("StoreUnusable ")
    assert "in use" in ended.stdout
    store.close()
