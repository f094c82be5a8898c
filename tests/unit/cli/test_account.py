"""`paperpath account`."""

import json
from pathlib import Path

import apsw
import pytest
from argon2 import PasswordHasher

from tests.unit.cli.conftest import Run


def password_fits(trial: Path, local: str, password: str) -> bool:
    db = apsw.Connection(str(trial / "state" / "accounts" / "accounts.sqlite"))
    (stored,) = db.execute("select password_hash from account where local_part = ?", (local,)).fetchone() or ("",)
    db.close()
    return PasswordHasher().verify(str(stored), password)


def test_add_shows_a_made_up_password_once(run: Run, configured: Path) -> None:
    done = run("account", "add", "me@trial.test", "--json")
    assert done.exit_code == 0, done.output
    shown = json.loads(done.output)
    assert shown["address"] == "me@trial.test"
    assert Path(shown["folder"], "Maildir", "cur").is_dir()
    assert password_fits(configured, "me", shown["password"])


def test_a_given_password_is_not_shown(run: Run, configured: Path) -> None:
    for address, option, text in (("a@trial.test", "S3cret", None), ("b@trial.test", "-", "S3cret\n")):
        done = run("account", "add", address, "--password", option, text=text)
        assert done.exit_code == 0, done.output
        assert "S3cret" not in done.output
        assert password_fits(configured, address[0], "S3cret")


def test_list_is_aligned_and_says_when_it_is_empty(run: Run, configured: Path) -> None:
    run("account", "add", "somebody@trial.test")
    lines = run("account", "list").output.splitlines()
    assert lines[0].split() == ["ADDRESS", "AGE", "FOLDER"]
    assert {line.index("/") for line in lines[1:]} == {lines[0].index("FOLDER")}
    for address in ("somebody@trial.test", "you@trial.test"):
        run("account", "remove", address)
    assert "no accounts" in run("account", "list").output
    assert json.loads(run("account", "list", "--json").output) == []


def test_quota_is_shown_set_and_taken_away(run: Run, configured: Path) -> None:
    maildir = configured / "state/mail/trial.test/you/Maildir"
    (maildir / "new" / "1").write_bytes(b"x" * 300)
    assert run("account", "quota", "you@trial.test").output == "you@trial.test: no quota\n"
    done = run("account", "quota", "you@trial.test", "--size", "2MiB", "--messages", "10")
    assert done.output == "you@trial.test: at most 2.0 MiB, 10 messages; holds 300 B in 1 message\n"
    assert (maildir / "maildirsize").read_text() == "2097152S,10C\n300 1\n"
    shown = json.loads(run("account", "quota", "YOU@trial.test", "--json").output)
    expected = {"size_bytes": 2 << 20, "messages": 10, "used_bytes": 300, "used_messages": 1}
    assert shown["quota"] == expected
    run("account", "quota", "you@trial.test", "--messages", "5")
    assert (maildir / "maildirsize").read_text() == "5C\n300 1\n"
    assert run("account", "quota", "you@trial.test", "--none").output == "you@trial.test: no quota\n"
    assert not (maildir / "maildirsize").exists()


@pytest.mark.parametrize(
    ("words", "told", "code"),
    [
        (("nobody@trial.test", "--size", "1MiB"), "there is no account nobody@trial.test", 100),
        (("you@trial.test", "--size", "many"), "'many' is no size", 64),
        (("you@trial.test", "--size", "0"), "'0' is no size", 64),
        (("you@trial.test", "--size", "1MiB", "--none"), "--none goes with neither", 64),
    ],
)
def test_quota_that_cannot_be(run: Run, configured: Path, words: tuple[str, ...], told: str, code: int) -> None:
    done = run("account", "quota", *words)
    assert done.exit_code == code and told in done.output


def test_remove_says_where_the_mail_is(run: Run, configured: Path) -> None:
    done = run("account", "remove", "you@trial.test")
    assert done.exit_code == 0
    aside = Path(done.output.strip().rpartition(" ")[2])
    assert (aside / "Maildir" / "new").is_dir()
    assert aside.parent == configured / "state" / "mail" / ".removed"


def test_password_is_replaced(run: Run, configured: Path) -> None:
    assert run("account", "password", "you@trial.test", "--password", "neu").exit_code == 0
    assert password_fits(configured, "you", "neu")


def test_what_goes_wrong_says_what_to_do(run: Run, configured: Path) -> None:
    cases = [
        (("add", "me@elsewhere.test"), 100, "add it there first"),
        (("add", "you@trial.test"), 100, "exists already"),
        (("add", ".x@trial.test"), 100, "cannot be an account"),
        (("add", "no at"), 100, "'no at' cannot be an account"),
        (("add", "x@trial.test", "--password", ""), 100, "the password is empty"),
        (("add", "x@trial.test", "--password", "a", "--ask"), 64, "exclude each other"),
        (("add", "x@trial.test", "--ask"), 64, "--ask needs a terminal"),
        (("remove", "nobody@trial.test"), 100, "there is no account"),
        (("password", "nobody@trial.test", "--password", "x"), 100, "there is no account"),
    ]
    for arguments, code, words in cases:
        done = run("account", *arguments)
        assert (done.exit_code, words in done.output) == (code, True), done.output


def test_a_file_that_is_no_database_is_temporary(run: Run, configured: Path) -> None:
    (configured / "state" / "accounts" / "accounts.sqlite").write_bytes(b"not a database at all" * 100)
    done = run("account", "list")
    assert done.exit_code == 111
    assert "cannot be used" in done.output
