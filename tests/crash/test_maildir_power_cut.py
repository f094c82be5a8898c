"""Power cuts and kills in the middle of Maildir batches.

The law for a Maildir: what was reported as delivered is there after any cut; what is in ``new`` is complete.
"""

import os
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest

from paperpath.base.outcome import Delivered
from paperpath.delivery.errand import Message
from paperpath.delivery.maildir import Delivery, Names, deliver
from paperpath.system import kernel
from tests.unit.delivery.test_maildir import make_home

pytestmark = pytest.mark.crash

MESSAGES = 4
LINES = b"Return-Path: <s@x>\nDelivered-To: joe@box.test\n"


class PowerCut(BaseException):
    """The machine stops here."""


@dataclass
class Disk:
    """Watches the calls that reach the disk, stops before the n-th, and knows what a power cut then may leave.

    Content survives for certain once its file is synced; a name in ``new`` once the folder is synced after it was
    given.  A name that was given and not synced may survive or not, and with it whatever its file has on disk.
    """

    stop_at: int
    calls: int = 0
    synced: set[int] = field(default_factory=set)
    """Inodes whose content is on disk."""
    names: dict[str, dict[bytes, int]] = field(default_factory=dict)
    """Folder to the names given in it, and their inodes."""
    durable: dict[str, dict[bytes, int]] = field(default_factory=dict)

    def step(self) -> None:
        if self.calls == self.stop_at:
            raise PowerCut
        self.calls += 1

    def fsync(self, descriptor: int) -> None:
        self.step()
        path = os.readlink(f"/proc/self/fd/{descriptor}")
        if os.path.isdir(path):
            self.durable[path] = dict(self.names.get(path, {}))
        else:
            self.synced.add(os.fstat(descriptor).st_ino)

    def named(self, folder: int, name: bytes) -> None:
        path = os.readlink(f"/proc/self/fd/{folder}")
        inode = os.stat(name, dir_fd=folder).st_ino
        self.names.setdefault(path, {})[name] = inode

    def check(self, reported: int) -> None:
        possible = [inode for names in self.names.values() for inode in names.values()]
        assert set(possible) <= self.synced, "a name may survive whose content does not"
        certain = [inode for names in self.durable.values() for inode in names.values()]
        assert len(set(certain)) >= reported, "a delivered message is lost"


def watch(monkeypatch: pytest.MonkeyPatch, disk: Disk, *, linking: bool) -> None:
    def counted(real: Callable[..., Any]) -> Callable[..., Any]:
        def call(*arguments: Any, **more: Any) -> Any:
            disk.step()
            return real(*arguments, **more)

        return call

    rename, link = counted(kernel.rename_exclusively), counted(os.link)

    def rename_and_note(old: int, new: int, name: bytes) -> None:
        rename(old, new, name)
        disk.named(new, name)

    def link_and_note(old: bytes, name: bytes, **folders: Any) -> None:
        link(old, name, **folders)
        disk.named(folders["dst_dir_fd"], name)

    monkeypatch.setattr(kernel, "HAS_RENAMEAT2", not linking)
    monkeypatch.setattr(kernel, "rename_exclusively", rename_and_note)
    monkeypatch.setattr(os, "link", link_and_note)
    monkeypatch.setattr(os, "writev", counted(os.writev))
    monkeypatch.setattr(os, "fsync", disk.fsync)


def cut(home: Path, monkeypatch: pytest.MonkeyPatch, stop_at: int, *, linking: bool) -> bool:
    """Deliver a batch on a disk that stops at that call; return whether it came to its end."""
    disk = Disk(stop_at)
    content = [b"Subject: %d\n\n" % number + b"x" * 5000 for number in range(MESSAGES)]
    batch = [Delivery(f"{home}/Maildir", Message(b"joe@box.test", b"s@x", b"", one, None, len(one))) for one in content]
    finished = False
    with monkeypatch.context() as patch:
        watch(patch, disk, linking=linking)
        try:
            outcomes = deliver(batch, Names(lambda: stop_at, os.getpid(), b"mx"))
            finished = True
        except PowerCut:
            outcomes = []
    disk.check(sum(isinstance(outcome, Delivered) for outcome in outcomes))
    assert {file.read_bytes() for file in (home / "Maildir/new").iterdir()} <= {LINES + one for one in content}
    return finished


@pytest.mark.parametrize("linking", [False, True])
def test_power_cut_before_every_call(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, linking: bool) -> None:
    stops = 0
    while not cut(make_home(tmp_path / str(stops)), monkeypatch, stops, linking=linking):
        stops += 1
    assert stops == MESSAGES * 3 + 1  # write, sync and name each, then one folder
