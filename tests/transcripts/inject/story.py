"""qmail-inject's transcripts as data: a command, what goes in, what must come out.

    === title
    $ NAME=value qmail-inject -a user@host
    < a line of the message
    > a line of what is queued (or printed, with -n)
    F envelope sender
    T envelope recipient
    E a line on standard error
    exit 100

``> @added`` stands for the Date, Message-ID and From that are added to a message that has none; DATE, ID and TIME.PID
stand for what the clock and the process decide.  ``<|`` and ``>|`` are a last line without its line end.  The envelope
is what the program under QMAILQUEUE got.
"""

import os
import re
import shlex
import subprocess
import sys
from dataclasses import dataclass, field
from pathlib import Path

SOURCE = Path(__file__).resolve().parents[3] / "src"
ADDED = ["Date: DATE", "Message-ID: ID@id.ex>", "From: u@dh.ex"]
CONTROL = {"me": "me.ex", "defaulthost": "dh.ex", "defaultdomain": "dd.ex", "plusdomain": "pd.ex", "idhost": "id.ex"}

_VARIABLE = [
    (re.compile(rb"^((?:Resent-)?Date: )\d{1,2} [A-Z][a-z]{2} \d{4} \d\d:\d\d:\d\d -0000$", re.M), rb"\1DATE"),
    (re.compile(rb"<\d{14}\.\d+\.qmail@"), b"ID@"),
    (re.compile(rb"^forward: qp \d+$", re.M), b"forward: qp PID"),
    (re.compile(rb"-\d{10}\.\d+(?=[-@])"), b"-TIME.PID"),
]


@dataclass
class Story:
    """One command and what comes of it."""

    title: str
    command: str = ""
    given: bytes = b""
    output: bytes = b""
    errors: bytes = b""
    envelope: list[str] = field(default_factory=list)
    code: int = 0


def read(path: Path) -> list[Story]:
    """Return the stories of a file."""
    stories: list[Story] = []
    for line in path.read_text().splitlines():
        mark, rest = line[:2], line[2:]
        if line.startswith("=== "):
            stories.append(Story(line[4:]))
        elif not line or line.startswith("#"):
            continue
        elif mark == "$ ":
            stories[-1].command = rest
        elif mark in {"< ", "<", "<|"}:
            stories[-1].given += _bytes(rest) + (b"" if mark == "<|" else b"\n")
        elif line == "> @added":
            stories[-1].output += "".join(f"{added}\n" for added in ADDED).encode()
        elif mark in {"> ", ">", ">|"}:
            stories[-1].output += _bytes(rest) + (b"" if mark == ">|" else b"\n")
        elif mark in {"F ", "F", "T ", "T"}:
            stories[-1].envelope.append(mark[0] + _bytes(rest).decode("utf-8", "backslashreplace"))
        elif mark == "E ":
            stories[-1].errors += rest.encode() + b"\n"
        elif line.startswith("exit "):
            stories[-1].code = int(line[5:])
        else:
            raise AssertionError(f"{path}: not understood: {line}")
    return stories


def _bytes(text: str) -> bytes:
    """Return the bytes of a line; backslash, letter x and two digits stand for a byte."""
    return re.sub(rb"\\x([0-9a-f]{2})", lambda match: bytes([int(match[1], 16)]), text.encode())


class Stage:
    """Where stories are played: a qmail home, and a queue program that keeps what it gets."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        (folder / "control").mkdir()
        for name, value in CONTROL.items():
            (folder / "control" / name).write_text(value + "\n")
        (folder / "follow-up").write_text("list@x.ex\n")
        self.queue = folder / "queue"
        self.queue.write_text(
            f"#!/bin/sh\ncat > {folder}/message\ncat <&1 > {folder}/envelope\n"
            'test -z "$QQ_SAYS" || printf %s "$QQ_SAYS" >&6\nexit ${QQ_EXIT:-0}\n'
        )
        self.queue.chmod(0o755)

    def play(self, story: Story) -> Story:
        """Run the command; return what came of it."""
        for name in ("message", "envelope"):
            (self.folder / name).unlink(missing_ok=True)
        *before, program = _split(story.command)
        environment = {
            "PATH": os.environ["PATH"],
            "USER": "u",
            "PAPERPATH_QMAIL_HOME": str(self.folder),
            "PAPERPATH_CONFIG": str(self.folder / "none.toml"),
            "QMAILQUEUE": str(self.queue),
            "QMAILMFTFILE": str(self.folder / "follow-up"),
        }
        environment |= dict(word.replace("\\x0a", "\n").split("=", 1) for word in before)
        for name in [name for name, value in environment.items() if value == "-"]:
            del environment[name]
        words = [word.replace("\\x0a", "\n") for word in shlex.split(program)]
        module = words[0].replace("-", "_")
        code = (
            f"import sys; sys.path.insert(0, {str(SOURCE)!r}); sys.argv[0] = {words[0]!r}\n"
            f"from paperpath.inject.run import run; from paperpath.inject.{module} import main; run(main, 99)"
        )
        done = subprocess.run(
            [sys.executable, "-I", "-S", "-c", code, *words[1:]],
            input=story.given,
            env=environment,
            capture_output=True,
        )
        return Story(
            story.title,
            story.command,
            story.given,
            self._output(done.stdout),
            _hide(done.stderr),
            self._envelope(),
            done.returncode,
        )

    def _output(self, printed: bytes) -> bytes:
        queued = self.folder / "message"
        return _hide(queued.read_bytes() if queued.exists() else printed)

    def _envelope(self) -> list[str]:
        path = self.folder / "envelope"
        if not path.exists():
            return []
        raw = path.read_bytes()
        assert raw.endswith(b"\0\0")
        return [_hide(part).decode("utf-8", "backslashreplace") for part in raw[:-2].split(b"\0")]


def _split(command: str) -> list[str]:
    """Return the variables, then the program with its arguments."""
    variables = []
    rest = command
    while match := re.match(r"([A-Z_]+)=('[^']*'|\S*) ", rest):
        variables.append(f"{match[1]}={shlex.split(match[2])[0] if match[2] else ''}")
        rest = rest[match.end() :]
    return [*variables, rest]


def _hide(data: bytes) -> bytes:
    for pattern, stand_in in _VARIABLE:
        data = pattern.sub(stand_in, data)
    return data
