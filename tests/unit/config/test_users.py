"""Whose an address is (reference 4 and 5; interop cases 14 to 18 of section 27)."""

import errno
import os
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from paperpath.base.cdb import Cdb, build
from paperpath.config.users import Assignment, Assignments, assigned, getpw
from paperpath.system.users import User


class Host:
    """Users and who owns their homes."""

    def __init__(self) -> None:
        self.users = {"alias": User("alias", 70, 70, "/var/qmail/alias"), "root": User("root", 0, 0, "/root")}
        self.owners = {"/var/qmail/alias": 0, "/root": 0}
        self.failing: dict[str, int] = {}

    def add(self, name: str, uid: int, owner: int | None = None) -> None:
        self.users[name] = User(name, uid, uid + 1, f"/home/{name}")
        self.owners[f"/home/{name}"] = uid if owner is None else owner

    def stat(self, path: str) -> Any:
        if path in self.failing:
            raise OSError(self.failing[path], "failing")
        if path not in self.owners:
            raise FileNotFoundError(errno.ENOENT, "missing", path)
        return SimpleNamespace(st_uid=self.owners[path])

    def getpw(self, local: bytes) -> tuple[str, bytes, bytes] | None:
        found = getpw(local, self.users.get, self.stat)
        return None if found is None else (found.user, found.dash, found.extension)


@pytest.fixture
def host() -> Host:
    host = Host()
    host.add("joe", 1000)
    host.add("joe-a", 1001)
    return host


@pytest.mark.parametrize(
    ("local", "found"),
    [
        pytest.param(b"joe-a-b", ("joe-a", b"-", b"b"), id="14 the longest account"),
        pytest.param(b"JOE", ("joe", b"", b""), id="15 case"),
        pytest.param(b"root", ("alias", b"-", b"root"), id="16 root"),
        pytest.param(b"joe-x-A.B", ("joe", b"-", b"x-A.B"), id="18 the extension keeps its spelling"),
        pytest.param(b"joe-", ("joe", b"-", b""), id="an empty extension"),
        pytest.param(b"-joe", ("alias", b"-", b"-joe"), id="an empty name"),
        pytest.param(b"joebob", ("alias", b"-", b"joebob"), id="only at a dash"),
        pytest.param(b"Jim-X", ("alias", b"-", b"Jim-X"), id="nobody"),
        pytest.param(b"root-joe", ("alias", b"-", b"root-joe"), id="below root"),
        pytest.param(b"", ("alias", b"-", b""), id="nothing"),
        pytest.param(b"joe-\xff/..", ("joe", b"-", b"\xff/.."), id="any bytes"),
    ],
)
def test_getpw(host: Host, local: bytes, found: tuple[str, bytes, bytes]) -> None:
    assert host.getpw(local) == found


def test_17_a_home_of_another_is_no_account(host: Host) -> None:
    host.add("joe", 1000, owner=1001)
    assert host.getpw(b"joe") == ("alias", b"-", b"joe")


def test_a_missing_home_is_no_account(host: Host) -> None:
    del host.owners["/home/joe-a"]
    assert host.getpw(b"joe-a-b") == ("joe", b"-", b"a-b")


def test_ids_and_home(host: Host) -> None:
    assert getpw(b"joe", host.users.get, host.stat) == Assignment("joe", 1000, 1001, "/home/joe", b"", b"")


def test_a_home_that_cannot_be_seen_is_temporary(host: Host) -> None:
    host.failing["/home/joe"] = errno.EIO
    with pytest.raises(OSError, match="failing"):
        host.getpw(b"joe")


def test_no_alias_user(host: Host) -> None:
    del host.users["alias"]
    assert host.getpw(b"jim") is None


@pytest.mark.parametrize(("length", "user"), [(31, "long"), (32, "alias")])
def test_a_name_has_31_bytes(host: Host, length: int, user: str) -> None:
    name = "x" * length
    host.users[name] = User("long", 1002, 1002, "/home/joe")
    host.owners["/home/joe"] = 1002
    found = host.getpw(name.encode())
    assert found is not None
    assert found[0] == user


