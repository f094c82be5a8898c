"""Carrying out plans: what each end of a program means, what holds forwards back, large messages and hostile files."""

import errno
import fcntl
import os
import signal
import threading
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest

from paperpath.base.limits import ADDRESS_MOST_BYTES, RECIPIENTS_MOST
from paperpath.base.outcome import Deferred, Delivered, Failed, Outcome
from paperpath.delivery import carry_out as carry_out_module
from paperpath.delivery import checks, choice
from paperpath.delivery.carry_out import Tools, carry_out, judge
from paperpath.delivery.deliver import Later, deliver_all
from paperpath.delivery.errand import Done, Errand, Message, Refused
from paperpath.delivery.forwarding import NOTHING_BESIDES
from paperpath.delivery.maildir import process_names
from paperpath.delivery.plan import Plan, plan_account, plan_mailbox
from paperpath.delivery.watched import Watched
from paperpath.system.files import create_spool_file
from paperpath.system.programs import Ended
from paperpath.wire.accounts import Account
from paperpath.wire.delivery import Forward
from tests.unit.delivery.test_maildir import make_home, message

NOW = 1_700_000_000


@pytest.fixture
def home(tmp_path: Path) -> Path:
    return make_home(tmp_path / "joe")


def tools(run_program: carry_out_module.RunProgram | None = None) -> Tools:
    run = run_program or Watched(60.0, threading.Event())
    return Tools(process_names(), run, lambda: NOW, {b"PATH": os.environb[b"PATH"]})


def errand(home: Path, letter: Message | None = None) -> Errand:
    return Errand(Account("joe", str(home), b"", b""), letter or message())


def make_plan(account: Account) -> Plan:
    return plan_account(account, b"./Maildir/", NOTHING_BESIDES)


def deliver(home: Path, dotqmail: bytes, letter: Message | None = None) -> Done:
    (home / ".qmail").write_bytes(dotqmail)
    (home / ".qmail").chmod(0o644)
    (result,) = deliver_all([errand(home, letter)], make_plan, tools())
    if not isinstance(result, Done | Exception):
        result = result()
    assert isinstance(result, Done), result
    return result


def delivered(home: Path) -> list[bytes]:
    return [file.read_bytes() for file in (home / "Maildir/new").iterdir()]


@pytest.mark.parametrize("code", [100, 64, 65, 70, 76, 77, 78, 112])
def test_codes_that_mean_never(code: int) -> None:
    assert judge(Ended(code, b"why")) == Failed("")


@pytest.mark.parametrize("code", [1, 2, 63, 66, 71, 74, 75, 98, 101, 111, 113, 126, 127, 255])
def test_codes_that_mean_later(code: int) -> None:
    assert judge(Ended(code, b"why")) == Deferred("")


@pytest.mark.parametrize("code", [0, 99])
def test_codes_that_mean_done(code: int) -> None:
    assert judge(Ended(code, b"")) is None


@pytest.mark.parametrize("number", [signal.SIGKILL, signal.SIGSEGV, signal.SIGPIPE])
def test_signal_means_later(number: int) -> None:
    assert isinstance(judge(Ended(-number, b"why")), Deferred)


@pytest.mark.parametrize("status", [0, 100, -15])
def test_program_that_was_ended_is_tried_again_whatever_it_said(status: int) -> None:
    assert isinstance(judge(Ended(status, b"why", in_time=False)), Deferred)


def test_silent_program_is_spoken_for(home: Path) -> None:
    assert deliver(home, b"|exit 100").outcome == Failed("The program ended with exit code 100.")
    assert deliver(home, b"|exit 3").outcome == Deferred("The program ended with exit code 3.")


def test_report_holds_what_programs_said_in_order(home: Path) -> None:
    assert deliver(home, b"|echo one\n|printf two\n&a@x").outcome == Delivered("one\ntwo\ndid 0+1+2")
    assert deliver(home, b"|echo one\n./nowhere/\n").outcome == Deferred("one\nUnable to chdir to maildir.", code="2.1")


def test_report_shows_no_controls_and_ends_at_a_nul(home: Path) -> None:
    outcome = deliver(home, b"|printf 'a\\033[2J\\tb\\377\\nc\\0d'; exit 100").outcome
    assert outcome == Failed("a\\x1b[2J b\\xff\nc")


