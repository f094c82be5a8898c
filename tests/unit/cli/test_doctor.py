"""`paperpath doctor` finds what is wrong, says what to do, and exits accordingly."""

import json
import os
import socket
import subprocess
from pathlib import Path
from typing import Any

import pytest

from paperpath.base.cdb import build
from paperpath.cli.checks import check_clock, check_space
from paperpath.cli.findings import Finding
from paperpath.process.troubles import Troubles, read_troubles
from paperpath.wire.control import Numbers
from tests.unit.cli.conftest import Run
from tests.unit.cli.control_server import ControlServer
from tests.unit.cli.test_send import SmtpServer

NUMBERS = Numbers(3, 7, 1, 2, 1, 4, 0, 0)


def findings(run: Run, code: int) -> dict[str, dict[str, Any]]:
    done = run("doctor", "--no-dns", "--json")
    assert done.exit_code == code, done.output
    return {one["what"]: one for one in json.loads(done.output)}


@pytest.fixture
def served(configured: Path) -> Path:
    file = configured / "paperpath.toml"
    file.write_text(
        file.read_text().replace('service = "smtp"\naddress = "127.0.0.1:0"\n', "").replace("[[listen]]\n", "")
    )
    return configured


def test_all_is_well(run: Run, configured: Path) -> None:
    file = configured / "paperpath.toml"
    with SmtpServer() as smtp, ControlServer(str(configured / "run" / "queue.control"), lambda _: NUMBERS):
        file.write_text(file.read_text().replace("127.0.0.1:0", smtp.address))
        done = run("doctor", "--no-dns")
    assert done.exit_code == 0, done.output
    assert f"smtp {smtp.address}: greets" in done.output
    assert "queue: 3 messages, 7 recipients" in done.output


def test_a_server_that_is_down_is_temporary(run: Run, served: Path) -> None:
    found = findings(run, 111)
    assert found["queue"]["verdict"] == "down"
    assert "paperpath serve" in found["queue"]["advice"]
    assert found["listen"]["verdict"] == "notice"


@pytest.mark.parametrize("left_behind", [False, True])
def test_a_process_that_keeps_ending_is_told_and_not_waited_for(run: Run, served: Path, left_behind: bool) -> None:
    socket_path, troubles = served / "run" / "queue.control", Troubles(str(served / "run"))
    with socket.socket(socket.AF_UNIX) as nobody:
        nobody.bind(str(socket_path))
        nobody.listen()
        troubles.note("queue", "exit 111: the store is of another release")
        troubles.note("remote", "SIGKILL")
        if left_behind:
            file = served / "run" / "troubles"
            file.write_bytes(file.read_bytes().replace(str(os.getpid()).encode(), b"%d" % ended()))
            nobody.close()
        found = findings(run, 111)
    if left_behind:
        assert "process queue" not in found and "nobody listens" in found["queue"]["found"]
        return
    assert found["process queue"]["found"] == "keeps ending: exit 111: the store is of another release"
    assert (found["process remote"]["verdict"], "queue" in found) == ("down", False)
    said = run("queue", "list")
    assert said.exit_code == 111
    assert "the queue does not run, it keeps ending: exit 111: the store is of another release" in said.output
    troubles.note("queue", "")
    troubles.note("remote", "")
    assert not (served / "run" / "troubles").exists()


def ended() -> int:
    """Return the id of a process that was."""
    with subprocess.Popen(["true"]) as process:
        process.wait()
    return process.pid


@pytest.mark.parametrize("content", [b"", b"x", b"[]", b'{"supervisor": 0}', b'{"supervisor": 1e99, "processes": {}}'])
def test_a_file_of_troubles_that_is_none_is_nothing(tmp_path: Path, content: bytes) -> None:
    (tmp_path / "troubles").write_bytes(content)
    assert read_troubles(str(tmp_path)) == {}


