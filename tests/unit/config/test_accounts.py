"""Accounts: row, Maildir, and what is left when something goes wrong in between."""

import os
import stat
from pathlib import Path

import apsw
import pytest
from argon2 import PasswordHasher, extract_parameters

from paperpath.config import accounts as module
from paperpath.config.accounts import Account, AccountError, Accounts, hash_password
from paperpath.system.files import rename_durably

NOW = 1_800_000_000


@pytest.fixture
def accounts(tmp_path: Path) -> Accounts:
    (tmp_path / "accounts").mkdir()
    (tmp_path / "mail").mkdir()
    return Accounts(str(tmp_path / "accounts" / "accounts.sqlite"), str(tmp_path / "mail"))


def stored_hash(tmp_path: Path, local: str) -> str:
    db = apsw.Connection(str(tmp_path / "accounts" / "accounts.sqlite"))
    (value,) = db.execute("select password_hash from account where local_part = ?", (local,)).fetchone() or (None,)
    db.close()
    return str(value)


def test_add_makes_row_and_mailbox(accounts: Accounts, tmp_path: Path) -> None:
    account = accounts.add("You@Example.net", "secret", NOW)
    folder = tmp_path / "mail" / "example.net" / "you"
    assert account == Account("you@example.net", NOW, str(folder))
    assert accounts.all() == [account]
    assert sorted(os.listdir(folder / "Maildir")) == ["cur", "new", "tmp"]
    for path in (folder, folder / "Maildir", *(folder / "Maildir").iterdir()):
        assert stat.S_IMODE(path.stat().st_mode) == 0o700
    assert stat.S_IMODE((tmp_path / "accounts" / "accounts.sqlite").stat().st_mode) == 0o640
    assert PasswordHasher().verify(stored_hash(tmp_path, "you"), "secret")


def test_hashes_have_the_parameters_that_are_named() -> None:
    parameters = extract_parameters(hash_password("x"))
    assert (parameters.memory_cost, parameters.time_cost, parameters.parallelism) == (19456, 2, 1)
    assert parameters.type.name == "ID"
    assert hash_password("x") != hash_password("x")


def test_an_account_is_added_once(accounts: Accounts) -> None:
    accounts.add("you@example.net", "a", NOW)
    with pytest.raises(AccountError, match="exists already"):
        accounts.add("YOU@example.net", "b", NOW)


@pytest.mark.parametrize(
    "address", ["you", "../x@example.net", "a b@example.net", ".x@y.test", "ä@example.net", "\udcff@x"]
)
def test_what_cannot_be_an_account_is_refused_and_leaves_nothing(
    accounts: Accounts, tmp_path: Path, address: str
) -> None:
    with pytest.raises(AccountError):
        accounts.add(address, "x", NOW)
    assert list((tmp_path / "mail").iterdir()) == []


def test_a_mailbox_that_is_there_already_keeps_its_mail(accounts: Accounts, tmp_path: Path) -> None:
    new = tmp_path / "mail" / "example.net" / "you" / "Maildir" / "new"
    new.mkdir(parents=True)
    (new / "1").write_text("mail")
    accounts.add("you@example.net", "x", NOW)
    assert (new / "1").read_text() == "mail"


def test_add_can_be_repeated_after_a_crash_at_any_step(
    accounts: Accounts, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    class PowerCut(Exception):
        pass

    left = steps = 0

    def counted(name: str) -> None:
        original = getattr(module, name)

        def step(*arguments: object, **named: object) -> object:
            nonlocal left
            if left == 0:
                raise PowerCut
            left -= 1
            return original(*arguments, **named)

        monkeypatch.setattr(module, name, step)

    for name in ("make_folders_durably", "rename_durably", "hash_password"):
        counted(name)
    while True:
        address = f"u{steps}@example.net"
        left = steps
        try:
            accounts.add(address, "x", NOW)
        except PowerCut:
            assert address not in {one.address for one in accounts.all()}
            left = 1000
            accounts.add(address, "x", NOW)
        else:
            break
        folder = tmp_path / "mail" / "example.net" / f"u{steps}" / "Maildir"
        assert sorted(os.listdir(folder)) == ["cur", "new", "tmp"]
        steps += 1
    assert steps >= 6


def test_a_maildir_never_shows_without_its_folders(accounts: Accounts, monkeypatch: pytest.MonkeyPatch) -> None:
    seen: list[list[str]] = []
    original = rename_durably

    def rename(old: str, new: str) -> None:
        assert not os.path.exists(new)
        original(old, new)
        seen.append(sorted(os.listdir(new)))

    monkeypatch.setattr(module, "rename_durably", rename)
    accounts.add("you@example.net", "x", NOW)
    assert seen == [["cur", "new", "tmp"]]


def test_set_password(accounts: Accounts, tmp_path: Path) -> None:
    accounts.add("you@example.net", "old", NOW)
    accounts.set_password("You@example.net", "new")
    assert PasswordHasher().verify(stored_hash(tmp_path, "you"), "new")
    with pytest.raises(AccountError, match="there is no account"):
        accounts.set_password("me@example.net", "new")


def test_remove_moves_the_mail_aside_each_time_to_a_place_of_its_own(accounts: Accounts, tmp_path: Path) -> None:
    kept = set()
    for text in ("one", "two"):
        account = accounts.add("you@example.net", "x", NOW)
        Path(account.folder, "Maildir", "new", "1").write_text(text)
        aside = accounts.remove("you@example.net", NOW, delete_mail=False)
        assert aside is not None
        assert Path(aside, "Maildir", "new", "1").read_text() == text
        kept.add(aside)
        assert not os.path.exists(account.folder)
        assert accounts.all() == []
    assert {Path(aside).parent for aside in kept} == {tmp_path / "mail" / ".removed"}
    assert len(kept) == 2


def test_remove_deletes_the_mail_when_told(accounts: Accounts, tmp_path: Path) -> None:
    accounts.add("you@example.net", "x", NOW)
    assert accounts.remove("you@example.net", NOW, delete_mail=True) is None
    assert list((tmp_path / "mail" / ".removed").iterdir()) == []


def test_remove_finishes_what_was_begun_and_refuses_what_never_was(accounts: Accounts, tmp_path: Path) -> None:
    (tmp_path / "mail" / "example.net" / "left" / "Maildir").mkdir(parents=True)
    assert accounts.remove("left@example.net", NOW, delete_mail=False)
    account = accounts.add("row@example.net", "x", NOW)
    os.rename(account.folder, tmp_path / "elsewhere")
    assert accounts.remove("row@example.net", NOW, delete_mail=False) is None
    with pytest.raises(AccountError, match="there is no account"):
        accounts.remove("row@example.net", NOW, delete_mail=False)


def test_no_file_means_no_accounts(accounts: Accounts, tmp_path: Path) -> None:
    assert accounts.all() == []
    assert not (tmp_path / "accounts" / "accounts.sqlite").exists()