def test_forwards_have_the_delivered_to_line_and_the_trace(home: Path) -> None:
    done = deliver(home, b"./Maildir/\na@x\n&b@y\n")
    assert done.outcome == Delivered("did 1+2+0")
    trace = b"Delivered-To: joe@box.test\nReceived: somehow\n"
    assert done.forwards == (Forward(b"from@else.test", (b"a@x", b"b@y"), trace),)
    assert len(delivered(home)) == 1


def test_forward_to_nobody_is_thrown_away(home: Path) -> None:
    assert deliver(home, b"&\n&a@x\n&").forwards[0].recipients == (b"a@x",)
    assert deliver(home, b"&") == Done(Delivered("did 0+1+0"))


@pytest.mark.parametrize("end", [b"", b"\n|true"])
def test_address_that_the_queue_would_not_take(home: Path, end: bytes) -> None:
    longest = b"a" * (ADDRESS_MOST_BYTES - 2) + b"@x"
    assert deliver(home, b"&" + longest + end).forwards[0].recipients == (longest,)
    outcome = deliver(home, b"./Maildir/\n&b" + longest + end).outcome
    assert isinstance(outcome, Failed) and outcome.code == "1.3"


def test_more_addresses_than_a_message_may_have(home: Path) -> None:
    assert len(deliver(home, b"a\n" * RECIPIENTS_MOST).forwards[0].recipients) == RECIPIENTS_MOST
    assert isinstance(deliver(home, b"a\n" * (RECIPIENTS_MOST + 1)).outcome, Deferred)