def test_folders(run: Run, served: Path) -> None:
    os.chmod(served / "state" / "mail", 0o755)
    os.rmdir(served / "state" / "queue")
    done = run("doctor", "--no-dns")
    assert done.exit_code == 100
    assert "state/mail: is open to others: mode 0755, should be 0700" in done.output
    assert "state/queue: there is no such folder\n      → the service makes it when it starts" in done.output


def test_accounts_without_a_mailbox(run: Run, served: Path) -> None:
    os.rename(served / "state" / "mail" / "trial.test" / "you", served / "aside")
    assert "you@trial.test has no" in findings(run, 100)["account"]["found"]


def test_names_that_are_seldom_meant(run: Run, served: Path) -> None:
    file = served / "paperpath.toml"
    file.write_text(file.read_text().replace("mx.trial.test", "mx") + '[virtual]\n"joe@trial.test" = "x"\n')
    found = findings(run, 111)
    assert found["hostname"]["verdict"] == "notice"
    assert found["virtual"]["found"] == '"joe@trial.test" never applies'


def test_a_broken_configuration_is_all_there_is_to_say(run: Run, served: Path) -> None:
    (served / "paperpath.toml").write_text("x")
    assert list(findings(run, 100)) == ["configuration"]


def test_a_socket_that_does_not_greet(run: Run, configured: Path) -> None:
    file = configured / "paperpath.toml"
    with SmtpServer(greeting="400 no") as smtp:
        file.write_text(file.read_text().replace("127.0.0.1:0", smtp.address))
        assert findings(run, 111)[f"smtp {smtp.address}"]["found"] == "does not greet"


def test_the_clock(tmp_path: Path) -> None:
    file = tmp_path / "f"
    file.touch()
    changed = file.stat().st_mtime
    assert check_clock(str(file), changed + 5).verdict == "good"
    assert check_clock(str(file), changed - 3600).verdict == "notice"
    assert check_clock(str(file), 1_000_000_000).verdict == "bad"


def test_room(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    class Usage:
        free = 0

    def verdicts(free: int) -> list[str]:
        Usage.free = free
        return [one.verdict for one in check_space(str(tmp_path)) if "free at" in one.found]

    monkeypatch.setattr("shutil.disk_usage", lambda _: Usage)
    assert [verdicts(free) for free in (1 << 20, 1 << 29, 1 << 34)] == [["bad"], ["notice"], ["good"]]
    monkeypatch.undo()
    assert [one.verdict for one in check_space(str(tmp_path / "none"))] == ["bad"]


def test_dns_is_a_notice_only(run: Run, served: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as silent:
        silent.bind(("127.0.0.1", 0))
        port = silent.getsockname()[1]
    file = served / "paperpath.toml"
    file.write_text(file.read_text() + f'[remote]\nresolver = "127.0.0.1:{port}"\n')
    monkeypatch.setattr("paperpath.cli.exchangers._WITHIN_S", 0.2)
    found = {one["what"]: one for one in json.loads(run("doctor", "--json").output)}
    assert found["dns"]["verdict"] == "notice"
    assert Finding(**found["dns"]).advice


def test_aliases(run: Run, served: Path) -> None:
    file = served / "paperpath.toml"
    aliases, table = served / "aliases", served / "aliases.cdb"
    file.write_text(file.read_text().replace("[local]\n", '[local]\naliases = "aliases"\n'))

    def told() -> list[str]:
        done = run("doctor", "--no-dns", "--json")
        # Whether this host has a user alias is its own affair.
        return [
            f"{one['verdict']}: {one['found']}"
            for one in json.loads(done.output)
            if one["what"] == "aliases" and "system user" not in one["found"]
        ]

    assert told() == [f"bad: there is no {table}: mail for aliases waits"]
    table.write_bytes(build([(b":staff@", b"&a@x.ex\0")]))
    assert told() == [f"good: {table}"]
    aliases.write_text("staff: a@x.ex\n")
    os.utime(table, (1, 1))
    assert told() == [f"notice: {aliases} was changed after {table}"]
    table.write_bytes(b"no table")
    assert told()[0].startswith(f"bad: {table}: ")
