"""A disk for SQLite that can be filled, that can fail, and whose power can be cut at any write.

`Disk` stands between SQLite and the file system as SQLite's default VFS: everything written is recorded, then passed
on.  `Cut` builds what a power cut at one moment may have left: what was synced is there; of what was written since,
each 512-byte sector may or may not be, in any order.  Names are taken to be durable when SQLite asked for that.
"""

import random
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal, NamedTuple

import apsw

SECTOR = 512


class Act(NamedTuple):
    """Something done to a file: ``write`` at ``offset``, ``truncate`` to ``offset``, ``sync`` or ``delete``."""

    name: str
    kind: Literal["write", "truncate", "sync", "delete"]
    offset: int = 0
    data: bytes = b""


class Disk(apsw.VFS):
    """SQLite's default VFS while it is plugged in.

    ``fault`` is asked before each act and may raise what SQLite shall see.
    """

    def __init__(self) -> None:
        self.acts: list[Act] = []
        self.fault: Callable[[Act], None] = lambda act: None
        self.below = apsw.vfs_names()[0]
        super().__init__("staged", self.below, makedefault=True)

    def unplug(self) -> None:
        self.unregister()

    def record(self, act: Act) -> None:
        self.fault(act)
        self.acts.append(act)

    def xOpen(self, name: str | apsw.URIFilename | None, flags: list[int]) -> apsw.VFSFile:
        return _File(self, name, flags)

    def xDelete(self, filename: str, syncdir: bool) -> None:
        self.record(Act(Path(filename).name, "delete"))
        super().xDelete(filename, syncdir)


class _File(apsw.VFSFile):
    def __init__(self, disk: Disk, name: str | apsw.URIFilename | None, flags: list[int]) -> None:
        self._disk = disk
        self._name = Path(name.filename() if isinstance(name, apsw.URIFilename) else name or "temporary").name
        super().__init__(disk.below, name, flags)

    def xWrite(self, data: Any, offset: int) -> None:
        self._disk.record(Act(self._name, "write", offset, bytes(data)))
        super().xWrite(data, offset)

    def xTruncate(self, newsize: int) -> None:
        self._disk.record(Act(self._name, "truncate", newsize))
        super().xTruncate(newsize)

    def xSync(self, flags: int) -> None:
        self._disk.record(Act(self._name, "sync"))
        super().xSync(flags)


@dataclass(slots=True)
class Cut:
    """The files that a power cut after the first ``moment`` acts may leave; ``chance`` decides what it spared."""

    acts: list[Act]
    moment: int
    chance: random.Random

    def write_to(self, folder: Path) -> None:
        folder.mkdir(parents=True)
        for name, content in self.files().items():
            (folder / name).write_bytes(content)

    def files(self) -> dict[str, bytes]:
        files: dict[str, bytearray] = {}
        spared = self.chance.choice([0.0, 0.5, 0.9, 1.0])
        for at, act in enumerate(self.acts[: self.moment]):
            if act.kind == "delete":
                files.pop(act.name, None)
            elif act.kind != "sync":
                self._apply(files.setdefault(act.name, bytearray()), act, 1.0 if self._synced(at) else spared)
        return {name: bytes(content) for name, content in files.items()}

    def _synced(self, at: int) -> bool:
        name = self.acts[at].name
        return any(act.kind == "sync" and act.name == name for act in self.acts[at + 1 : self.moment])

    def _apply(self, content: bytearray, act: Act, spared: float) -> None:
        if act.kind == "truncate":
            if self.chance.random() < spared or spared == 1.0:
                del content[act.offset :]
            return
        for start in range(0, len(act.data), SECTOR):
            if spared < 1.0 and self.chance.random() >= spared:
                continue
            piece = act.data[start : start + SECTOR]
            offset = act.offset + start
            content.extend(bytes(max(0, offset + len(piece) - len(content))))
            content[offset : offset + len(piece)] = piece
