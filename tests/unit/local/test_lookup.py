"""Who a recipient is: mailboxes, system accounts by qmail-getpw's rules, and when the answer is not known."""

import dataclasses
import errno
import os
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from paperpath.base.cdb import build
from paperpath.config.cdb_file import CdbFile
from paperpath.config.users import Assignments
from paperpath.local.lookup import Accounts, CannotTell, Identity, Recipient
from paperpath.system.users import User
from paperpath.wire.accounts import NOBODY, Account


class Host:
    """A user database and a file system, both imaginary: users by name, owners of folders by path."""

    def __init__(self) -> None:
        self.users: dict[str, User] = {}
        self.folders: dict[str, int] = {}
        self.files: set[str] = set()
        self.asked: list[str] = []
        self.database_down = False
        self.failing: dict[str, int] = {}

    def add_file(self, path: str) -> None:
        self.folders[path] = 0
        self.files.add(path)

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
        return SimpleNamespace(st_uid=self.folders[path], st_mode=0o100600 if path in self.files else 0o40700)

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
    host.folders["/mail/box.test"] = 900
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


@pytest.mark.parametrize("address", [b"joe@BOX.test", b"jim@box.test", b"joe+tag@box.test", b"..@box.test"])
def test_mailboxes_on_a_volume_that_is_not_mounted_are_temporary(host: Host, address: bytes) -> None:
    for folder in [path for path in host.folders if path.startswith("/mail")]:
        del host.folders[folder]
    with pytest.raises(CannotTell, match="not there"):
        host.accounts().find(address)


def test_domain_of_mailboxes_that_is_a_file_is_temporary(host: Host) -> None:
    host.add_file("/mail/box.test")
    with pytest.raises(CannotTell, match="not there"):
        host.accounts().find(b"jim@box.test")


def test_mailbox_domain_never_reaches_system_accounts(host: Host) -> None:
    assert host.finds(b"joe-bob@box.test") is None


def test_system_account(host: Host) -> None:
    assert host.accounts().find(b"Joe@host.test") == Recipient("user:joe", Account("joe", "/home/joe", b"", b""))


def test_longest_name_wins(host: Host) -> None:
    assert host.finds(b"joe-bob@host.test") == "/home/joe-bob"


@pytest.mark.parametrize("address", [b"joe-bob-x@h", b"joe-x@h", b"joe-@h", b"joebob@h", b"joex@h", b"-joe@h"])
def test_extension_without_instructions_is_no_recipient(host: Host, address: bytes) -> None:
    assert host.finds(address) is None


def test_40_empty_local_part_is_nobody(host: Host) -> None:
    assert host.accounts().find(b"@h.ex") == Recipient(NOBODY, Account("", "/", b"", b""))
    with pytest.raises(CannotTell, match="no worker has this name"):
        host.accounts().identity(NOBODY)


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
    assert host.asked == [*([name] if asked else []), "alias"]


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


def test_workers_that_are_told_otherwise_have_other_names(host: Host) -> None:
    accounts = dataclasses.replace(host.accounts(), told="2f")
    found = accounts.find(b"joe@h")
    assert found is not None and found.worker == "user:joe~2f"
    assert accounts.identity("user:joe~2f") == Identity("joe", "/home/joe", True)
    for other in ("user:joe", "user:joe~2", "user:joe~22f"):
        with pytest.raises(CannotTell, match="no worker has this name"):
            accounts.identity(other)
    mailbox = accounts.find(b"joe@box.test")
    assert mailbox is not None and mailbox.worker == "mailboxes"


@pytest.mark.parametrize(
    "worker", ["", "joe", "user:", "user:root", "user:no", "user:JOE", "mailboxes ", "user:\udc80"]
)
def test_no_identity_for_other_names(host: Host, worker: str) -> None:
    host.add_user("root", 0)
    with pytest.raises(CannotTell, match="no worker has this name"):
        host.accounts().identity(worker)


def test_18_extension_is_there_by_its_file(host: Host) -> None:
    host.add_file("/home/joe/.qmail-a:b")
    account = Account("joe", "/home/joe", b"-", b"A.B")
    assert host.accounts().find(b"Joe-A.B@host.test") == Recipient("user:joe", account)
    assert host.finds(b"joe-c@host.test") is None


