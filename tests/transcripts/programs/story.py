"""The small qmail programs' transcripts as data: files, a command, what goes in, what must come out.

    === title
    folder home/joe
    file users/assign mode=0644 age=100        (or stamp=100: seconds since the epoch)
    | a line of that file
    cdb table.cdb
    | a line that setforward makes it of
    rules rules.cdb
    | a line that tcprules makes it of
    link name target
    $ NAME=value program argument
    < a line of standard input                 (or <@ file)
    6< file                                    (what can be read on descriptor 6; 7> what is written to 7)
    > a line on standard output
    E a line on standard error
    C a line of standard input that ends in CR LF
    S a line on standard output that ends in CR LF
    Q a line of what is queued
    F envelope sender
    T envelope recipient
    exit 100
    made users/other
    | a line that the file must have after it
    gone new/a

Each story has a folder of its own, where the program runs and which is the qmail home; HOME stands for it.  A cdb file
is shown as its records, ``key -> [data]``.  A mark with ``|`` behind it (``<|``, ``||``) is a last line without its
line end; backslash, x and two digits stand for a byte.  ``NAME=-`` takes a variable away.  The queue is the program
under QMAILQUEUE.
"""

import os
import re
import shlex
import subprocess
import time
from dataclasses import dataclass, field
from pathlib import Path

from paperpath.base import tcp_rules
from paperpath.base.cdb import Cdb, build
from paperpath.inject.setforward import records

_QUEUE = "#!/bin/sh\ncat > {0}/.message\ncat <&1 > {0}/.envelope\nexit ${{QQ_EXIT:-0}}\n"
_START = time.time()
_PREAMBLE = re.compile(
    rb"\Aqmail home directory: HOME\.\nuser-ext delimiter: -\.\npaternalism \(in decimal\): 2\.\n"
    rb"silent concurrency limit: 120\.\nsubdirectory split: 23\.\n"
    rb"user ids: (?:(?:\d+|none), ){7}(?:\d+|none)\.\ngroup ids: (?:\d+|none), (?:\d+|none)\.\n"
)
"""How qmail-showctl begins."""
_VARIABLE = (
    (re.compile(rb"\b\d+:(Kok )\d+ qp \d+,"), rb"N:\1TIME qp PID,"),
    (re.compile(rb"\bqp \d+(?=\r?$)", re.MULTILINE), b"qp PID"),
    (re.compile(rb"<\d+\.\d+(?=@)"), b"<PID.TIME"),
    (re.compile(rb"\bpid \d+(?=: )"), b"pid PID"),
    (re.compile(rb"^250 ok \d+", re.MULTILINE), b"250 ok TIME"),
    (re.compile(rb"\b\d{1,2} [A-Z][a-z]{2} \d{4} \d\d:\d\d:\d\d -0000$", re.MULTILINE), b"DATE"),
)
"""What clock and kernel decide."""


@dataclass
class Thing:
    """A file, folder or link."""

    kind: str
    path: str
    mode: int | None = None
    stamp: float = 0
    content: bytes = b""


@dataclass
class Seen:
    """What comes of a command."""

    output: bytes = b""
    errors: bytes = b""
    queued: bytes = b""
    envelope: list[str] = field(default_factory=list)
    code: int = 0
    made: dict[str, bytes] = field(default_factory=dict)
    still_there: list[str] = field(default_factory=list)


@dataclass
class Story:
    """A command in its surroundings."""

    title: str
    things: list[Thing] = field(default_factory=list)
    command: str = ""
    given: bytes = b""
    given_file: str = ""
    others: list[tuple[int, str]] = field(default_factory=list)
    """Descriptors beside the usual, and their files."""
    expected: Seen = field(default_factory=Seen)
    gone: list[str] = field(default_factory=list)

    @property
    def program(self) -> str:
        """The name of the program that it runs."""
        return split(self.command)[1][0]


def read(path: Path) -> list[Story]:
    """Return the stories of a file."""
    stories: list[Story] = []
    for line in path.read_text().splitlines():
        if line.startswith("=== "):
            stories.append(Story(line[4:]))
        elif line and not line.startswith("#"):
            _take(stories[-1], line)
    return stories


def _take(story: Story, line: str) -> None:
    mark, rest = line[:2], line[2:]
    expected = story.expected
    word, *words = line.split()
    if mark == "$ ":
        story.command = rest
    elif word == "<@":
        story.given_file = words[0]
    elif word in {"6<", "7>"}:
        story.others.append((int(word[0]), words[0]))
    elif mark[0] in "<>EQCS|" and mark[1:] in {"", " ", "|"}:
        end = b"\r\n" if mark[0] in "CS" else b"\n"
        data = _bytes(rest.removeprefix(" ")) if mark[1:] == "|" else _bytes(rest) + end
        if mark[0] in "<C":
            story.given += data
        elif mark[0] in ">S":
            expected.output += data
        elif mark[0] == "E":
            expected.errors += data
        elif mark[0] == "Q":
            expected.queued += data
        elif expected.made:
            expected.made[list(expected.made)[-1]] += data
        else:
            story.things[-1].content += data
    elif mark in {"F ", "F", "T ", "T"}:
        expected.envelope.append(mark[0] + rest)
    elif word in {"file", "folder", "link", "cdb", "rules"}:
        options = dict(option.split("=") for option in words[1:] if "=" in option)
        mode = int(options["mode"], 8) if "mode" in options else None
        content = words[1].encode() if word == "link" else b""
        stamp = float(options["stamp"]) if "stamp" in options else _START - float(options.get("age", "0"))
        story.things.append(Thing(word, words[0], mode, stamp, content))
    elif word == "made":
        expected.made[words[0]] = b""
    elif word == "gone":
        story.gone.append(words[0])
    elif word == "exit":
        expected.code = int(words[0])
    else:
        raise AssertionError(f"not understood: {line}")


