"""qmail-lspawn as root and as a user, several deliveries at once, and what is made of reports."""

import os
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from paperpath.inject import qmail_lspawn, qmail_rspawn, spawning
from paperpath.inject.tcpto import Table, change, describe
from paperpath.protocol.qmail_remote import merge
from paperpath.protocol.spawning import Commands

SOURCE = Path(__file__).resolve().parents[3] / "src"
NOBODY = 65534


@pytest.fixture
def home() -> Iterator[Path]:
    """A qmail home that every user may look into."""
    folder = Path(tempfile.mkdtemp())
    folder.chmod(0o755)
    for name in ("queue/mess/5", "users", "bin"):
        (folder / name).mkdir(parents=True)
    (folder / "queue/mess/5/28").write_text("the message\n")
    (folder / "bin/qmail-local").write_text('#!/bin/sh\nid -u\necho "$@"\ncat\nexit ${LOCAL_EXIT:-0}\n')
    (folder / "bin/qmail-local").chmod(0o755)
    yield folder
    shutil.rmtree(folder)


def spawn(home: Path, given: bytes, program: str = "qmail_lspawn", **environment: str) -> bytes:
    code = (
        f"import sys; sys.path.insert(0, {str(SOURCE)!r}); sys.argv[0] = '/nowhere/program'\n"
        f"from paperpath.inject.run import run; from paperpath.inject.{program} import main; run(main, 111)"
    )
    done = subprocess.run(
        [sys.executable, "-I", "-S", "-c", code, "./Mailbox"],
        input=given,
        env={"PAPERPATH_QMAIL_HOME": str(home), "PATH": os.defpath, **environment},
        capture_output=True,
    )
    assert (done.stderr, done.returncode, done.stdout[:1]) == (b"", 0, b"x")
    return done.stdout[1:]


def assign(home: Path, uid: int) -> None:
    (home / "users/assign").write_text(f"+jo:joe:{uid}:{uid}:/home/joe:-:pre:\n.\n")
    code = f"import sys; sys.path.insert(0, {str(SOURCE)!r}); from paperpath.inject.qmail_newu import main; main([''])"
    subprocess.run([sys.executable, "-I", "-c", code], env={"PAPERPATH_QMAIL_HOME": str(home)}, check=True)


def test_the_right_user_gets_what_is_assigned(home: Path) -> None:
    uid = os.geteuid() or NOBODY
    assign(home, uid)
    report = spawn(home, b"\x035/28\0s@x.ex\0JOe@b@h.ex\0")
    words = "-- joe /home/joe JOe@b - preE@b h.ex s@x.ex ./Mailbox".replace("preE@b", "pree@b")
    assert report == f"\x03K{uid}\n{words}\nthe message\n\0".encode()


@pytest.mark.skipif(os.geteuid() != 0, reason="only root would run something as root")
def test_root_gets_nothing(home: Path) -> None:
    assign(home, 0)
    assert spawn(home, b"\x035/28\0\0joe@h.ex\0") == b"\x03ZNot allowed to perform deliveries as root.\n\0"


@pytest.mark.parametrize(("code", "letter"), [(0, b"K"), (111, b"Z"), (75, b"Z"), (100, b"D"), (1, b"D")])
def test_exit_codes(home: Path, code: int, letter: bytes) -> None:
    assign(home, os.geteuid() or NOBODY)
    assert spawn(home, b"\x035/28\0\0joe@h.ex\0", LOCAL_EXIT=str(code))[1:2] == letter


def test_deliveries_run_at_once_and_a_slot_is_used_once(home: Path) -> None:
    """The first waits for the second; only then does the output of either end."""
    remote = home / "bin/remote"
    fifo = home / "fifo"
    os.mkfifo(fifo)
    remote.write_text(f'#!/bin/sh\ncase $3 in a@*) read x <{fifo};; b@*) echo x >{fifo};; esac\nprintf "r\\0K$3\\0"\n')
    remote.chmod(0o755)
    given = b"\x015/28\0\0a@h.ex\0\x015/28\0\0c@h.ex\0\x025/28\0\0b@h.ex\0"
    report = spawn(home, given, "qmail_rspawn", QMAILREMOTE=str(remote))
    assert report.startswith(b"\x01ZInternal error: delnum in use. (#4.3.5)\n\0")
    assert sorted(report.split(b"\0")[1:]) == [b"", b"\x01Ka@h.ex", b"\x02Kb@h.ex"]


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can give a file away")
def test_a_message_that_is_another_s_is_not_delivered(home: Path) -> None:
    assign(home, NOBODY)
    os.chown(home / "queue/mess/5/28", NOBODY, NOBODY)
    assert spawn(home, b"\x035/28\0\0joe@h.ex\0") == b"\x03ZSorry, message has wrong owner. (#4.3.5)\n\0"