def record(name: str, dash: str = "", extension: str = "") -> bytes:
    return f"{name}\x001000\x001001\0/home/{name}\0{dash}\0{extension}".encode()


TABLE = Cdb(
    build(
        [
            (b"!joe\0", record("exact")),
            (b"!joe\0", record("second")),
            (b"!joe-", record("prefix", "-")),
            (b"!joe-list-", record("longer", "-", "lists-")),
            (b"!ann", record("no-dash", "-", "pre-")),
            (b"!x", record("not-in-index", "-")),
            (b"!", record("all", "-")),
            (b"", b"-n"),
        ]
    )
)


@pytest.mark.parametrize(
    ("local", "user", "extension"),
    [
        (b"joe", "exact", b""),
        (b"JOE", "exact", b""),
        (b"joe-", "prefix", b""),
        (b"joe-A.B", "prefix", b"A.B"),
        (b"Joe-List-X", "longer", b"lists-X"),
        (b"joe-list", "prefix", b"list"),
        (b"joe-list-", "longer", b"lists-"),
        (b"ann", "no-dash", b"pre-"),
        (b"ANNA", "no-dash", b"pre-A"),
        (b"xyz", "all", b"xyz"),
        (b"Bob", "all", b"Bob"),
        (b"", "all", b""),
    ],
)
def test_users_cdb(local: bytes, user: str, extension: bytes) -> None:
    found = assigned(TABLE, local)
    assert found is not None
    assert (found.user, found.uid, found.gid, found.home) == (user, 1000, 1001, f"/home/{user}")
    assert found.extension == extension


def test_a_prefix_that_ends_in_upper_case_never_matches() -> None:
    assert assigned(Cdb(build([(b"!joex", record("joe", "-")), (b"", b"X")])), b"joeX1") is None


def test_nothing_assigned() -> None:
    assert assigned(Cdb(build([(b"", b"")])), b"joe") is None


@pytest.mark.parametrize(
    "data",
    [
        b"",
        b"joe\x001\x001\0/h\0-",
        b"\x001\x001\0/h\0-\0",
        b"joe\0x\x001\0/h\0-\0",
        b"joe\x001\0\0/h\0-\0",
        b"joe\x00-1\x001\0/h\0-\0",
        b"joe\x004294967295\x001\0/h\0-\0",
        b"joe\x001\x001\0h\0-\0",
    ],
)
def test_a_spoiled_record_is_temporary(data: bytes) -> None:
    with pytest.raises(ValueError, match="users/cdb"):
        assigned(Cdb(build([(b"!joe\0", data), (b"", b"")])), b"joe")


def test_a_file_without_index_is_temporary() -> None:
    with pytest.raises(ValueError, match="index"):
        assigned(Cdb(build([(b"!joe\0", record("joe"))])), b"joe")


class TestFile:
    """`users/cdb` where it lies."""

    def test_none(self, tmp_path: Path) -> None:
        assert Assignments(str(tmp_path)).find(b"joe") is None

    def test_a_new_one_counts_at_once(self, tmp_path: Path) -> None:
        (tmp_path / "users").mkdir()
        table = Assignments(str(tmp_path))
        for name in ("ann", "bob"):
            new = tmp_path / "users/cdb.tmp"
            new.write_bytes(build([(b"!joe\0", record(name)), (b"", b"")]))
            os.utime(new, (0, 0))
            new.rename(tmp_path / "users/cdb")
            found = table.find(b"joe")
            assert found is not None
            assert found.user == name
        (tmp_path / "users/cdb").unlink()
        assert table.find(b"joe") is None

    def test_what_cannot_be_read_is_temporary(self, tmp_path: Path) -> None:
        (tmp_path / "users/cdb").mkdir(parents=True)
        with pytest.raises(IsADirectoryError):
            Assignments(str(tmp_path)).find(b"joe")

    def test_what_is_spoiled_stays_temporary(self, tmp_path: Path) -> None:
        (tmp_path / "users").mkdir()
        (tmp_path / "users/cdb").write_bytes(b"short")
        table = Assignments(str(tmp_path))
        for _ in range(2):
            with pytest.raises(ValueError, match="cdb"):
                table.find(b"joe")
