"""Reads a story of dotqmail/ and makes the home that it plays in (see README.md)."""

import os
import shlex
from dataclasses import dataclass, field
from pathlib import Path

from tests.transcripts.test_smtp_server import unescape


@dataclass
class File:
    """A file that is there before, or must be there after."""

    name: str
    mode: int = 0o644
    lines: list[bytes] = field(default_factory=list)

    @property
    def content(self) -> bytes:
        return b"".join(self.lines)


@dataclass
class Story:
    """What is there, what comes, and what must come of it."""

    local: bytes = b"joe"
    user: str = "joe"
    dash: bytes = b""
    extension: bytes = b""
    host: bytes = b"h.ex"
    sender: bytes = b"s@else.test"
    default: bytes = b"./Mailbox"
    home_mode: int = 0o755
    times: int = 1
    only: str = ""
    message: File = field(default_factory=lambda: File("", lines=[b"Subject: x\n\nhello\n"]))
    files: list[File] = field(default_factory=list)
    others: list[tuple[str, str]] = field(default_factory=list)
    outcome: str = ""
    says: list[str] = field(default_factory=list)
    forwards: list[tuple[bytes, list[bytes]]] = field(default_factory=list)
    made: list[File] = field(default_factory=list)
    missing: list[str] = field(default_factory=list)

    @property
    def recipient(self) -> bytes:
        return self.local + b"@" + self.host

    def read(self, path: Path) -> "Story":
        """Take what a file says.  Raises ValueError for a line that means nothing."""
        for line in path.read_bytes().splitlines():
            if line.startswith(b"|>"):
                self._into.lines.append(unescape(line[2:].removeprefix(b" ")))
            elif line.startswith(b"|"):
                self._into.lines.append(unescape(line[1:].removeprefix(b" ")) + b"\n")
            elif line and not line.startswith(b"#"):
                name, _, value = line.partition(b":")
                self._take(name.decode(), value.strip())
        return self

    def _take(self, name: str, raw: bytes) -> None:
        value = unescape(raw).decode("utf-8", "surrogateescape")
        match name:
            case "To":
                local, user, dash, extension = raw.split(b" ")
                self.local, self.user = unescape(local), user.decode()
                self.dash, self.extension = dash, unescape(extension)
            case "Host":
                self.host = raw
            case "From":
                self.sender = unescape(raw)
            case "Default":
                self.default = unescape(raw)
            case "Home":
                self.home_mode = int(value, 8)
            case "Times":
                self.times = int(value)
            case "Only":
                self.only = value
            case "Message":
                self._into = self.message = File("")
            case "File":
                path, _, mode = value.partition(" mode=")
                self._into = File(path, int(mode or "644", 8))
                self.files.append(self._into)
            case "Made":
                self._into = File(value)
                self.made.append(self._into)
            case "Folder" | "Maildir" | "Fifo" | "Link":
                self.others.append((name, value))
            case "Outcome":
                self.outcome = value
            case "Says":
                self.says.append(value)
            case "Forward":
                sender, *recipients = map(unescape, raw.split(b" "))
                self.forwards.append((b"" if sender == b"<>" else sender, recipients))
            case "Missing":
                self.missing.append(value)
            case _:
                raise ValueError(name)

    def make_home(self, home: Path) -> None:
        """Make what the story says is there."""
        home.mkdir()
        for kind, value in self.others:
            names = shlex.split(value)
            if kind == "Folder":
                (home / names[0]).mkdir()
            elif kind == "Maildir":
                for part in ("tmp", "new", "cur"):
                    (home / names[0] / part).mkdir(parents=True)
            elif kind == "Fifo":
                os.mkfifo(home / names[0])
            else:
                (home / names[0]).symlink_to(names[1])
        for file in self.files:
            (home / file.name).write_bytes(file.content)
            (home / file.name).chmod(file.mode)
        home.chmod(self.home_mode)

    def check_home(self, home: Path) -> None:
        """Compare what is there now with what must be."""
        home.chmod(0o755)
        for file in self.made:
            (made,) = home.glob(file.name)
            expected = file.content.replace(b"HOME", os.fsencode(home.resolve()))
            assert _same(made.read_bytes(), expected), made.read_bytes()
        for name in self.missing:
            assert not (home / name).exists()


def _same(there: bytes, expected: bytes) -> bool:
    """Compare line by line; one that must end in `` ...`` may end in anything."""
    pairs = zip(there.split(b"\n"), expected.split(b"\n"), strict=False)
    alike = all(one.startswith(other[:-3]) if other.endswith(b" ...") else one == other for one, other in pairs)
    return alike and there.count(b"\n") == expected.count(b"\n")
