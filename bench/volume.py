"""A file system for one server alone: a journaled ext4 in a file, so that no neighbour's writes ride along."""

import os
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from bench.errors import BenchError
from bench.programs import find, require, run

SIZE: Final = "3GiB"
EXT4: Final = "journaled ext4 of its own (loop mount)"


@dataclass(frozen=True, slots=True, kw_only=True)
class Volume:
    """A folder to work in, and what it lies on."""

    folder: Path
    kind: str


@contextmanager
def volume(parent: Path, name: str) -> Iterator[Volume]:
    """Provide a volume under `parent` and take it away again, whatever happens in between.

    Without the right to mount it is a plain folder, and `kind` says so.
    """
    base = parent / name
    base.mkdir(parents=True)
    try:
        if os.geteuid() != 0 or find("mkfs.ext4") is None:
            yield Volume(folder=base, kind=f"plain folder on {file_system(base)} (no root: not what the bars ask for)")
            return
        image, mounted = base / "image", base / "mounted"
        _make(image)
        mounted.mkdir()
        try:
            run(require("mount"), "-o", "loop", image, mounted)
            yield Volume(folder=mounted, kind=EXT4)
        finally:
            # An interrupted mount may have happened or not.
            if mounted.is_mount():
                _unmount(mounted)
    finally:
        shutil.rmtree(base)


def file_system(folder: Path) -> str:
    """Return the type of the file system that `folder` is on."""
    target = folder.resolve()
    best, kind = "", "an unknown file system"
    for line in Path("/proc/self/mounts").read_text().splitlines():
        _, point, found, *_ = line.split()
        if target.is_relative_to(point) and len(point) >= len(best):
            best, kind = point, found
    return kind


def _make(image: Path) -> None:
    run(require("fallocate"), "--length", SIZE, image)
    # Everything is written now: tables made lazily would be written by the kernel in the middle of a measurement.
    run(require("mkfs.ext4"), "-q", "-F", "-E", "lazy_itable_init=0,lazy_journal_init=0", image)


def _unmount(mounted: Path) -> None:
    try:
        run(require("umount"), mounted)
    except BenchError:
        # Something of ours still has a file open there; it goes when that ends, and so does the loop device.
        run(require("umount"), "--lazy", mounted)
        raise
