"""Whatever moment the power fails at: what was committed is there, what was not is not, and never half of it."""

import random
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

import pytest

from paperpath.store import sqlite_schema
from paperpath.store.contract import Defer, Finish, NewMessage, NewRecipient
from paperpath.store.sqlite import SqliteStore
from tests.crash.store_disk import Act, Cut, Disk

NOW = 1_000_000
TRANSACTIONS = 20
pytestmark = [pytest.mark.crash, pytest.mark.timeout(300)]

State = frozenset[tuple[int, int, int, int]]
"""Every recipient: message, number, due, attempts."""


class Commit(NamedTuple):
    """What the store holds once the acts up to ``moment`` are done."""

    moment: int
    state: State


class Story(NamedTuple):
    """All that happened to the disk, and the commits between."""

    acts: list[Act]
    commits: list[Commit]


@pytest.fixture
def disk() -> Iterator[Disk]:
    plugged = Disk()
    yield plugged
    plugged.unplug()


def state_of(store: SqliteStore) -> State:
    with store.transaction():
        views = [store.get(message, 100) for message in store.messages_after(0, 10_000)]
    return frozenset((view.message, to.number, to.due, to.attempts) for view in views if view for to in view.recipients)


def check_content(store: SqliteStore) -> None:
    with store.transaction():
        for message in store.messages_after(0, 10_000):
            found = store.content(message, 10_000)
            assert found is not None
            assert found[1] == body(message)


def body(message: int) -> bytes:
    return b"%d " % message * (50 + message * 37 % 900)


def new(message: int) -> NewMessage:
    to = (
        NewRecipient(b"a@a.example", "remote", "a.example", True),
        NewRecipient(b"b@b.example", "remote", "b.example", False),
    )
    recipients = to[: 1 + message % 2]
    content = body(message)
    return NewMessage(message, b"", b"", content, len(content), NOW, "smtp", False, recipients)


def tell_story(folder: Path, disk: Disk) -> Story:
    """Accept, finish, defer, hold and claim in many commits, with checkpoints between."""
    store = SqliteStore(str(folder))
    commits = [Commit(0, frozenset())]
    store.open(NOW)
    commits.append(Commit(len(disk.acts), frozenset()))
    message = 0
    for at in range(TRANSACTIONS):
        first = message + 1
        message += 1 + at % 4
        with store.transaction():
            store.accept([new(one) for one in range(first, message + 1)])
            store.settle([Defer(first - 1, 0, NOW + at, "no")], [Finish(one, 0) for one in range(first - 9, first - 3)])
            store.claim("remote", "b.example", NOW, 1, 1)
            store.settle([], [Finish(first - 4, 1), Finish(first - 5, 1)])
            store.hold(first - 2, NOW, "held")
            store.release(first - 3, NOW, "released")
            store.remove(first - 12)
        moment = len(disk.acts)
        commits.append(Commit(moment, state_of(store)))
    acts = list(disk.acts)
    store.close()
    return Story(acts, commits)


@pytest.fixture
def story(tmp_path: Path, disk: Disk, monkeypatch: pytest.MonkeyPatch) -> Story:
    monkeypatch.setattr(sqlite_schema, "CHECKPOINT_AT_LAST_PAGES", 15)
    return tell_story(tmp_path / "before", disk)


def allowed(commits: list[Commit], moment: int) -> set[State]:
    """What may be found after a cut: the last commit that had returned, or the one then being made."""
    returned = max(at for at, commit in enumerate(commits) if commit.moment <= moment)
    return {commit.state for commit in commits[returned : returned + 2]}


@pytest.mark.slow
def test_a_power_cut_at_any_moment(story: Story, tmp_path: Path, disk: Disk) -> None:
    disk.unplug()
    assert {act.name for act in story.acts if act.kind == "sync"} >= {"queue.sqlite", "queue.sqlite-wal"}
    assert sum(act.kind == "sync" and act.name == "queue.sqlite" for act in story.acts) > 5, "no checkpoints"
    chance = random.Random(20)
    for moment in range(len(story.acts) + 1):
        folder = tmp_path / f"cut-{moment}"
        Cut(story.acts, moment, chance).write_to(folder)
        store = SqliteStore(str(folder))
        store.open(NOW)
        assert state_of(store) in allowed(story.commits, moment), f"cut after act {moment}"
        check_content(store)
        store.close()


def test_the_disk_tells_a_store_that_does_not_sync(tmp_path: Path, disk: Disk, monkeypatch: pytest.MonkeyPatch) -> None:
    """The stage itself must be able to fail: without the sync of the log, a cut loses what was committed."""
    acts = tell_story(tmp_path / "before", disk)
    disk.unplug()
    unsynced = [act for act in acts.acts if act.kind != "sync" or act.name != "queue.sqlite-wal"]
    files = Cut(unsynced, len(unsynced), _Never()).files()
    folder = tmp_path / "cut"
    folder.mkdir()
    for name, content in files.items():
        (folder / name).write_bytes(content)
    store = SqliteStore(str(folder))
    store.open(NOW)
    assert state_of(store) not in allowed(acts.commits, len(acts.acts))
    store.close()


class _Never(random.Random):
    """Chance that spares nothing."""

    def choice(self, seq: object) -> float:  # type: ignore[override]
        return 0.0
