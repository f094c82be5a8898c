"""Ports for logins that take no password: every command that is asked says so, and what to do."""

import json
from pathlib import Path

import pytest

from paperpath.cli import init
from paperpath.cli.open_logins import without_passwords
from paperpath.config.load import load
from tests.certificates import Authority
from tests.unit.cli.conftest import Run

CLOSED = "no password is taken at submission 127.0.0.2:0, pop3 127.0.0.3:0: there is no certificate"
ADVICE = 'plain_in_clear = "loopback"'


@pytest.fixture
def file(configured: Path) -> Path:
    """Return a configuration with two ports for logins and no certificate."""
    found = configured / "paperpath.toml"
    for number, service in ((2, "submission"), (3, "pop3")):
        with found.open("a") as text:
            text.write(f'\n[[listen]]\nservice = "{service}"\naddress = "127.0.0.{number}:0"\n')
    return found


def test_check_config_warns(run: Run, file: Path) -> None:
    done = run("check-config")
    assert done.exit_code == 0
    assert CLOSED in done.stderr and ADVICE in done.stderr
    (warning,) = json.loads(run("check-config", "--json").stdout)["warnings"]
    assert warning.startswith(CLOSED)


def test_tls_and_doctor_tell(run: Run, file: Path) -> None:
    assert CLOSED in run("tls").output
    found = json.loads(run("doctor", "--no-dns", "--json").stdout)
    (one,) = [finding for finding in found if finding["what"] == "logins"]
    assert one["verdict"] == "notice"
    assert one["found"].startswith(CLOSED) and ADVICE in one["advice"]


def test_init_for_the_whole_host_tells(capsys: pytest.CaptureFixture[str], file: Path) -> None:
    init._say_what_next(init.Plan(str(file), "", (), system=True), load(str(file)))
    assert CLOSED in capsys.readouterr().err


def test_nothing_is_told_where_passwords_are_taken_or_not_meant_to_be(file: Path) -> None:
    text = file.read_text()
    for added in (f"[auth]\n{ADVICE}", '[auth]\nmechanisms = ["SCRAM-SHA-256"]'):
        file.write_text(f"{text}\n{added}\n")
        assert without_passwords(load(str(file))) == ""
    certificate, key = Authority().issue("mx.trial.test").write(file.parent, "mx")
    file.write_text(f'{text}\n[tls]\ncertificate = "{certificate}"\nkey = "{key}"\n')
    assert without_passwords(load(str(file))) == ""


def test_nothing_is_told_without_ports_for_logins(run: Run, configured: Path) -> None:
    assert run("check-config").stderr == ""