def test_forwards_are_bounded_in_bytes(home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(carry_out_module, "ENVELOPE_MOST_BYTES", 100)
    assert isinstance(deliver(home, b"a@b.test\n" * 12).outcome, Delivered)
    assert isinstance(deliver(home, b"a@b.test\n" * 13).outcome, Deferred)


def test_huge_file_is_not_read(home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(choice, "DOTQMAIL_MOST_BYTES", 100)
    assert isinstance(deliver(home, b"#" * 100).outcome, Delivered)
    outcome = deliver(home, b"#" * 101).outcome
    assert isinstance(outcome, Deferred) and "too large" in outcome.text


@pytest.mark.parametrize("size", [100, 3_000_000])
def test_large_message_reaches_all(home: Path, tmp_path: Path, size: int) -> None:
    source = create_spool_file(str(tmp_path))
    line = b">From " + b"y" * 60 + b"\n"
    content = b"Subject: big\n\n" + line * (size // len(line)) + b"From x" * 50
    os.write(source, content)
    letter = Message(b"joe@h.ex", b"s@x", b"Received: y\n", b"", source, len(content))
    done = deliver(home, b"./Mailbox\n./Maildir/\n|cat > out\n", letter)
    os.close(source)
    assert done.outcome == Delivered("did 2+0+1")
    whole = b"Received: y\n" + content
    assert (home / "out").read_bytes() == whole
    (made,) = delivered(home)
    assert made.endswith(b"Delivered-To: joe@h.ex\n" + whole)
    quoted = whole.replace(b"\n>From", b"\n>>From").replace(b"\nFrom", b"\n>From") + b"\n\n"
    assert (home / "Mailbox").read_bytes().partition(b"Delivered-To: joe@h.ex\n")[2] == quoted


def test_mbox_that_cannot_be_written_waits(home: Path) -> None:
    (home / "folder").mkdir()
    assert isinstance(deliver(home, b"./folder\n&a@x").outcome, Deferred)
    assert isinstance(deliver(home, b"./nowhere/x\n&a@x").outcome, Deferred)


def test_mbox_that_others_hold_waits(home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(carry_out_module, "LOCK_WITHIN_S", 0.1)
    with (home / "Mailbox").open("wb") as other:
        fcntl.flock(other, fcntl.LOCK_EX)
        outcome = deliver(home, b"./Mailbox\n").outcome
    assert isinstance(outcome, Deferred) and "lock" in outcome.text


def test_program_that_cannot_be_started_waits(home: Path) -> None:
    def broken(*_: object) -> Ended:
        raise PermissionError(13, "Permission denied")

    (home / ".qmail").write_bytes(b"|true")
    outcome = carry_out(make_plan(errand(home).account), message(), tools(broken)).outcome
    assert outcome == Deferred("Unable to run /bin/sh: access denied.", code="3.0")


def test_programs_see_a_new_message_each(home: Path) -> None:
    seen: list[tuple[bytes, bytes, bytes]] = []

    def run(command: bytes, folder: str, environment: Mapping[bytes, bytes], letter: Message) -> Ended:
        assert folder == str(home)
        seen.append((command, environment[b"PATH"], environment[b"UFLINE"]))
        return Ended(0, b"")

    (home / ".qmail").write_bytes(b"|one\n|two")
    assert carry_out(make_plan(errand(home).account), message(), tools(run)).outcome == Delivered("did 0+0+2")
    line = b"From from@else.test Tue Nov 14 22:13:20 2023\n"
    assert seen == [(b"one", os.environb[b"PATH"], line), (b"two", os.environb[b"PATH"], line)]


def test_quick_ones_share_a_batch_and_the_others_are_left_for_later(home: Path, tmp_path: Path) -> None:
    homes = [make_home(tmp_path / name) for name in ("a", "b", "c", "d", "e")]
    for place, dotqmail in ((1, b"|true"), (2, b"./Maildir/\n&x@y"), (3, b"&x@y"), (4, b"./x/\n./y/")):
        (homes[place] / ".qmail").write_bytes(dotqmail)
    results = deliver_all([errand(one) for one in homes], make_plan, tools())
    kinds = [type(result) if isinstance(result, Done) else Later for result in results]
    assert kinds == [Done, Later, Done, Done, Later]
    assert [len(delivered(one)) for one in homes] == [1, 0, 1, 0, 0]


def test_ones_fault_is_no_others(home: Path, tmp_path: Path) -> None:
    errands = [errand(Path("\0")), errand(tmp_path / "nowhere"), errand(home)]
    broken, missing, done = deliver_all(errands, make_plan, tools())
    assert isinstance(broken, ValueError)
    assert isinstance(missing, Done) and isinstance(missing.outcome, Deferred)
    assert done == Done(Delivered("did 1+0+0"))


def test_mailboxes_of_ours_obey_no_instructions(home: Path) -> None:
    (home / ".qmail").write_bytes(b"|touch evil\n")
    assert deliver_all([errand(home)], plan_mailbox, tools()) == [Done(Delivered("did 1+0+0"))]
    assert len(delivered(home)) == 1


def failing_stat(monkeypatch: pytest.MonkeyPatch, name: str) -> None:
    real = os.stat

    def stat(path: Any) -> os.stat_result:
        if isinstance(path, bytes) and path.endswith(name.encode()):
            raise OSError(5, "Input/output error")
        return real(path)

    monkeypatch.setattr(os, "stat", stat)


@pytest.mark.parametrize("dotqmail", [b"&a@x", b"&a@x\n|true"])
def test_owner_that_cannot_be_told_is_temporary(home: Path, dotqmail: bytes, monkeypatch: pytest.MonkeyPatch) -> None:
    failing_stat(monkeypatch, ".qmail-owner")
    outcome: Outcome = deliver(home, dotqmail).outcome
    assert isinstance(outcome, Deferred)


@pytest.mark.parametrize(
    ("error", "temporary"),
    [
        (errno.EACCES, True),
        (errno.EPERM, True),
        (errno.EIO, True),
        (errno.ENFILE, True),
        (errno.ESTALE, True),
        (errno.ENOENT, False),
        (errno.ENOTDIR, False),
        (errno.ENAMETOOLONG, False),
    ],
)
def test_error_on_opening_a_file(home: Path, monkeypatch: pytest.MonkeyPatch, error: int, temporary: bool) -> None:
    def broken(path: bytes) -> int | None:
        raise OSError(error, "no")

    monkeypatch.setattr(checks, "open_if_regular", broken)
    if temporary:
        with pytest.raises(Refused):
            choice.choose(str(home), b"", b"")
    else:
        assert choice.choose(str(home), b"", b"") is None


@pytest.mark.parametrize(
    ("instructions", "whole"), [(b"&a@x\n&b@y", True), (b"./Maildir/\n&a@x", False), (b"|true\n&a@x", False)]
)
def test_forward_that_is_all_that_happens_is_known_as_such(home: Path, instructions: bytes, whole: bool) -> None:
    """RFC 3461 5.2.7.2: what an alias stands for is told from a copy for somebody else."""
    (forward,) = deliver(home, instructions).forwards
    assert forward.whole is whole
