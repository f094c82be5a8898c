"""`paperpath init` makes something that works, and nothing twice."""

import json
import os
import re
import stat
from pathlib import Path

import pytest
from argon2 import PasswordHasher

from paperpath.config.layout import layout
from paperpath.config.load import load
from tests.unit.cli.conftest import Run


def test_file_folders_and_accounts_are_there(run: Run, tmp_path: Path) -> None:
    folder = tmp_path / "new" / "t"
    done = run(
        "init", str(folder), "--hostname", "MX.trial.test", "--account", "You@trial.test", "--account", "me@x.test"
    )
    assert done.exit_code == 0, done.output
    config = load(str(folder / "paperpath.toml"))
    assert (config.hostname, config.privileges) == ("mx.trial.test", "caller")
    assert config.mailboxes.domains == ("trial.test", "x.test")
    assert [(one.service, one.address) for one in config.listen] == [("smtp", "127.0.0.1:2525")]
    assert config.paths.state == str(folder / "state")
    for wanted in layout(config, system=False):
        assert stat.S_IMODE(os.stat(wanted.path).st_mode) == wanted.mode
    assert (folder / "state" / "mail" / "trial.test" / "you" / "Maildir" / "new").is_dir()
    assert f"paperpath serve --config {folder}/paperpath.toml" in done.output
    listed = run("account", "list", "--json", "--config", str(folder / "paperpath.toml"))
    assert [one["address"] for one in json.loads(listed.output)] == ["you@trial.test", "me@x.test"]


@pytest.mark.parametrize(("service", "told"), [("smtp", True), ("submission", False)])
def test_sending_is_told_of_where_it_would_work(run: Run, tmp_path: Path, service: str, told: bool) -> None:
    listener = f"{service}=127.0.0.1:2526"
    done = run("init", str(tmp_path / "t"), "--hostname", "a.test", "--account", "you@a.test", "--listen", listener)
    assert ("paperpath send" in done.output) == told


def test_the_password_shown_is_the_one_that_counts(run: Run, tmp_path: Path) -> None:
    import apsw

    done = run("init", str(tmp_path / "t"), "--hostname", "a.test", "--account", "you@trial.test")
    (shown,) = re.findall(r"password (\S+)", done.output)
    db = apsw.Connection(str(tmp_path / "t" / "state" / "accounts" / "accounts.sqlite"))
    (stored,) = db.execute("select password_hash from account").fetchone() or ("",)
    db.close()
    assert PasswordHasher().verify(str(stored), shown)


def test_an_existing_file_is_left_alone(run: Run, trial: Path) -> None:
    before = (trial / "paperpath.toml").read_text()
    done = run("init", str(trial), "--hostname", "other.test")
    assert done.exit_code == 100
    assert "exists already" in done.output
    assert (trial / "paperpath.toml").read_text() == before


@pytest.mark.parametrize(
    "arguments",
    [
        (),
        ("--system", "{dir}"),
        ("{dir}", "--hostname", "a b"),
        ("{dir}", "--account", "you"),
        ("{dir}", "--account", "../x@y.test"),
        ("{dir}", "--listen", "127.0.0.1:25"),
        ("{dir}", "--listen", "nntp=127.0.0.1:25"),
        ("{dir}", "--listen", "smtp=127.0.0.1"),
        ("{dir}", "--listen", "submissions=127.0.0.1:2465"),
        ("{dir}", "--listen", "pop3s=127.0.0.1:2995"),
    ],
)
def test_what_is_not_understood_makes_nothing(run: Run, tmp_path: Path, arguments: tuple[str, ...]) -> None:
    done = run("init", *(one.format(dir=tmp_path / "t") for one in arguments))
    assert done.exit_code == 64, done.output
    assert not (tmp_path / "t").exists()


@pytest.mark.parametrize(
    ("service", "in_clear"), [("smtp", "never"), ("lmtp", "never"), ("submission", "loopback"), ("pop3", "loopback")]
)
def test_ports_for_logins_work_on_this_host_without_a_certificate(
    run: Run, tmp_path: Path, service: str, in_clear: str
) -> None:
    done = run("init", str(tmp_path / "t"), "--hostname", "a.test", "--listen", f"{service}=127.0.0.1:2526")
    assert done.exit_code == 0, done.output
    assert "no password" not in done.output
    assert load(str(tmp_path / "t" / "paperpath.toml")).auth.plain_in_clear == in_clear


def test_a_run_folder_too_long_for_sockets_is_named_with_its_limit(run: Run, tmp_path: Path) -> None:
    folder = tmp_path / ("d" * 100)
    done = run("init", str(folder), "--hostname", "a.test")
    assert done.exit_code == 100
    assert "at most 93 bytes" in done.output
    assert not folder.exists()


def test_system_alone_makes_what_an_installed_host_lacks(
    run: Run, trial: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    made: list[str] = []
    file, gone = trial / "paperpath.toml", trial / "state" / "guard"
    monkeypatch.setattr("paperpath.config.program_values.DEFAULT_FILE", str(file))
    monkeypatch.setattr("paperpath.cli.init._make_users", lambda: made.append("users"))
    before = file.read_text()
    gone.rmdir()
    refused = run("init", "--system", "--hostname", "other.test")
    assert refused.exit_code == 100 and "`paperpath init --system` alone makes what it lacks" in refused.output
    assert not made and not gone.exists()
    done = run("init", "--system")
    assert done.exit_code == 0, done.output
    assert "is left as it is" in done.output
    assert made == ["users"] and gone.is_dir()
    assert file.read_text() == before


def test_system_is_for_root(run: Run, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr("paperpath.config.program_values.DEFAULT_FILE", str(tmp_path / "etc" / "paperpath.toml"))
    monkeypatch.setattr("os.geteuid", lambda: 1000)
    done = run("init", "--system", "--hostname", "a.test")
    assert done.exit_code == 100
    assert "only root can" in done.output
    assert not (tmp_path / "etc").exists()
