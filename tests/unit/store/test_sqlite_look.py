"""What an operator sees, where it is peculiar to this engine; the rest is in tests/conformance."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from paperpath.store.contract import NewMessage, NewRecipient
from paperpath.store.sqlite import SqliteStore

NOW = 1_000_000


@pytest.fixture
def store(tmp_path: Path) -> Iterator[SqliteStore]:
    made = SqliteStore(str(tmp_path))
    made.open(NOW)
    yield made
    made.close()


def new(message: int, sender: bytes = b"", file: str = "") -> NewMessage:
    to = NewRecipient(b"a@a.example", "remote", "a.example", False)
    return NewMessage(message, sender, b"", b"", 9, NOW, "smtp", False, (to,), file)


def test_a_content_file_that_is_missing_is_an_error(store: SqliteStore) -> None:
    with pytest.raises(FileNotFoundError), store.transaction():
        store.accept([new(1, file="missing")])
        store.content(1, 10)


@pytest.mark.parametrize("needle", [b"\xff\xfe", "MÜ".encode(), b"%"])
def test_filters_are_bytes_not_patterns(store: SqliteStore, needle: bytes) -> None:
    with store.transaction():
        store.accept([new(1, b"x" + needle + b"y@example.org"), new(2, b"plain@example.org")])
        views, more = store.page(0, 10, needle, b"", "", False)
    assert [view.message for view in views] == [1]
    assert not more
