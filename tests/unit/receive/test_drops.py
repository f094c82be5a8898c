"""The drop folder where something goes wrong with one message: it stays, and the others are taken."""

import errno
import os
from pathlib import Path

import pytest

from paperpath.protocol.netstring import netstring
from paperpath.receive.drops import Drops
from paperpath.system.injection import DROP_VERSION
from tests.unit.receive.scene import Scene


def leave(folder: Path, name: str, at: int) -> Path:
    """Leave a message there."""
    pieces = (b"Subject: x\n\nHello.\n", b"", name.encode() + b"@here.test")
    path = folder / name
    path.write_bytes(DROP_VERSION + netstring(b"".join(map(netstring, pieces))))
    os.utime(path, (at, at))
    return path


async def scan(scene: Scene, folder: Path) -> None:
    drops = Drops(str(folder))
    drops.serve(scene.service)
    assert drops._work is not None
    await drops._work
    await drops.stop()


@pytest.mark.parametrize("trouble", [errno.EMFILE, errno.ENFILE, errno.ENOMEM, errno.EIO])
async def test_message_that_cannot_be_opened_now_stays_and_others_are_taken(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, trouble: int
) -> None:
    ann, bob = leave(tmp_path, "ann", 1), leave(tmp_path, "bob", 2)
    opened = os.open

    def failing(path: str, *rest: int) -> int:
        if path == str(ann):
            raise OSError(trouble, os.strerror(trouble))
        return opened(path, *rest)

    scene = Scene()
    monkeypatch.setattr("paperpath.system.dropped.os.open", failing)
    await scan(scene, tmp_path)
    assert [submit.recipients for submit in scene.queue.taken] == [(b"bob@here.test",)]
    assert ann.exists() and not bob.exists() and not (tmp_path / ".bad").exists()
    (line,) = scene.events("process.broken")
    assert os.strerror(trouble) in line["error"] and "ann" in line["error"]
    monkeypatch.undo()
    await scan(scene, tmp_path)
    assert [submit.recipients for submit in scene.queue.taken[1:]] == [(b"ann@here.test",)]
    assert not ann.exists()


async def test_message_that_cannot_be_read_to_its_end_stays_and_others_are_taken(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    ann, bob = leave(tmp_path, "ann", 1), leave(tmp_path, "bob", 2)
    read = os.read
    failed: list[int] = []

    def failing(descriptor: int, most: int) -> bytes:
        if not failed:
            failed.append(descriptor)
            raise OSError(errno.EIO, os.strerror(errno.EIO))
        return read(descriptor, most)

    scene = Scene()
    monkeypatch.setattr("paperpath.system.dropped.os.read", failing)
    await scan(scene, tmp_path)
    assert ann.exists() and not bob.exists()
    assert [submit.recipients for submit in scene.queue.taken] == [(b"bob@here.test",)]


@pytest.mark.parametrize("refusal", [errno.EACCES, errno.ELOOP, errno.ENXIO])
async def test_what_is_no_message_whenever_it_is_looked_at_is_moved_aside(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, refusal: int
) -> None:
    ann = leave(tmp_path, "ann", 1)
    opened = os.open

    def failing(path: str, *rest: int) -> int:
        if path == str(ann):
            raise OSError(refusal, os.strerror(refusal))
        return opened(path, *rest)

    monkeypatch.setattr("paperpath.system.dropped.os.open", failing)
    await scan(Scene(), tmp_path)
    assert (tmp_path / ".bad" / "ann").exists()
