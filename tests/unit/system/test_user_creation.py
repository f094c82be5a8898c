"""System users are made with the host's tool, once; here the tool is a script of ours."""

from pathlib import Path

import pytest

from paperpath.system import user_creation
from paperpath.system.user_creation import UsersError, ensure_user


def tool(folder: Path, monkeypatch: pytest.MonkeyPatch, script: str) -> Path:
    (folder / "useradd").write_text(f'#!/bin/sh\necho "$@" >> {folder}/calls\n{script}\n')
    (folder / "useradd").chmod(0o755)
    monkeypatch.setattr(user_creation, "_SEARCH_PATH", str(folder))
    return folder / "calls"


def test_a_user_that_is_there_is_left_alone(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    calls = tool(tmp_path, monkeypatch, "")
    assert ensure_user("root") is False
    assert not calls.exists()


def test_a_user_is_made_without_home_and_login(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    calls = tool(tmp_path, monkeypatch, "")
    assert ensure_user("paperpath-nobody") is True
    words = calls.read_text().split()
    assert words[-1] == "paperpath-nobody"
    assert {"--system", "--user-group", "--no-create-home", "/bin/false"} <= set(words)


def test_what_goes_wrong_is_said(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    tool(tmp_path, monkeypatch, "echo 'cannot lock /etc/passwd' >&2; exit 1")
    with pytest.raises(UsersError, match="cannot lock /etc/passwd"):
        ensure_user("paperpath-nobody")
    (tmp_path / "useradd").unlink()
    with pytest.raises(UsersError, match="there is no useradd"):
        ensure_user("paperpath-nobody")
