"""qmail-pop3d as `paperpath programs` installs it, in the stories of pop3d/ and while others change the Maildir.

It does not serve root, as whom tests often run; here it believes that it is somebody else.
"""

import os
import subprocess
from pathlib import Path

import pytest
from click.testing import CliRunner

from paperpath.cli.main import main
from paperpath.inject import maildirs
from tests.peers import require_root
from tests.transcripts.programs.story import Story, play, read

STORIES = read(Path(__file__).parent / "pop3d/stories.txt")
_SOMEBODY = "import sys\nimport os; os.getuid = lambda: 65534\n"


@pytest.fixture(scope="module")
def installed(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("programs") / "bin"
    result = CliRunner().invoke(main, ["programs", str(folder)])
    assert result.exit_code == 0, result.output
    return folder


@pytest.fixture(scope="module")
def programs(installed: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    text = (installed / "qmail-pop3d").read_text()
    assert text.count("import sys\n") == 1
    program = tmp_path_factory.mktemp("somebody") / "qmail-pop3d"
    program.write_text(text.replace("import sys\n", _SOMEBODY))
    program.chmod(0o755)
    return program.parent


@pytest.mark.parametrize("story", STORIES, ids=[story.title for story in STORIES])
def test_story(tmp_path: Path, programs: Path, story: Story) -> None:
    assert play(story, tmp_path, programs) == story.expected


def test_messages_of_one_second_come_in_the_order_of_qmails_heap() -> None:
    """Worked out by hand from its rules: the last takes the place of the first, and equals do not change places."""
    order = [name for _, name in maildirs._by_time([(5, b"a"), (5, b"b"), (5, b"c"), (5, b"d")])]
    assert order == [b"a", b"d", b"c", b"b"]
    assert [name for _, name in maildirs._by_time([(5, b"a"), (4, b"b"), (5, b"c"), (1, b"d")])] == [
        b"d", b"b", b"c", b"a",
    ]  # fmt: skip
    assert maildirs._by_time([(9, b"a"), (8, b"b"), (7, b"c")]) == [(7, b"c"), (8, b"b"), (9, b"a")]


def test_root_is_not_served(tmp_path: Path, installed: Path) -> None:
    require_root()
    done = subprocess.run([installed / "qmail-pop3d", "."], cwd=tmp_path, input=b"", capture_output=True)
    assert (done.returncode, done.stdout) == (1, b"")
    assert done.stderr == b"qmail-pop3d invoked as uid 0, terminating\n"


class Talk:
    """A conversation with it."""

    def __init__(self, program: Path, home: Path) -> None:
        self.process = subprocess.Popen([program, "box"], cwd=home, stdin=subprocess.PIPE, stdout=subprocess.PIPE)
        assert self.line() == b"+OK \r\n"

    def line(self) -> bytes:
        assert self.process.stdout is not None
        return self.process.stdout.readline()

    def ask(self, command: bytes) -> bytes:
        assert self.process.stdin is not None
        self.process.stdin.write(command + b"\r\n")
        self.process.stdin.flush()
        return self.line()

    def end(self) -> int:
        self.process.communicate(timeout=30)
        return self.process.returncode


@pytest.fixture
def box(tmp_path: Path) -> Path:
    for name in ("tmp", "new", "cur"):
        (tmp_path / "box" / name).mkdir(parents=True)
    for age, name in ((300, "1.a"), (200, "2.b")):
        path = tmp_path / "box/new" / name
        path.write_bytes(b"x\n")
        stamp = path.stat().st_mtime - age
        os.utime(path, (stamp, stamp))
    return tmp_path / "box"


def test_messages_that_others_remove(programs: Path, box: Path) -> None:
    talk = Talk(programs / "qmail-pop3d", box.parent)
    (box / "new/1.a").unlink()
    (box / "new/2.b").unlink()
    assert talk.ask(b"RETR 1") == b"-ERR unable to open that message\r\n"
    assert talk.ask(b"LIST 1") == b"+OK 1 2\r\n"
    assert talk.ask(b"DELE 1") == talk.ask(b"DELE 2") == b"+OK \r\n"
    assert talk.ask(b"QUIT") == b"-ERR unable to unlink all deleted messages\r\n"
    assert talk.line() == b"-ERR unable to unlink all deleted messages\r\n"
    assert talk.line() == b"+OK \r\n"
    assert talk.end() == 0
    assert os.listdir(box / "new") == []


def test_a_message_that_breaks_off_does_not_look_whole(programs: Path, box: Path) -> None:
    talk = Talk(programs / "qmail-pop3d", box.parent)
    (box / "new/1.a").unlink()
    (box / "new/1.a").mkdir()
    assert talk.ask(b"RETR 1") == b"+OK \r\n"
    assert talk.line() == b""
    assert talk.end() == 0


def test_popup_checkpassword_and_pop3d_in_a_row(installed: Path, programs: Path, box: Path) -> None:
    """As tcpserver starts them: the program under qmail-popup becomes qmail-pop3d."""
    check = box.parent / "check"
    check.write_text('#!/bin/sh\ncat <&3 >/dev/null\nexec 3<&-\nexec "$@"\n')
    check.chmod(0o755)
    command: list[str | Path] = [installed / "qmail-popup", "pop.ex", check, programs / "qmail-pop3d", "box"]
    dialogue = b"USER joe\r\nPASS x\r\n"
    process = subprocess.Popen(command, cwd=box.parent, stdin=subprocess.PIPE, stdout=subprocess.PIPE)
    assert process.stdin is not None and process.stdout is not None
    process.stdin.write(dialogue)
    process.stdin.flush()
    assert process.stdout.readline().startswith(b"+OK <")
    assert process.stdout.readline() == process.stdout.readline() == b"+OK \r\n"
    output, _ = process.communicate(b"STAT\r\nQUIT\r\n", timeout=30)
    assert output == b"+OK 2 4\r\n+OK \r\n"
    assert process.returncode == 1
