"""Quotas of Maildirs: what is admitted, what is counted, when it is counted anew, and that others may count too."""

import os
import subprocess
import threading
from pathlib import Path

import pytest

from paperpath.base.outcome import Deferred, Delivered, Failed, Outcome
from paperpath.base.quota import Limits, Use
from paperpath.delivery import maildir, quota
from paperpath.delivery.errand import Message
from paperpath.delivery.forwarding import NOTHING_BESIDES
from paperpath.delivery.maildir import Delivery, deliver, process_names
from paperpath.delivery.plan import plan_account, plan_mailbox
from paperpath.delivery.quota import count_anew
from paperpath.system.files import write_file_durably
from paperpath.wire.accounts import Account
from tests.peers import require_peer
from tests.unit.delivery.test_maildir import make_home

BEFORE = len(b"Return-Path: <s@x>\nDelivered-To: j@h\n")
SIZE = 1000


@pytest.fixture
def box(tmp_path: Path) -> Path:
    return make_home(tmp_path / "joe") / "Maildir"


def delivery(box: Path, size: int = SIZE) -> Delivery:
    """Return one that makes a file of so many bytes."""
    content = b"x" * (size - BEFORE - 1) + b"\n"
    return Delivery(str(box), Message(b"j@h", b"s@x", b"", content, None, len(content)), counted=True)


def put(box: Path, *sizes: int) -> list[Outcome | Exception]:
    return deliver([delivery(box, size) for size in sizes], process_names())


def size_file(box: Path) -> list[str]:
    return (box / "maildirsize").read_text().splitlines()


def age(box: Path) -> None:
    """Make the count older than it may be."""
    past = os.stat(box / "maildirsize").st_mtime - 3600
    os.utime(box / "maildirsize", (past, past))


FULL = Deferred("The mailbox is full: its quota is 2500S.", code="2.2")


def test_without_the_file_nothing_is_counted(box: Path) -> None:
    assert put(box, SIZE) == [Delivered("did 1+0+0")]
    (made,) = (box / "new").iterdir()
    assert ",S=" not in made.name and not (box / "maildirsize").exists()


def test_a_batch_adds_one_line_and_names_tell_sizes(box: Path) -> None:
    quota.set_quota(str(box), Limits(10_000, 10))
    assert put(box, SIZE, 500) == [Delivered("did 1+0+0")] * 2
    assert size_file(box) == ["10000S,10C", "0 0", "1500 2"]
    assert sorted(int(file.name.rpartition(",S=")[2]) for file in (box / "new").iterdir()) == [500, SIZE]
    assert all(file.stat().st_size == int(file.name.rpartition("=")[2]) for file in (box / "new").iterdir())


def test_large_messages_count_whole(box: Path, tmp_path: Path) -> None:
    quota.set_quota(str(box), Limits(10_000))
    (tmp_path / "content").write_bytes(b"x" * 5000)
    with (tmp_path / "content").open("rb") as file:
        message = Message(b"j@h", b"s@x", b"T: r\n", b"", file.fileno(), 5000)
        deliver([Delivery(str(box), message, counted=True)], process_names())
    assert size_file(box)[-1] == f"{BEFORE + 5 + 5000} 1"


def test_full_mailbox_waits_within_a_batch_and_after(box: Path) -> None:
    quota.set_quota(str(box), Limits(2500))
    assert put(box, SIZE, SIZE, SIZE, 500) == [Delivered("did 1+0+0")] * 2 + [FULL, Delivered("did 1+0+0")]
    assert put(box, 10 + BEFORE) == [FULL]
    assert not list((box / "tmp").iterdir())


def test_number_of_messages(box: Path) -> None:
    quota.set_quota(str(box), Limits(messages=2))
    assert [type(outcome) for outcome in put(box, SIZE, SIZE, SIZE)] == [Delivered, Delivered, Deferred]


def test_message_that_never_fits_fails(box: Path) -> None:
    quota.set_quota(str(box), Limits(2500))
    (outcome,) = put(box, 2501)
    assert isinstance(outcome, Failed) and outcome.status == "5.2.2"
    assert put(box, 2500) == [Delivered("did 1+0+0")]


def test_room_that_others_made_is_found_before_mail_waits(box: Path) -> None:
    quota.set_quota(str(box), Limits(2500))
    put(box, SIZE, SIZE)
    for file in (box / "new").iterdir():
        file.unlink()
    assert put(box, SIZE) == [Delivered("did 1+0+0")]
    assert size_file(box) == ["2500S", "0 0", "1000 1"]


def test_a_fresh_count_is_believed_for_a_while(box: Path) -> None:
    put(box, SIZE, SIZE)
    quota.set_quota(str(box), Limits(2500))
    for file in (box / "new").iterdir():
        file.unlink()
    assert put(box, SIZE) == [FULL]
    age(box)
    assert put(box, SIZE) == [Delivered("did 1+0+0")]


