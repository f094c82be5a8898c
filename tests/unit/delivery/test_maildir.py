"""Maildir deliveries: content byte for byte, names, loops, and what each failure becomes."""

import errno
import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from paperpath.base.outcome import Deferred, Delivered
from paperpath.delivery import maildir
from paperpath.delivery.errand import Message
from paperpath.delivery.maildir import Delivery, Names, deliver
from paperpath.system import files


def make_home(path: Path) -> Path:
    for name in ("tmp", "new", "cur"):
        (path / "Maildir" / name).mkdir(parents=True)
    return path


@pytest.fixture
def home(tmp_path: Path) -> Path:
    return make_home(tmp_path / "joe")


def names() -> Names:
    return Names(lambda: 1_700_000_000_123_456, 42, b"mx.test")


def delivery(home: Path, content: bytes = b"Subject: x\n\nhello\n", **changes: Any) -> Delivery:
    return Delivery(f"{home}/Maildir", message(content, **changes))


def message(content: bytes = b"Subject: x\n\nhello\n", **changes: Any) -> Message:
    values: dict[str, Any] = {
        "recipient": b"joe@box.test",
        "sender": b"from@else.test",
        "trace": b"Received: somehow\n",
        "content": content,
        "source": None,
        "size": len(content),
    }
    return Message(**(values | changes))


def new(home: Path) -> dict[str, bytes]:
    assert list((home / "Maildir/tmp").iterdir()) == []
    return {file.name: file.read_bytes() for file in (home / "Maildir/new").iterdir()}


def test_content_and_name(home: Path) -> None:
    assert deliver([delivery(home)], names()) == [Delivered("did 1+0+0")]
    assert new(home) == {
        "1700000000.M123456P42Q1.mx.test": b"Return-Path: <from@else.test>\nDelivered-To: joe@box.test\n"
        b"Received: somehow\nSubject: x\n\nhello\n"
    }


def test_bounce_and_message_without_last_line_end(home: Path) -> None:
    deliver([delivery(home, b"\r\n\xff\0no end", sender=b"", trace=b"")], names())
    assert list(new(home).values()) == [b"Return-Path: <>\nDelivered-To: joe@box.test\n\r\n\xff\0no end"]


@pytest.mark.parametrize(("host", "shown"), [(b"a/b:c", rb"a\057b\072c"), (b"plain", b"plain")])
def test_names_are_unique_and_safe(host: bytes, shown: bytes) -> None:
    next_name = Names(lambda: 5_000_007, 9, host)
    assert [next_name(), next_name()] == [b"5.M7P9Q1." + shown, b"5.M7P9Q2." + shown]


def test_process_names_hold_this_process() -> None:
    assert b"P%dQ1." % os.getpid() in maildir.process_names()()


def test_large_message_comes_from_its_descriptor(home: Path, tmp_path: Path) -> None:
    source = files.create_spool_file(str(tmp_path))
    content = b"Subject: big\n\n" + b"y" * 500_000
    os.write(source, content)
    assert deliver([delivery(home, b"", source=source, size=len(content))], names()) == [Delivered("did 1+0+0")]
    os.close(source)
    (made,) = new(home).values()
    assert made == b"Return-Path: <from@else.test>\nDelivered-To: joe@box.test\nReceived: somehow\n" + content


def test_missing_maildir_waits_and_is_not_made(tmp_path: Path, home: Path) -> None:
    (tmp_path / "empty").mkdir()
    outcomes = deliver([delivery(tmp_path / "empty"), delivery(tmp_path / "none"), delivery(home)], names())
    assert [outcome.code for outcome in outcomes if isinstance(outcome, Deferred)] == ["2.1", "2.1"]
    assert outcomes[2] == Delivered("did 1+0+0")
    assert list((tmp_path / "empty").iterdir()) == []


def test_maildir_replaced_between_batches_is_noticed(home: Path) -> None:
    next_name = names()
    deliver([delivery(home)], next_name)
    (home / "Maildir").rename(home / "former")
    assert [type(outcome) for outcome in deliver([delivery(home)], next_name)] == [Deferred]
    make_home(home)
    deliver([delivery(home)], next_name)
    assert len(new(home)) == 1


@pytest.mark.parametrize(
    ("error", "code"), [(errno.ENOSPC, "3.1"), (errno.EDQUOT, "2.2"), (errno.EIO, "3.0"), (errno.EROFS, "3.0")]
)
@pytest.mark.parametrize("step", ["writev", "fsync"])
def test_failure_is_one_deliverys(
    home: Path, monkeypatch: pytest.MonkeyPatch, error: int, code: str, step: str
) -> None:
    monkeypatch.setattr(os, step, failing_once(step, error))
    outcomes = deliver([delivery(home), delivery(home)], names())
    monkeypatch.undo()
    assert isinstance(outcomes[0], Deferred)
    assert outcomes[0].code == code
    assert os.strerror(error) in outcomes[0].text
    assert outcomes[1] == Delivered("did 1+0+0")
    assert len(new(home)) == 1


def failing_once(step: str, error: int) -> Callable[..., Any]:
    real, done = getattr(os, step), False

    def call(*arguments: Any) -> Any:
        nonlocal done
        if not done:
            done = True
            raise OSError(error, os.strerror(error))
        return real(*arguments)

    return call


def test_folder_that_cannot_be_synced_defers_and_says_that_there_may_be_two(
    home: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    real = os.fsync

    def broken(descriptor: int) -> None:
        if os.readlink(f"/proc/self/fd/{descriptor}").endswith("/new"):
            raise OSError(errno.EIO, "disk")
        real(descriptor)

    monkeypatch.setattr(os, "fsync", broken)
    outcomes = deliver([delivery(home), delivery(home)], names())
    for outcome in outcomes:
        assert isinstance(outcome, Deferred) and "twice" in outcome.text


def test_name_in_use_waits_and_replaces_nothing(home: Path) -> None:
    (home / "Maildir/new/1700000000.M123456P42Q1.mx.test").write_bytes(b"former")
    outcomes = deliver([delivery(home), delivery(home)], names())
    assert [type(outcome) for outcome in outcomes] == [Deferred, Delivered]
    assert new(home)["1700000000.M123456P42Q1.mx.test"] == b"former"


def test_fault_of_ours_is_returned_for_its_delivery_alone(home: Path) -> None:
    outcomes = deliver([delivery(Path("\0")), delivery(home)], names())
    assert isinstance(outcomes[0], ValueError)
    assert outcomes[1] == Delivered("did 1+0+0")


def test_no_descriptor_is_left_open(home: Path, tmp_path: Path) -> None:
    half = make_home(tmp_path / "half")
    (half / "Maildir/new").rmdir()
    before = os.listdir("/proc/self/fd")
    deliver([delivery(home), delivery(home), delivery(half), delivery(half), delivery(Path("\0"))], names())
    assert os.listdir("/proc/self/fd") == before
