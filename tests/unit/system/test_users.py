"""The user database: who is there, who is not, and that an error is neither."""

import ctypes
import errno
import os
import pwd
from typing import Any

import pytest

from paperpath.system import users


def test_known_user() -> None:
    entry = pwd.getpwuid(0)
    assert users.find_user(entry.pw_name) == users.User(entry.pw_name, 0, entry.pw_gid, entry.pw_dir)


@pytest.mark.parametrize("name", ["", "no-such-user-here", "root\0x", "root:x", "\udcff"])
def test_unknown_user(name: str) -> None:
    assert users.find_user(name) is None


@pytest.mark.parametrize("answer", [errno.ENOENT, errno.ESRCH])
def test_answers_that_mean_not_there(monkeypatch: pytest.MonkeyPatch, answer: int) -> None:
    monkeypatch.setattr(users, "_getpwnam", lambda *_: answer)
    assert users.find_user("joe") is None


@pytest.mark.parametrize("answer", [errno.EIO, errno.EMFILE, errno.EAGAIN, errno.ERANGE])
def test_database_that_fails_is_an_error_and_not_a_no(monkeypatch: pytest.MonkeyPatch, answer: int) -> None:
    monkeypatch.setattr(users, "_getpwnam", lambda *_: answer)
    with pytest.raises(OSError) as caught:
        users.find_user("joe")
    assert caught.value.errno == answer


def test_long_entry_gets_a_larger_buffer(monkeypatch: pytest.MonkeyPatch) -> None:
    sizes: list[int] = []
    real = users._getpwnam

    def wants_more(name: bytes, entry: Any, buffer: ctypes.Array[ctypes.c_char], size: int, found: Any) -> Any:
        sizes.append(size)
        return errno.ERANGE if size < 16384 else real(name, entry, buffer, size, found)

    monkeypatch.setattr(users, "_getpwnam", wants_more)
    assert users.find_user("root") is not None
    assert sizes == [4096, 8192, 16384]


def test_own_uid() -> None:
    assert users.own_uid() == os.geteuid()
