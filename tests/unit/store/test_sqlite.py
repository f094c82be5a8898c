"""What the SQLite engine remembers and bounds; what it promises is in tests/conformance."""

import os
from collections.abc import Iterator
from pathlib import Path

import pytest

from paperpath.store import sqlite
from paperpath.store.contract import Defer, Finish, NewMessage, NewRecipient, StoreUnusable
from paperpath.store.sqlite import SqliteStore

NOW = 1_000_000


@pytest.fixture
def store(tmp_path: Path) -> Iterator[SqliteStore]:
    made = SqliteStore(str(tmp_path))
    made.open(NOW)
    yield made
    made.close()


def new(message: int, claimed: bool = True, count: int = 1, shares: int = 0, file: str = "") -> NewMessage:
    to = NewRecipient(b"a@a.example", "remote", "a.example", claimed)
    content = b"" if shares or file else b"content"
    return NewMessage(message, b"", b"", content, 7, NOW, "smtp", False, (to,) * count, file, shares)


def test_only_plain_messages_are_remembered_as_plain(store: SqliteStore) -> None:
    with store.transaction():
        store.accept([new(1), new(2, claimed=False), new(3, count=2), new(4, file="f"), new(5), new(6, shares=5)])
    assert set(store._plain) == {1}


@pytest.mark.parametrize("act", ["finish", "defer", "share", "hold", "release", "retry", "remove", "fail"])
def test_nothing_is_remembered_as_plain_for_longer_than_it_is(store: SqliteStore, act: str) -> None:
    with store.transaction():
        store.accept([new(1)])
    assert 1 in store._plain
    if act == "fail":
        with pytest.raises(ZeroDivisionError), store.transaction():
            raise ZeroDivisionError
    else:
        with store.transaction():
            _do(store, act)
    assert 1 not in store._plain


def _do(store: SqliteStore, act: str) -> None:
    if act == "finish":
        store.settle([], [Finish(1, 0)])
    elif act == "defer":
        store.settle([Defer(1, 0, NOW, "no")], [])
    elif act == "share":
        store.accept([new(2, shares=1)])
    elif act == "remove":
        store.remove(1)
    else:
        getattr(store, act)(1, NOW, act)


def test_no_rows_are_left_behind(store: SqliteStore) -> None:
    with store.transaction():
        store.accept([new(1), new(2, claimed=False), new(3, count=3), new(4, shares=3)])
        store.settle([Defer(1, 0, NOW, "no")], [Finish(3, at) for at in range(3)])
        store.hold(4, NOW, "held")
        store.retry(2, NOW, "retried")
        store.claim("remote", "a.example", NOW, 9, 9)
        store.settle([], [Finish(message, 0) for message in (1, 2, 4)])
        assert store.due_destinations(NOW, 9, frozenset({"local", "remote"}), frozenset()) == []
    for table in ("content", "message", "recipient", "destination", "history"):
        assert store._database.one(f"SELECT count(*) FROM {table}") == 0
    assert store._database.one("SELECT * FROM total") == (0, 0, 0, 0)


def test_a_claim_that_takes_everybody_leaves_no_destination(store: SqliteStore) -> None:
    with store.transaction():
        store.accept([new(1, claimed=False)])
        assert store.claim("remote", "a.example", NOW, 1, 1)
    assert store._database.one("SELECT count(*) FROM destination") == 0


def test_the_interrupted_are_counted_beyond_those_named(store: SqliteStore, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sqlite, "INTERRUPTED_MOST", 3)
    with store.transaction():
        store.accept([new(1, count=5)])
    store.close()
    assert len(store.open(NOW)) == 3
    assert store.interrupted == 5
    store.close()
    assert store.open(NOW) == ()
    assert store.interrupted == 0


def test_what_an_attempt_came_to_is_cut(store: SqliteStore) -> None:
    with store.transaction():
        store.accept([new(1)])
        store.settle([Defer(1, 0, NOW, "x" * 9999)], [])
        store.hold(1, NOW, "y" * 9999)
        view = store.get(1, 1)
    assert view is not None
    assert view.recipients[0].last == view.history[0].text == "x" * sqlite.LAST_MOST
    assert view.history[1].text == "y" * sqlite.LAST_MOST


def test_an_opening_that_fails_lets_go_of_the_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "content").mkdir()
    (tmp_path / "content" / "orphan").touch()
    store = SqliteStore(str(tmp_path))

    def refuse(path: str) -> None:
        raise PermissionError(13, "Permission denied", path)

    with monkeypatch.context() as patch:
        patch.setattr(sqlite, "remove_if_there", refuse)
        with pytest.raises(StoreUnusable, match="orphan: Permission denied"):
            store.open(NOW)
    store.open(NOW)
    assert not (tmp_path / "content" / "orphan").exists()
    store.close()


def test_a_folder_that_cannot_be_made_is_told(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(StoreUnusable, match="file"):
        SqliteStore(str(tmp_path / "file")).open(NOW)


def test_folders_in_the_content_folder_are_left_alone(tmp_path: Path) -> None:
    (tmp_path / "content" / "lost+found").mkdir(parents=True)
    store = SqliteStore(str(tmp_path))
    store.open(NOW)
    store.close()
    assert (tmp_path / "content" / "lost+found").is_dir()


def test_a_file_that_cannot_be_removed_does_not_undo_the_commit(store: SqliteStore) -> None:
    os.mkdir(os.path.join(store.content_folder, "f"))
    with store.transaction():
        store.accept([new(1, file="f")])
    with store.transaction():
        store.settle([], [Finish(1, 0)])
    with store.transaction():
        assert store.messages_after(0, 9) == []


def test_history_keeps_exactly_the_newest(store: SqliteStore) -> None:
    with store.transaction():
        store.accept([new(1)])
        for at in range(sqlite.HISTORY_MOST + 7):
            store.retry(1, NOW, f"{at}")
        view = store.get(1, 1)
    assert view is not None
    assert [line.text for line in view.history] == [f"{at}" for at in range(7, sqlite.HISTORY_MOST + 7)]
