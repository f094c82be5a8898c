"""qmail-qmqpc: exit codes are all that it says; what it sends is told by a server that is not ours."""

import os
import socket
import subprocess
import sys
import threading
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.peers import require_peer
from tests.qmtp_client import string
from tests.service import free_port

SOURCE = Path(__file__).resolve().parents[3] / "src"
ENVELOPE = b"Fa@x.ex\0Tjoe@y.ex\0Tann@y.ex\0\0"
REQUEST = string(string(b"Subject: x\n\nbody\n") + string(b"a@x.ex") + string(b"joe@y.ex") + string(b"ann@y.ex"))
CODE = f"""\
import sys; sys.path.insert(0, {str(SOURCE)!r})
from paperpath.inject import qmail_qmqpc
qmail_qmqpc.PORT, qmail_qmqpc._STEP_S = int(sys.argv[1]), float(sys.argv[2])
sys.exit(qmail_qmqpc.main(sys.argv))
"""


class Server:
    """Takes one connection, reads what comes, and answers."""

    def __init__(self, answer: bytes, reads: int = len(REQUEST)) -> None:
        self._socket = socket.create_server(("127.0.0.1", 0))
        self.port = self._socket.getsockname()[1]
        self.seen = b""
        self._answer, self._reads = answer, reads
        self._thread = threading.Thread(target=self._serve)
        self._thread.start()

    def _serve(self) -> None:
        with self._socket, self._socket.accept()[0] as connection:
            connection.settimeout(20)
            while len(self.seen) < self._reads:
                self.seen += connection.recv(self._reads - len(self.seen))
            connection.sendall(self._answer)
            if not self._answer:
                connection.recv(1)

    def join(self) -> bytes:
        self._thread.join()
        return self.seen


def run(
    home: Path, port: int, message: bytes = b"Subject: x\n\nbody\n", envelope: bytes = ENVELOPE, step_s: float = 20
) -> int:
    """Run it with the message on descriptor 0 and the envelope on descriptor 1; return its exit code."""
    (home / "envelope").write_bytes(envelope)
    with open(home / "envelope", "rb") as given:
        done = subprocess.run(
            [sys.executable, "-IS", "-c", CODE, str(port), str(step_s)],
            input=message,
            stdout=given,
            stderr=subprocess.PIPE,
            env={"PAPERPATH_QMAIL_HOME": str(home), "PAPERPATH_CONFIG": str(home / "none")},
        )
    assert not done.stderr, done.stderr
    return done.returncode


@pytest.fixture
def home(tmp_path: Path) -> Path:
    (tmp_path / "control").mkdir()
    (tmp_path / "control" / "qmqpservers").write_text("# ours\n\n127.0.0.1\n")
    return tmp_path


@pytest.mark.parametrize(
    ("answer", "code"),
    [
        (b"3:Kok,", 0),
        (b"1:K", 0),
        (b"5:Dbad,,", 31),
        (b"4:Znow,", 71),
        (b"3:Xok,", 74),
        (b"x:Kok,", 74),
        (b"3:", 74),
        (b"no netstring" * 1000, 74),
    ],
)
def test_the_servers_verdict(home: Path, answer: bytes, code: int) -> None:
    server = Server(answer)
    assert run(home, server.port) == code
    assert server.join() == REQUEST


@pytest.mark.interop
def test_postfix_s_sink_takes_it(home: Path) -> None:
    port = free_port()
    sink = [str(require_peer("qmqp-sink")), "-c", f"inet:127.0.0.1:{port}", "10"]
    with subprocess.Popen(sink, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE) as running:
        assert running.stdout is not None
        while (code := run(home, port)) == 73:  # it does not listen yet
            assert running.poll() is None
        assert code == 0
        assert running.stdout.read(1) == b"1"
        running.terminate()


def test_a_server_that_says_nothing(home: Path) -> None:
    server = Server(b"")
    assert run(home, server.port, step_s=0.1) == 74
    server.join()


def closed_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def test_no_server_answers(home: Path) -> None:
    assert run(home, closed_port()) == 73


def test_the_first_that_takes_the_connection_decides(home: Path) -> None:
    servers = home / "control" / "qmqpservers"
    servers.write_text("not an address\n127.0.0\n256.0.0.1\n127.0.0.2\n127.0.0.1 with words\n127.0.0.3\n")
    server = Server(b"4:Znow,")  # nobody listens at the others, and 127.0.0.3 is not asked
    assert run(home, server.port) == 71
    assert server.join() == REQUEST


def _remove(path: Path) -> None:
    path.unlink()


def _spoil(path: Path) -> None:
    path.unlink()
    path.mkdir()


@pytest.mark.parametrize(
    "change", [_remove, _spoil, lambda path: path.write_text(""), lambda path: path.write_text("mail.ex\n::1\n")]
)
def test_no_servers_are_listed(home: Path, change: Callable[[Path], object]) -> None:
    change(home / "control" / "qmqpservers")
    assert run(home, closed_port()) == 55


def test_no_home(tmp_path: Path) -> None:
    (tmp_path / "envelope").write_bytes(ENVELOPE)
    with open(tmp_path / "envelope", "rb") as given:
        code = [sys.executable, "-IS", "-c", CODE, "1", "1"]
        environment = {"PAPERPATH_QMAIL_HOME": str(tmp_path / "none"), "PATH": os.defpath}
        assert subprocess.run(code, input=b"", stdout=given, env=environment).returncode == 61


@pytest.mark.parametrize(
    ("envelope", "code"),
    [
        (b"", 54),
        (b"F", 54),
        (b"Fa@x.ex\0", 54),
        (b"Fa@x.ex\0Tjoe@y.ex", 54),
        (b"Fa@x.ex\0Tjoe@y.ex\0", 54),
        (b"Ta@x.ex\0\0", 91),
        (b"Fa@x.ex\0Fjoe@y.ex\0\0", 91),
        (b"\0", 91),
    ],
)
def test_envelopes_that_are_none(home: Path, envelope: bytes, code: int) -> None:
    assert run(home, closed_port(), envelope=envelope) == code


def test_an_envelope_of_nobody(home: Path) -> None:
    expected = string(string(b"x") + string(b""))
    server = Server(b"3:Kok,", len(expected))
    assert run(home, server.port, message=b"x", envelope=b"F\0\0") == 0
    assert server.join() == expected
