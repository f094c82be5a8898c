"""The folder that is made for another user."""

import os
import stat
from pathlib import Path

import pytest

from paperpath.system.dropped import MODE, make_folder_for


def test_made_once_and_then_left_alone(tmp_path: Path) -> None:
    folder = tmp_path / "drop"
    make_folder_for(os.geteuid(), str(folder), MODE)
    assert stat.S_IMODE(folder.stat().st_mode) == MODE
    folder.chmod(0o700)
    make_folder_for(os.geteuid(), str(folder), MODE)
    assert stat.S_IMODE(folder.stat().st_mode) == 0o700


def test_one_that_cannot_be_given_away_does_not_stay(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*_arguments: object) -> None:
        raise PermissionError(1, "Operation not permitted")

    monkeypatch.setattr(os, "chown", refuse)
    own = os.geteuid()
    monkeypatch.setattr(os, "geteuid", lambda: own + 1)
    with pytest.raises(PermissionError, match="run `paperpath init --system`"):
        make_folder_for(own, str(tmp_path / "drop"), MODE)
    assert not (tmp_path / "drop").exists()
