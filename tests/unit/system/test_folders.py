"""Owners and modes, and acting with no more rights than an owner has."""

import os
import stat
from pathlib import Path

import pytest

from paperpath.system.folders import acting_as_owner_of, give, remove_tree

root_only = pytest.mark.skipif(os.geteuid() != 0, reason="needs to run as root")


def test_give_sets_the_mode_and_follows_no_link(tmp_path: Path) -> None:
    folder = tmp_path / "d"
    folder.mkdir()
    give(str(folder), -1, -1, 0o750)
    assert stat.S_IMODE(folder.stat().st_mode) == 0o750
    (tmp_path / "link").symlink_to(folder)
    with pytest.raises(OSError):
        give(str(tmp_path / "link"), -1, -1, 0o777)
    assert stat.S_IMODE(folder.stat().st_mode) == 0o750


@pytest.mark.root
@root_only
def test_root_makes_things_as_the_owner_and_goes_no_further(tmp_path: Path) -> None:
    for folder in (tmp_path, *tmp_path.parents[:4]):
        os.chmod(folder, folder.stat().st_mode | 0o011)
    mail, secret = tmp_path / "mail", tmp_path / "secret"
    mail.mkdir()
    secret.mkdir(0o700)
    give(str(mail), 12345, 12346, 0o750)
    (mail / "link").symlink_to(secret)
    with acting_as_owner_of(str(mail)):
        (mail / "made").mkdir()
        with pytest.raises(PermissionError):
            (mail / "link" / "made").mkdir()
    assert ((mail / "made").stat().st_uid, (mail / "made").stat().st_gid) == (12345, 12346)
    assert os.geteuid() == 0
    (secret / "root-again").touch()


def test_an_owner_that_we_are_changes_nothing(tmp_path: Path) -> None:
    with acting_as_owner_of(str(tmp_path)):
        assert os.geteuid() == tmp_path.stat().st_uid


def test_remove_tree_deletes_links_and_not_what_they_lead_to(tmp_path: Path) -> None:
    (tmp_path / "kept").mkdir()
    (tmp_path / "gone" / "deep").mkdir(parents=True)
    (tmp_path / "gone" / "link").symlink_to(tmp_path / "kept")
    remove_tree(str(tmp_path / "gone"))
    assert [one.name for one in tmp_path.iterdir()] == ["kept"]