def test_a_count_is_made_once_a_batch(box: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    counts: list[str] = []

    def count(maildir: str, first: bytes) -> Use:
        counts.append(maildir)
        return count_anew(maildir, first)

    monkeypatch.setattr(quota, "count_anew", count)
    (box / "maildirsize").write_text("2500S\n2400 2\n10 1\n")
    for _ in range(2):
        (box / "new" / f"{_},S=2400").write_bytes(b"")
        (box / "cur" / f"{_},S=2400:2,T").write_bytes(b"")
        assert put(box, SIZE, SIZE, SIZE) == [FULL] * 3
    assert len(counts) == 1


@pytest.mark.parametrize("rest", [b"", b"x y\n", b"-5 -1\n", b"0 0\n" * 2000, b"\0\0\0\0"])
def test_what_makes_no_sense_is_counted_anew(box: Path, rest: bytes) -> None:
    (box / "new" / "1.a.b").write_bytes(b"x" * 300)
    (box / "maildirsize").write_bytes(b"2500S,7X\n" + rest)
    assert put(box, SIZE) == [Delivered("did 1+0+0")]
    assert size_file(box) == ["2500S,7X", "300 1", "1000 1"]


def test_what_counts(box: Path) -> None:
    for folder in (".Sent", ".Trash", "not-a-folder"):
        make_home(box / folder)
        (box / folder / "Maildir").rename(box / folder / "x")
        for part in ("cur", "new"):
            (box / folder / part).mkdir()
            (box / folder / part / "1,S=1000:2,S").write_bytes(b"")
    (box / "cur" / "2:2,RS").write_bytes(b"x" * 7)
    (box / "cur" / "3,S=50:2,ST").write_bytes(b"")
    (box / "new" / "4,S=60").write_bytes(b"")
    (box / "new" / ".5").write_bytes(b"x")
    (box / "tmp" / "6").write_bytes(b"x")
    (box / ".file").write_bytes(b"x")
    assert quota.set_quota(str(box), Limits(5)) == Use(2067, 4)


def test_counted_again_where_something_came_meanwhile(box: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    came: list[str] = []

    def write(path: str, data: bytes, *, beside: str) -> None:
        if not came:
            came.append(path)
            (box / "new" / "late,S=70").write_bytes(b"")
        write_file_durably(path, data, beside=beside)

    monkeypatch.setattr(quota, "write_file_durably", write)
    assert quota.set_quota(str(box), Limits(500)) == Use(70, 1)
    assert size_file(box) == ["500S", "70 1"]


def test_a_line_that_cannot_be_written_undoes_nothing(box: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    quota.set_quota(str(box), Limits(2500))

    def fails(_path: str, _line: bytes) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(quota, "append_line", fails)
    assert put(box, SIZE) == [Delivered("did 1+0+0")]


def test_a_file_that_cannot_be_read_is_temporary(box: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def fails(_maildir: str) -> None:
        raise OSError(5, "Input/output error")

    monkeypatch.setattr(maildir, "quota_of", fails)
    (outcome,) = put(box, SIZE)
    assert isinstance(outcome, Deferred)


def test_failed_deliveries_are_not_counted(box: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    quota.set_quota(str(box), Limits(5000))
    monkeypatch.setattr(maildir, "create_files_durably", lambda files: [OSError(5, "no"), *[None] * (len(files) - 1)])
    put(box, SIZE, 300)
    assert size_file(box)[-1] == "300 1"


def test_many_deliver_at_once_and_every_byte_is_counted(box: Path) -> None:
    quota.set_quota(str(box), Limits(10**9))
    threads = [threading.Thread(target=lambda: [put(box, SIZE, SIZE) for _ in range(20)]) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert quota.read_quota(str(box)) == (Limits(10**9), Use(160 * SIZE, 160))


def test_only_mailboxes_of_accounts_are_counted(box: Path) -> None:
    account = Account("joe", str(box.parent), b"", b"")
    assert plan_mailbox(account).counted
    assert not plan_account(account, b"./Maildir/", NOTHING_BESIDES).counted


def test_maildrops_own_delivery_counts_in_the_same_file(box: Path, tmp_path: Path) -> None:
    maildrop = require_peer("maildrop")
    quota.set_quota(str(box), Limits(100_000, 3))
    put(box, SIZE)
    (tmp_path / "filter").write_text(f'to "{box}/"\n')
    (tmp_path / "filter").chmod(0o600)
    for number in range(3):
        done = subprocess.run(
            [maildrop, tmp_path / "filter"], input=b"Subject: x\n\nx\n", env={"HOME": str(tmp_path), "LOGNAME": "joe"}
        )
        assert (done.returncode == 0) == (number < 2)
    found = quota.read_quota(str(box))
    assert found is not None and found[1].messages == 3
    (outcome,) = put(box, SIZE)
    assert isinstance(outcome, Deferred)