def test_without_root_it_delivers_for_its_own_user_only(home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    assign(home, 777)
    monkeypatch.setenv("PAPERPATH_QMAIL_HOME", str(home))
    monkeypatch.chdir(home)
    monkeypatch.setattr(os, "geteuid", lambda: 778)
    monkeypatch.setattr(spawning, "become", lambda words: pytest.fail("it would run as somebody else"))
    (command,) = Commands().feed(b"\x035/28\0\0joe@h.ex\0")
    assert qmail_lspawn.report(qmail_lspawn._deliver(command, b"", ""), b"") == b"ZInternal qmail-lspawn bug.\n"


def test_long_reports_of_qmail_local_are_cut() -> None:
    report = qmail_lspawn.report(0, b"x" * 3001)
    assert report == b"K" + b"x" * (3000 - 31 - 3) + b"\nError report too long, sorry.\n"
    assert qmail_lspawn.report(0, b"x" * 3000) == b"K" + b"x" * 3000
    assert qmail_lspawn.report(100, b"no\0more") == b"Dno"
    assert qmail_lspawn.report(-9, b"no") == b"Zqmail-local crashed.\n"
    assert qmail_lspawn.report(115, b"x") == b"ZNFS failure in qmail-local.\n"


@pytest.mark.parametrize(
    ("output", "report"),
    [
        (b"Kall\0", b"Kall"),
        (b"r\0Kall\0", b"Kall"),
        (b"r\0Zlater\0", b"Zlater"),
        (b"r\0Dnever\0", b"Dnever"),
        (b"snot now\n\0Kall\n\0", b"Znot now\n"),
        (b"snot now\n\0Dgiving up\n\0", b"Znot now\ngiving up\n"),
        (b"snot now\n\0Zlater\n\0", b"Znot now\nlater\n"),
        (b"hno\n\0Kall\n\0", b"Dno\n"),
        (b"hno\n\0Zlater\n\0", b"Dno\n"),
        (b"hno\n\0Dgiving up\n\0", b"Dno\ngiving up\n"),
        (b"r\0", b"D"),
        (b"nonsense", b"D"),
    ],
)
def test_reports_of_qmail_remote(output: bytes, report: bytes) -> None:
    assert merge(output) == report
    assert qmail_rspawn.report(0, output) == report


def test_status_of_qmail_remote() -> None:
    assert qmail_rspawn.report(111, b"Kx\0") == b"ZUnable to run qmail-remote.\n"
    assert qmail_rspawn.report(100, b"Kx\0") == b"DUnable to run qmail-remote.\n"


def test_commands_that_are_too_long_are_cut_and_refused() -> None:
    commands = Commands()
    assert commands.feed(b"\x051/1\0" + b"s" * 70_000) == []
    (command,) = commands.feed(b"s" * 70_000 + b"\0r@x\0")
    assert (command.slot, command.fault) == (5, b"Zqmail-spawn out of memory. (#4.3.0)\n")
    (command,) = [found for at in range(12) for found in commands.feed(b"\x061/1\0s\0r@x\0"[at : at + 1])]
    assert (command.message, command.sender, command.recipient, command.fault) == (b"1/1", b"s", b"r@x", b"")


def record(address: int, count: int, when: int) -> bytes:
    return bytes([192, 0, 2, address, count, 0, 0, 0]) + when.to_bytes(4, "little") + bytes(4)


def test_the_table_of_hosts_that_did_not_answer() -> None:
    one, two = record(1, 1, 1000), record(2, 9, 1000)
    assert change(one + two, one[:4], 1119, True) is None, "too soon after the last to count"
    assert change(one + two, one[:4], 1120, True) == (0, record(1, 2, 1120))
    assert change(one + record(2, 10, 0), two[:4], 1120, True) == (16, record(2, 10, 1120)), "ten at most"
    assert change(one + two, one[:4], 1001, False) == (0, record(1, 0, 1000))
    assert change(one + record(9, 0, 5) + two, record(3, 0, 0)[:4], 1001, True) == (16, record(3, 1, 1001))
    assert change(one + two, record(3, 0, 0)[:4], 1001, True) == (0, record(3, 1, 1001)), "the least in time and count"
    assert change(one + two, record(3, 0, 0)[:4], 1001, False) is None
    assert describe(two + record(3, 0, 1), 1010) == (b"192.0.2.2 timed out 10 seconds ago; # recent timeouts: 9\n")


def test_case_77_a_host_that_timed_out_twice_is_left_alone_for_an_hour_or_so(tmp_path: Path) -> None:
    (tmp_path / "queue/lock").mkdir(parents=True)
    (tmp_path / "queue/lock/tcpto").write_bytes(record(1, 1, 1000) + record(2, 2, 1000) + bytes(32))
    table, once, twice = Table(str(tmp_path)), record(1, 0, 0)[:4], record(2, 0, 0)[:4]
    assert not table.is_avoided(once, 1001, 0)
    for pid, seconds in ((0, 60 * 64), (31, 91 * 64)):
        assert table.is_avoided(twice, 1000 + seconds - 1, pid)
        assert not table.is_avoided(twice, 1000 + seconds, pid)
    table.note(twice, 9000, timed_out=False)
    assert not table.is_avoided(twice, 1001, 0), "it answered"
    for now in (9000, 9120):
        assert not table.is_avoided(record(3, 0, 0)[:4], now, 0)
        table.note(record(3, 0, 0)[:4], now, timed_out=True)
    assert table.is_avoided(record(3, 0, 0)[:4], 9121, 0)


def test_without_a_table_nothing_is_known(tmp_path: Path) -> None:
    table = Table(str(tmp_path))
    assert not table.is_avoided(bytes(4), 1, 0)
    table.note(bytes(4), 1, timed_out=True)
    assert not (tmp_path / "queue").exists()
