"""maildirsmtp and maildirqmtp to a server on their port, and serialmail's answers where a transcript would be long."""

import os
import socket
import subprocess
import sys
import threading
from pathlib import Path

import pytest

from paperpath.inject.serial import answer
from tests.peers import require_root

SOURCE = Path(__file__).resolve().parents[3] / "src"
HOST = "127.0.0.77"
"""An address of this machine that no other test listens on."""


def serve(listener: socket.socket, replies: dict[bytes, bytes], heard: list[bytes]) -> None:
    connection, _ = listener.accept()
    connection.settimeout(20)
    with connection, connection.makefile("rb") as lines:
        connection.sendall(replies.get(b"", b""))
        for line in lines:
            heard.append(line)
            for begin, reply in replies.items():
                if begin and line.startswith(begin):
                    connection.sendall(reply)


@pytest.mark.parametrize(
    ("program", "port", "words", "replies", "last"),
    [
        (
            "maildirsmtp",
            25,
            ["helo.ex"],
            {b"": b"220 hi\r\n", b"EHLO": b"250 me\r\n", b"MAIL": b"250 ok\r\n", b"RCPT": b"250 ok\r\n",
             b"DATA": b"354 go\r\n", b".\r": b"250 taken\r\n"},
            b"QUIT\r\n",
        ),
        ("maildirqmtp", 209, [], {b"text": b"6:Ktaken,"}, b",6:s@x.ex,14:10:joe@far.ex,,"),
    ],
)  # fmt: skip
def test_to_a_server_on_its_port(
    tmp_path: Path, program: str, port: int, words: list[str], replies: dict[bytes, bytes], last: bytes
) -> None:
    require_root()
    for name in ("tmp", "new", "cur"):
        (tmp_path / name).mkdir()
    message = tmp_path / "new/1"
    message.write_bytes(b"Return-Path: <s@x.ex>\nDelivered-To: p-joe@far.ex\n\ntext\n")
    os.utime(message, (1000, 1000))
    heard: list[bytes] = []
    code = (
        f"import sys; sys.path.insert(0, {str(SOURCE)!r}); sys.argv[0] = {program!r}\n"
        "from paperpath.inject.run import run; from paperpath.inject.maildirsmtp import main; run(main, 99)"
    )
    with socket.create_server((HOST, port)) as listener:
        server = threading.Thread(target=serve, args=(listener, replies, heard))
        server.start()
        done = subprocess.run(
            [sys.executable, "-I", "-S", "-c", code, str(tmp_path), "p-", HOST, *words],
            env={"PAPERPATH_QMAIL_HOME": str(tmp_path), "PATH": os.defpath},
            capture_output=True,
        )
        server.join()
    said = b"taken" if port == 209 else b"250 taken"
    assert done.stderr == b"maildirserial: info: new/1 succeeded: 127.0.0.77 said: " + said + b"\n"
    assert (done.returncode, done.stdout) == (0, b"")
    assert heard[-1] == last
    assert not message.exists()


def test_a_host_that_cannot_be_reached_refuses_nothing(tmp_path: Path) -> None:
    for name in ("tmp", "new", "cur"):
        (tmp_path / name).mkdir()
    message = tmp_path / "new/1"
    message.write_bytes(b"Return-Path: <s@x.ex>\nDelivered-To: p-joe@far.ex\n\ntext\n")
    os.utime(message, (1000, 1000))
    code = (
        f"import sys; sys.path.insert(0, {str(SOURCE)!r}); sys.argv[0] = 'maildirsmtp'\n"
        "from paperpath.inject.run import run; from paperpath.inject.maildirsmtp import main; run(main, 99)"
    )
    done = subprocess.run(
        [sys.executable, "-I", "-S", "-c", code, str(tmp_path), "p-", "127.0.0.78", "h.ex"],
        env={"PAPERPATH_QMAIL_HOME": str(tmp_path), "PATH": os.defpath},
        capture_output=True,
    )
    assert done.stderr.startswith(b"maildirsmtp: fatal: unable to connect to 127.0.0.78: connection refused\n")
    assert done.stderr.endswith(b"\nmaildirserial: fatal: making no progress, giving up\n")
    assert done.returncode == 111
    assert message.exists()


def test_answers_are_cut_and_cleaned(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("TCPREMOTEIP", raising=False)
    assert answer(b"new/1", b"K", b"x\t\xff" + b"y" * 3000) == b"new/1\0Kx??" + b"y" * 1996 + b"\n"
