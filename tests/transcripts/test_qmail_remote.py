"""qmail-remote against a server that plays its part of `qmail_remote/*.txt`.

    === title
    control NAME VALUE          (another line of that control file; - takes the file away)
    $ host sender recipient...
    < a line of the message     (<| without its line end)
    S what the server says      (CR LF at its end)
    C what it must hear         (likewise; C| up to the end of the connection)
    hang up                     (the server closes)
    silence                     (the server says nothing until the client is gone)
    R an item of the report     (NUL at its end)

Without S lines nobody listens.  Each host of a story is reached by a route, unless it has routes of its own.
"""

import re
import shlex
import socket
import subprocess
import sys
import threading
from dataclasses import dataclass, field
from pathlib import Path

import pytest

SOURCE = Path(__file__).resolve().parents[2] / "src"
FOLDER = Path(__file__).parent / "qmail_remote"


@dataclass
class Story:
    """One run of the program."""

    title: str
    control: dict[str, list[str]] = field(default_factory=lambda: {"me": ["me.ex"]})
    words: list[str] = field(default_factory=list)
    message: bytes = b""
    dialogue: list[tuple[str, bytes]] = field(default_factory=list)
    report: bytes = b""


def _bytes(text: str) -> bytes:
    text = text.replace("\\n", "\n")
    return re.sub(rb"\\x([0-9a-f]{2})", lambda match: bytes([int(match[1], 16)]), text.encode())


def read() -> list[Story]:
    """Return all stories."""
    stories: list[Story] = []
    for line in (FOLDER / "dialogues.txt").read_text().splitlines():
        if line.startswith("=== "):
            stories.append(Story(line[4:]))
        elif line and not line.startswith("#"):
            _take(stories[-1], line)
    return stories


def _take(story: Story, line: str) -> None:
    mark, rest = line[:2], line[2:]
    if line.startswith("control "):
        _, name, value = line.split(" ", 2)
        story.control.setdefault(name, []).append(value)
    elif mark == "$ ":
        story.words = [_bytes(word).decode() for word in shlex.split(rest)]
    elif mark in {"< ", "<", "<|"}:
        story.message += _bytes(rest.removeprefix(" ")) if mark == "<|" else _bytes(rest) + b"\n"
    elif mark in {"S ", "C ", "C"}:
        story.dialogue.append((mark[0], _bytes(rest) + b"\r\n"))
    elif mark == "C|":
        story.dialogue.append(("|", _bytes(rest.removeprefix(" "))))
    elif line in {"hang up", "silence"}:
        story.dialogue.append((line, b""))
    elif mark == "R ":
        story.report += _bytes(rest) + b"\0"
    else:
        raise AssertionError(f"not understood: {line}")


def _serve(listener: socket.socket, dialogue: list[tuple[str, bytes]], heard: list[tuple[str, bytes]]) -> None:
    connection, _ = listener.accept()
    connection.settimeout(20)
    with connection, connection.makefile("rb") as lines:
        for who, text in dialogue:
            if who == "S":
                connection.sendall(text)
                heard.append((who, text))
            elif who == "hang up":
                heard.append((who, text))
                return
            else:
                heard.append((who, lines.readline()))


STORIES = read()


@pytest.mark.parametrize("story", STORIES, ids=[story.title for story in STORIES])
def test_story(tmp_path: Path, story: Story) -> None:
    heard: list[tuple[str, bytes]] = []
    with socket.create_server(("127.0.0.1", 0)) as listener:
        routes = story.control.setdefault("smtproutes", [f":127.0.0.1:{listener.getsockname()[1]}"])
        server = threading.Thread(target=_serve, args=(listener, story.dialogue, heard))
        if story.dialogue:
            server.start()
        else:
            assert story.report.startswith(b"D") or routes[0].endswith(":1") or story.control["me"][-1] == "-"
        done = _run(tmp_path, story)
        if story.dialogue:
            server.join()
    assert done.stdout == story.report
    assert heard == story.dialogue
    assert (done.stderr, done.returncode) == (b"", 0)


def _run(folder: Path, story: Story) -> "subprocess.CompletedProcess[bytes]":
    (folder / "control").mkdir()
    for name, lines in story.control.items():
        if lines[-1] != "-":
            (folder / "control" / name).write_text("".join(f"{line}\n" for line in lines))
    code = (
        f"import sys; sys.path.insert(0, {str(SOURCE)!r}); sys.argv[0] = 'qmail-remote'\n"
        "from paperpath.inject.run import run; from paperpath.inject.qmail_remote import main; run(main, 99)"
    )
    return subprocess.run(
        [sys.executable, "-I", "-c", code, *story.words],
        input=story.message,
        env={"PAPERPATH_QMAIL_HOME": str(folder), "PAPERPATH_CONFIG": str(folder / "none.toml")},
        capture_output=True,
    )
