"""A Maildir as one session sees it."""

import hashlib
import os
import re
from pathlib import Path

import pytest

from paperpath.local.mailbox import Gone, Mailbox, Result, _is_marked, unique_id

NOW = 1_700_000_000.0


@pytest.fixture
def maildir(tmp_path: Path) -> Path:
    for name in ("tmp", "new", "cur"):
        (tmp_path / name).mkdir()
    return tmp_path


def put(maildir: Path, name: str, content: bytes = b"x\n", mtime: float = 1000.0) -> Path:
    path = maildir / name
    path.write_bytes(content)
    os.utime(path, (mtime, mtime))
    return path


def opened(maildir: Path) -> Mailbox:
    return Mailbox(os.fsencode(maildir), NOW)


def names(mailbox: Mailbox) -> list[bytes]:
    return [one for first in range(1, len(mailbox) + 1, 256) for one in mailbox.describe(first)[1]]


def marks(*numbers: int) -> bytes:
    bits = sum(1 << (number - 1) for number in numbers)
    return bits.to_bytes((max(numbers, default=0) + 7) // 8, "little")


def test_order(maildir: Path) -> None:
    """By the time in the name, to the microsecond; by the file's where the name has none."""
    put(maildir, "new/20.M90P1Q1.h", mtime=1.0)
    put(maildir, "new/20.M100P1Q2.h", mtime=2.0)
    put(maildir, "cur/3.x:2,S", mtime=99.0)
    put(maildir, "new/100.y", mtime=1.0)
    put(maildir, "cur/without:2,", mtime=50.0)
    assert names(opened(maildir)) == [b"3.x", b"20.M90P1Q1.h", b"20.M100P1Q2.h", b"without", b"100.y"]


def test_sizes(maildir: Path) -> None:
    put(maildir, "new/1.a,S=4711", b"xx")
    put(maildir, "cur/2.b,S=12,W=13:2,S", b"xx")
    put(maildir, "cur/3.c:2,S=5", b"xx")
    put(maildir, "new/4.d,S=x", b"xxx")
    mailbox = opened(maildir)
    assert mailbox.describe(1)[0] == (4711, 12, 2, 3)
    assert mailbox.octets == 4711 + 12 + 2 + 3


def test_a_message_of_this_very_second_is_there(maildir: Path) -> None:
    put(maildir, f"new/{int(NOW)}.a", mtime=NOW)
    put(maildir, f"new/{int(NOW) + 99}.b", mtime=NOW + 99)
    assert len(opened(maildir)) == 2


def test_pages(maildir: Path) -> None:
    for number in range(1, 601):
        put(maildir, f"new/{number}.m")
    mailbox = opened(maildir)
    assert [len(mailbox.describe(first)[1]) for first in (1, 257, 513)] == [256, 256, 88]
    assert names(mailbox) == [b"%d.m" % number for number in range(1, 601)]
    for first in (0, 601, -1):
        with pytest.raises(IndexError):
            mailbox.describe(first)
        with pytest.raises(IndexError):
            mailbox.open(first)


def test_update(maildir: Path) -> None:
    put(maildir, "new/1.a")
    put(maildir, "new/2.b")
    put(maildir, "cur/3.c:2,S")
    put(maildir, "cur/4.d:2,S")
    assert opened(maildir).update(marks(1, 3)) == Result(removed=2, kept=0)
    assert os.listdir(maildir / "new") == []
    assert sorted(os.listdir(maildir / "cur")) == ["2.b:2,", "4.d:2,S"]


def test_update_with_too_many_marks(maildir: Path) -> None:
    put(maildir, "new/1.a")
    assert opened(maildir).update(b"\xff" * 1000) == Result(removed=1, kept=0)


def test_quota(maildir: Path) -> None:
    """What was removed is taken off `maildirsize`, by the sizes that Maildir++ counts."""
    put(maildir, "new/1.a,S=100")
    put(maildir, "cur/2.b:2,S", b"xyz")
    put(maildir, "cur/3.c:2,ST", b"in the trash")
    gone = put(maildir, "cur/4.d:2,S")
    size_file = put(maildir, "maildirsize", b"1000S\n105 3\n")
    mailbox = opened(maildir)
    gone.unlink()
    assert mailbox.update(marks(1, 2, 3, 4)) == Result(removed=4, kept=0)
    assert size_file.read_bytes() == b"1000S\n105 3\n-103 -2\n"


def test_no_quota(maildir: Path) -> None:
    put(maildir, "new/1.a,S=100")
    opened(maildir).update(marks(1))
    assert not (maildir / "maildirsize").exists()


def test_names_that_change(maildir: Path) -> None:
    one, two = put(maildir, "new/1.a"), put(maildir, "cur/2.b:2,")
    put(maildir, "cur/3.c:2,")
    mailbox = opened(maildir)
    one.rename(maildir / "cur/1.a:2,FS")
    two.rename(maildir / "cur/2.b:2,T")
    os.close(mailbox.open(1))
    (maildir / "cur/1.a:2,FS").rename(maildir / "cur/1.a:2,F")
    os.close(mailbox.open(1))
    (maildir / "cur/3.c:2,").unlink()
    with pytest.raises(Gone):
        mailbox.open(3)
    assert mailbox.update(marks(1, 3)) == Result(removed=2, kept=0)
    assert os.listdir(maildir / "cur") == ["2.b:2,T"]


def test_looking_again_is_done_once_a_change(maildir: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A mailbox that another session has emptied is not read again for each of its messages."""
    for number in range(1, 51):
        put(maildir, f"new/{number}.m")
    mailbox = opened(maildir)
    for path in (maildir / "new").iterdir():
        path.unlink()
    read = 0
    listdir = os.listdir

    def counting(path: bytes) -> list[bytes]:
        nonlocal read
        read += 1
        return listdir(path)

    monkeypatch.setattr(os, "listdir", counting)
    assert mailbox.update(marks(*range(1, 51))) == Result(removed=50, kept=0)
    assert read == 2


def test_a_stale_handle_is_an_error_and_not_a_loss(maildir: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """NFS says ESTALE where a file was replaced on the server."""
    put(maildir, "new/1.a")
    mailbox = opened(maildir)

    def stale(*_: object, **__: object) -> int:
        raise OSError(116, "Stale file handle")

    monkeypatch.setattr("paperpath.local.mailbox.open_message", stale)
    monkeypatch.setattr("paperpath.local.mailbox.remove_message", stale)
    with pytest.raises(OSError, match="Stale"):
        mailbox.open(1)
    assert mailbox.update(marks(1)) == Result(removed=0, kept=1, reason="Stale file handle")
    assert os.listdir(maildir / "new") == ["1.a"]


def test_old_leftovers_of_deliveries_are_removed(maildir: Path) -> None:
    """Qmail's 36 hours."""
    for name, age in (("old", 129_700), ("young", 129_500)):
        put(maildir, f"tmp/{name}", mtime=NOW - age)
    opened(maildir)
    assert os.listdir(maildir / "tmp") == ["young"]


def test_a_folder_that_cannot_be_read(maildir: Path) -> None:
    (maildir / "cur").rmdir()
    with pytest.raises(FileNotFoundError):
        opened(maildir)


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        (b"1.a", b"1.a"),
        (b"1.a:2,S", b"1.a"),
        (b"1.a,S=5:2,S", b"1.a,S=5"),
        (b"x" * 70, b"x" * 70),
        (b"x" * 71 + b":2,", hashlib.sha256(b"x" * 71).hexdigest().encode()),
        (b"1 a", hashlib.sha256(b"1 a").hexdigest().encode()),
        (b":2,", hashlib.sha256(b"").hexdigest().encode()),
    ],
)
def test_unique_id(name: bytes, expected: bytes) -> None:
    assert unique_id(name) == expected
    assert re.fullmatch(rb"[!-~]{1,70}", expected)


@pytest.mark.parametrize(
    ("marked", "numbers"),
    [(b"", []), (b"\0", []), (b"\x81", [1, 8]), (b"\0\x01", [9]), (b"\xff", list(range(1, 9)))],
)
def test_marks_are_bits_and_beyond_the_last_byte_there_are_none(marked: bytes, numbers: list[int]) -> None:
    assert [number for number in range(1, 26) if _is_marked(marked, number)] == numbers