def test_19_extension_is_there_by_a_default(host: Host) -> None:
    host.add_file("/home/joe/.qmail-a-default")
    assert host.finds(b"joe-a-b-c@host.test") == "/home/joe"
    assert host.finds(b"joe-b@host.test") is None


def test_20_account_without_a_file_is_there(host: Host) -> None:
    assert host.finds(b"joe@host.test") == "/home/joe"


def test_21_extension_without_a_file_is_not_there(host: Host) -> None:
    host.add_file("/home/joe/.qmail")
    assert host.finds(b"joe-x@host.test") is None


def test_a_folder_instructs_nothing(host: Host) -> None:
    host.folders["/home/joe/.qmail-a"] = 1000
    assert host.finds(b"joe-a@host.test") is None


def test_instructions_stand_in_for_a_maildir(host: Host) -> None:
    host.add_user("ann", 1002, maildir=False)
    with pytest.raises(CannotTell, match="no Maildir"):
        host.finds(b"ann@host.test")
    host.add_file("/home/ann/.qmail")
    assert host.finds(b"ann@host.test") == "/home/ann"


def test_other_default_deliveries_need_no_maildir(host: Host) -> None:
    host.add_user("ann", 1002, maildir=False)
    accounts = dataclasses.replace(host.accounts(), delivers_into_maildir=False)
    assert accounts.find(b"ann@host.test") == Recipient("user:ann", Account("ann", "/home/ann", b"", b""))


@pytest.mark.parametrize("number", [errno.EACCES, errno.EIO])
def test_extension_that_cannot_be_looked_for_is_temporary(host: Host, number: int) -> None:
    host.failing["/home/joe/.qmail-x"] = number
    with pytest.raises(CannotTell):
        host.finds(b"joe-x@host.test")


@pytest.mark.parametrize("number", [errno.ENAMETOOLONG, errno.ELOOP])
def test_a_name_that_cannot_be_is_not_there(host: Host, number: int) -> None:
    host.failing["/home/joe/.qmail-x"] = number
    assert host.finds(b"joe-x@host.test") is None


def test_home_that_root_may_not_look_into_has_its_owner(host: Host) -> None:
    host.failing["/home/joe/.qmail"] = host.failing["/home/joe/Maildir"] = errno.EACCES
    assert host.finds(b"joe@host.test") == "/home/joe"


def test_alias_gets_what_is_nobodys(host: Host) -> None:
    host.users["alias"] = User("alias", 70, 70, "/qmail/alias")
    host.folders["/qmail/alias"] = 0  # whose home is its own need not be the case
    host.add_file("/qmail/alias/.qmail-root")
    found = host.accounts().find(b"root@host.test")
    assert found is not None
    assert found.account == Account("alias", "/qmail/alias", b"-", b"root")
    assert host.accounts().find(b"jim@host.test") is None


