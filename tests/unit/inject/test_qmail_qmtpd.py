"""qmail-qmtpd and qmail-qmqpd: how long they live, and what becomes of a client that does not listen."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

from tests.qmtp_client import package, string

SOURCE = Path(__file__).resolve().parents[3] / "src"
MAIL = {
    "qmail_qmtpd": package(b"\nx\n", b"", [b"joe@x.ex"]),
    "qmail_qmqpd": string(string(b"x\n") + string(b"") + string(b"joe@x.ex")),
}


def call(module: str, home: Path, more: str = "") -> tuple[list[str], dict[str, str]]:
    code = f"import sys; sys.path.insert(0, {str(SOURCE)!r}); from paperpath.inject import {module}; {more}\n"
    code += f"sys.exit({module}.main(sys.argv))"
    queue = home / "queue"
    queue.write_text("#!/bin/sh\ncat > /dev/null\ncat <&1 > /dev/null\n")
    queue.chmod(0o755)
    return [sys.executable, "-IS", "-c", code], {
        "PAPERPATH_QMAIL_HOME": str(home),
        "QMAILQUEUE": str(queue),
        "PATH": os.defpath,
    }


@pytest.mark.parametrize("module", MAIL)
def test_a_session_has_its_time(module: str, tmp_path: Path) -> None:
    words, environment = call(module, tmp_path, f"{module}._SESSION_MOST_S = 1")
    with subprocess.Popen(words, env=environment, stdin=subprocess.PIPE, stdout=subprocess.PIPE) as program:
        assert program.wait(30) == 111


@pytest.mark.parametrize("module", MAIL)
def test_a_client_that_is_gone_when_it_is_answered(module: str, tmp_path: Path) -> None:
    words, environment = call(module, tmp_path)
    reader, writer = os.pipe()
    os.close(reader)
    with os.fdopen(writer, "wb") as gone:
        done = subprocess.run(words, env=environment, input=MAIL[module], stdout=gone, stderr=subprocess.PIPE)
    assert (done.returncode, done.stderr) == (0, b"")


@pytest.mark.parametrize("step", [1, 7])
def test_bytes_that_come_apart(step: int, tmp_path: Path) -> None:
    words, environment = call("qmail_qmtpd", tmp_path)
    data = MAIL["qmail_qmtpd"] * 3
    with subprocess.Popen(words, env=environment, stdin=subprocess.PIPE, stdout=subprocess.PIPE, bufsize=0) as program:
        assert program.stdin is not None and program.stdout is not None
        for at in range(0, len(data), step):
            program.stdin.write(data[at : at + step])
        program.stdin.close()
        said = program.stdout.read()
        assert program.wait(30) == 0
    assert said.count(b":Kok ") == 3