def _bytes(text: str) -> bytes:
    return re.sub(rb"\\x([0-9a-f]{2})", lambda match: bytes([int(match[1], 16)]), text.encode())


def split(command: str) -> tuple[dict[str, str], list[str]]:
    """Return the variables, then the program with its arguments."""
    words = shlex.split(command)
    count = next(at for at, word in enumerate(words) if not re.match(r"[A-Z_]+=", word))
    return dict(word.split("=", 1) for word in words[:count]), words[count:]


def play(story: Story, folder: Path, programs: Path) -> Seen:
    """Run the command in ``folder``; return what came of it."""
    home = str(folder)
    for thing in story.things:
        _make(thing, folder)
    queue = folder / ".queue"
    queue.write_text(_QUEUE.format(folder))
    queue.chmod(0o755)
    (folder / ".input").write_bytes(_filled(story.given, home))
    variables, words = split(_filled(story.command.encode(), home).decode())
    environment = {
        "PATH": f"{programs}:{os.environ['PATH']}",
        "PAPERPATH_QMAIL_HOME": str(folder),
        "PAPERPATH_CONFIG": str(folder / "none.toml"),
        "QMAILQUEUE": str(queue),
        "SENDER": "s@x.ex",
        "NEWSENDER": "new@x.ex",
        "DTLINE": "Delivered-To: joe@h.ex\n",
        "RPLINE": "Return-Path: <s@x.ex>\n",
        "UFLINE": "From s@x.ex Thu Jan 01 00:00:00 1970\n",
        "USER": "joe",
        "LOCAL": "joe",
        "HOST": "h.ex",
        "RECIPIENT": "joe@h.ex",
        **variables,
    }
    for name in [name for name, value in environment.items() if value == "-"]:
        del environment[name]
    words[0] = str(programs / words[0])
    if story.others:
        turned = " ".join(f"{number}{'<' if number == 6 else '>'}{shlex.quote(name)}" for number, name in story.others)
        words = ["/bin/sh", "-c", f'exec "$@" {turned}', "sh", *words]
    with open(folder / (story.given_file or ".input"), "rb") as given:
        done = subprocess.run(words, stdin=given, env=environment, cwd=folder, capture_output=True)
    return Seen(
        _hidden(done.stdout, home),
        _hidden(done.stderr, home),
        _hidden(_content(folder / ".message"), home),
        _envelope(folder / ".envelope"),
        done.returncode,
        {name: _hidden(_shown(folder / name), home) for name in story.expected.made},
        [name for name in story.gone if (folder / name).exists()],
    )


def _make(thing: Thing, folder: Path) -> None:
    path = folder / thing.path
    if thing.kind == "folder":
        path.mkdir(parents=True, exist_ok=True)
    else:
        path.parent.mkdir(parents=True, exist_ok=True)
    if thing.kind == "link":
        path.symlink_to(thing.content.decode())
    elif thing.kind == "cdb":
        path.write_bytes(build(records(thing.content)))
    elif thing.kind == "rules":
        path.write_bytes(build(tcp_rules.records(thing.content)))
    elif thing.kind == "file":
        path.write_bytes(_filled(thing.content, str(folder)))
    if thing.mode is not None:
        path.chmod(thing.mode)
    if thing.kind == "file":
        os.utime(path, (thing.stamp, thing.stamp))


def _filled(data: bytes, home: str) -> bytes:
    return re.sub(rb"\bHOME\b", home.encode(), data)


def _hidden(data: bytes, home: str) -> bytes:
    data = _PREAMBLE.sub(b"@preamble\n", data.replace(home.encode(), b"HOME"))
    for pattern, stand_in in _VARIABLE:
        data = pattern.sub(stand_in, data)
    return data


def _shown(path: Path) -> bytes:
    content = _content(path)
    if not content or not path.name.endswith("cdb"):
        return content
    return b"".join(key + b" -> [" + data + b"]\n" for key, data in Cdb(content))


def _content(path: Path) -> bytes:
    return path.read_bytes() if path.exists() else b""


def _envelope(path: Path) -> list[str]:
    raw = _content(path)
    if not raw:
        return []
    assert raw.endswith(b"\0\0")
    return [part.decode() for part in raw[:-2].split(b"\0")]