class TestAssigned:
    """users/cdb on a qmail host."""

    @pytest.fixture
    def home(self, tmp_path: Path) -> Path:
        (tmp_path / "users").mkdir()
        return tmp_path

    def accounts(self, host: Host, home: Path, delivers_as: int | None = 0) -> Accounts:
        return dataclasses.replace(host.accounts(delivers_as), assignments=Assignments(str(home)))

    def assign(self, home: Path, *pairs: tuple[bytes, bytes]) -> None:
        (home / "users/cdb").write_bytes(build([(b"", b"-"), *pairs]))

    def test_it_comes_before_the_user_database(self, host: Host, home: Path) -> None:
        self.assign(home, (b"!joe\0", b"ann\x002000\x002001\0/virtual/ann\0-\0list"))
        host.folders["/virtual/ann"] = 2000
        host.add_file("/virtual/ann/.qmail-list")
        accounts = self.accounts(host, home)
        found = accounts.find(b"JOE@host.test")
        assert found is not None
        assert found.account == Account("ann", "/virtual/ann", b"-", b"list")
        assert accounts.identity(found.worker) == Identity("ann", "/virtual/ann", True, (2000, 2001))

    def test_a_plain_user_shares_its_worker(self, host: Host, home: Path) -> None:
        self.assign(home, (b"!boss\0", b"joe\x001000\x001000\0/home/joe\0\0"))
        assert self.accounts(host, home).find(b"boss@h") == self.accounts(host, home).find(b"joe@h")

    def test_nobody_but_find_names_workers_of_assigned_accounts(self, host: Host, home: Path) -> None:
        self.assign(home)
        with pytest.raises(CannotTell, match="no worker"):
            self.accounts(host, home).identity("assigned:0:0:root:/root")

    @pytest.mark.parametrize(
        ("record", "reason"),
        [
            (b"root\x000\x000\0/home/joe\0\0", "root gets no mail"),
            (b"ann\x002000\x002000\0/nowhere\0\0", "no home"),
            (b"ann\x002000\x002000\0/nowhere\0", "fewer than six"),
        ],
    )
    def test_what_qmail_defers_is_temporary(self, host: Host, home: Path, record: bytes, reason: str) -> None:
        self.assign(home, (b"!ann\0", record))
        with pytest.raises(CannotTell, match=reason):
            self.accounts(host, home).find(b"ann@h")

    def test_a_host_without_an_alias_user_waits(self, host: Host, home: Path) -> None:
        with pytest.raises(CannotTell, match="alias"):
            self.accounts(host, home).find(b"jim@h")

    def test_anothers_account_needs_root(self, host: Host, home: Path) -> None:
        self.assign(home, (b"!ann\0", b"ann\x002000\x002000\0/home/joe\0\0"))
        with pytest.raises(CannotTell, match="needs root"):
            self.accounts(host, home, delivers_as=1000).find(b"ann@h")


class TestBesides:
    """The table of aliases, and .forward files."""

    @pytest.fixture
    def table(self, tmp_path: Path) -> Path:
        table = tmp_path / "aliases.cdb"
        table.write_bytes(build([(b":staff@", b"&x@y.ex\0"), (b":@whole.ex", b"&x@y.ex\0")]))
        return table

    def accounts(self, host: Host, table: Path) -> Accounts:
        return dataclasses.replace(host.accounts(), aliases=CdbFile(str(table)))

    def add_alias_user(self, host: Host) -> None:
        host.users["alias"] = User("alias", 70, 70, "/qmail/alias")
        host.folders["/qmail/alias"] = 0

    @pytest.mark.parametrize("address", [b"Staff@h.ex", b"any@whole.ex"])
    def test_alias_is_the_alias_users(self, host: Host, table: Path, address: bytes) -> None:
        self.add_alias_user(host)
        found = self.accounts(host, table).find(address)
        assert found is not None
        assert found.account == Account("alias", "/qmail/alias", b"-", address.partition(b"@")[0])

    def test_accounts_come_first_and_the_others_do_not_exist(self, host: Host, table: Path) -> None:
        self.add_alias_user(host)
        accounts = self.accounts(host, table)
        found = accounts.find(b"joe@whole.ex")
        assert found is not None and found.account.user == "joe"
        assert accounts.find(b"jim@h.ex") is None
        assert accounts.find(b"joe-x@whole.ex") is None

    def test_aliases_without_an_alias_user_wait(self, host: Host, table: Path) -> None:
        with pytest.raises(CannotTell, match="no alias user"):
            self.accounts(host, table).find(b"staff@h.ex")
        assert self.accounts(host, table).find(b"jim@h.ex") is None

    @pytest.mark.parametrize(("content", "why"), [(None, "newaliases makes it"), (b"no cdb", "trouble")])
    def test_table_that_is_missing_or_none_is_temporary(
        self, host: Host, table: Path, content: bytes | None, why: str
    ) -> None:
        self.add_alias_user(host)
        table.unlink()
        if content is not None:
            table.write_bytes(content)
        with pytest.raises(CannotTell, match=why):
            self.accounts(host, table).find(b"staff@h.ex")

    def test_forward_file_stands_in_for_a_maildir(self, host: Host) -> None:
        host.add_user("ann", 1005, maildir=False)
        host.add_file("/home/ann/.forward")
        with pytest.raises(CannotTell, match="no Maildir"):
            host.accounts().find(b"ann@h")
        assert dataclasses.replace(host.accounts(), forward_files=True).find(b"ann@h") is not None
        host.add_user("bob", 1006, maildir=False)
        with pytest.raises(CannotTell, match="no Maildir"):
            dataclasses.replace(host.accounts(), forward_files=True).find(b"bob@h")
