"""Who a recipient is: mailboxes, system accounts by qmail-getpw's rules, and when the answer is not known."""

import errno
import os
from types import SimpleNamespace
from typing import Any

import pytest

from paperpath.local.lookup import Accounts, CannotTell, Identity, Recipient
from paperpath.system.users import User
from paperpath.wire.accounts import Account


class Host:
    """A user database and a file system, both imaginary: users by name, owners of folders by path."""

    def __init__(self) -> None:
        self.users: dict[str, User] = {}
        self.folders: dict[str, int] = {}
        self.asked: list[str] = []
        self.database_down = False
        self.failing: dict[str, int] = {}

    def add_user(self, name: str, uid: int, *, maildir: bool = True, owner: int | None = None) -> None:
        home = f"/home/{name}"
        self.users[name] = User(name, uid, uid, home)
        self.folders[home] = uid if owner is None else owner
        if maildir:
            self.folders[home + "/Maildir"] = uid

    def find_user(self, name: str) -> User | None:
        self.asked.append(name)
        if self.database_down:
            raise OSError(errno.EIO, "Input/output error")
        return self.users.get(name)

    def stat(self, path: str) -> Any:
        if path in self.failing:
            raise OSError(self.failing[path], os.strerror(self.failing[path]))
        if path not in self.folders:
            raise FileNotFoundError(errno.ENOENT, "No such file", path)
        return SimpleNamespace(st_uid=self.folders[path], st_mode=0o40700)

    def accounts(self, delivers_as: int | None = 0) -> Accounts:
        return Accounts("/mail", "vmail", frozenset({b"box.test"}), delivers_as, self.find_user, self.stat)

    def finds(self, address: bytes) -> str | None:
        """Return the home that mail for the address goes to."""
        found = self.accounts().find(address)
        return None if found is None else found.account.home


@pytest.fixture
def host() -> Host:
    host = Host()
    host.add_user("joe", 1000)
    host.add_user("joe-bob", 1001)
    for folder in ("/mail/box.test/joe", "/mail/box.test/a+b", "/mail/box.test/half"):
        host.folders[folder] = 900
        host.folders[folder + "/Maildir"] = 900
    del host.folders["/mail/box.test/half/Maildir"]
    return host


def test_mailbox(host: Host) -> None:
    account = Account("vmail", "/mail/box.test/joe", b"", b"")
    assert host.accounts().find(b"JOE@Box.Test") == Recipient("mailboxes", account)
    assert host.asked == []


@pytest.mark.parametrize(
    ("address", "folder"),
    [
        (b"joe+tag@box.test", "/mail/box.test/joe"),
        (b"joe+tag+more@box.test", "/mail/box.test/joe"),
        (b"a+b@box.test", "/mail/box.test/a+b"),
        (b"a+c@box.test", None),
        (b"jim@box.test", None),
        (b"+tag@box.test", None),
        (b"..@box.test", None),
        (b"../box.test/joe@box.test", None),
        (b"joe/Maildir@box.test", None),
        (b"joe\0@box.test", None),
        (b"@box.test", None),
    ],
)
def test_tags_and_names_that_are_none(host: Host, address: bytes, folder: str | None) -> None:
    assert host.finds(address) == folder


def test_mailbox_without_maildir_is_temporary(host: Host) -> None:
    with pytest.raises(CannotTell, match="no Maildir"):
        host.accounts().find(b"half@box.test")


def test_mailbox_domain_never_reaches_system_accounts(host: Host) -> None:
    assert host.finds(b"joe-bob@box.test") is None


def test_system_account(host: Host) -> None:
    assert host.accounts().find(b"Joe@host.test") == Recipient("user:joe", Account("joe", "/home/joe", b"", b""))


def test_longest_name_wins(host: Host) -> None:
    assert host.finds(b"joe-bob@host.test") == "/home/joe-bob"


@pytest.mark.parametrize("address", [b"joe-bob-x@h", b"joe-x@h", b"joe-@h", b"joebob@h", b"joex@h", b"-joe@h", b"@h"])
def test_extension_without_instructions_is_no_recipient(host: Host, address: bytes) -> None:
    assert host.finds(address) is None


def test_longest_account_decides_even_where_a_shorter_one_exists(host: Host) -> None:
    host.accounts().find(b"joe-bob-x@h")
    assert host.asked == ["joe-bob-x", "joe-bob"]


def test_uid_zero_gets_no_mail(host: Host) -> None:
    host.add_user("toor", 0)
    assert host.finds(b"toor@h") is None


def test_home_of_another_is_no_account(host: Host) -> None:
    host.add_user("eve", 1002, owner=0)
    assert host.finds(b"eve@h") is None


def test_missing_home_is_no_account_and_the_search_goes_on(host: Host) -> None:
    host.add_user("joe-gone", 1003)
    del host.folders["/home/joe-gone"]
    assert host.finds(b"joe-gone@h") is None
    assert host.asked == ["joe-gone", "joe"]


def test_relative_home_is_no_account(host: Host) -> None:
    host.users["eve"] = User("eve", 1002, 1002, "home")
    host.folders["home"] = 1002
    assert host.finds(b"eve@h") is None


@pytest.mark.parametrize(
    ("name", "asked"), [("a" * 31, True), ("a" * 32, False), ("a:b", False), ("a/b", False), ("é", False)]
)
def test_only_possible_names_are_asked_for(host: Host, name: str, asked: bool) -> None:
    host.accounts().find(name.encode() + b"@h")
    assert host.asked == ([name] if asked else [])


def test_database_that_is_down_is_temporary(host: Host) -> None:
    host.database_down = True
    with pytest.raises(CannotTell, match="Input/output error"):
        host.accounts().find(b"nobody@h")
    with pytest.raises(CannotTell, match="Input/output error"):
        host.accounts().identity("user:joe")


@pytest.mark.parametrize("path", ["/home/joe", "/home/joe/Maildir", "/mail/box.test/joe", "/mail/box.test/joe/Maildir"])
@pytest.mark.parametrize("error", [errno.EIO, errno.ESTALE, errno.ETIMEDOUT, errno.ELOOP])
def test_file_server_that_is_down_is_temporary(host: Host, path: str, error: int) -> None:
    host.failing[path] = error
    with pytest.raises(CannotTell):
        host.accounts().find(b"joe@box.test" if path.startswith("/mail") else b"joe@h")


def test_home_that_root_may_not_look_into_is_left_to_its_owner(host: Host) -> None:
    host.failing["/home/joe/Maildir"] = errno.EACCES
    assert host.finds(b"joe@h") == "/home/joe"


def test_user_without_maildir_is_temporary(host: Host) -> None:
    host.add_user("ann", 1004, maildir=False)
    with pytest.raises(CannotTell, match="no Maildir"):
        host.accounts().find(b"ann@h")


def test_without_root_only_the_own_account_and_the_mailboxes(host: Host) -> None:
    accounts = host.accounts(delivers_as=1000)
    assert accounts.find(b"joe@h") is not None
    assert accounts.find(b"joe@box.test") is not None
    with pytest.raises(CannotTell, match="joe-bob needs root"):
        accounts.find(b"joe-bob@h")
    with pytest.raises(CannotTell, match="joe-bob needs root"):
        accounts.identity("user:joe-bob")


def test_root_that_changes_no_users_delivers_to_no_home(host: Host) -> None:
    with pytest.raises(CannotTell, match="needs root, and separate users"):
        host.accounts(delivers_as=None).find(b"joe@h")
    assert host.accounts(delivers_as=None).identity("mailboxes") == Identity("vmail", "/mail", become=False)


@pytest.mark.parametrize(("delivers_as", "become"), [(0, True), (1000, False)])
def test_identity_of_workers(host: Host, delivers_as: int, become: bool) -> None:
    accounts = host.accounts(delivers_as)
    assert accounts.identity("mailboxes") == Identity("vmail", "/mail", become)
    assert accounts.identity("user:joe") == Identity("joe", "/home/joe", become)


@pytest.mark.parametrize(
    "worker", ["", "joe", "user:", "user:root", "user:no", "user:JOE", "mailboxes ", "user:\udc80"]
)
def test_no_identity_for_other_names(host: Host, worker: str) -> None:
    host.add_user("root", 0)
    with pytest.raises(CannotTell, match="no worker has this name"):
        host.accounts().identity(worker)
