"""qmail-queue's exit codes (qmail-interfaces 9), each from a process; cases 60 to 63 by number."""

import os
import socket
import subprocess
import sys
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

from paperpath.inject.qmail_queue import BadEnvelope, read_envelope
from paperpath.protocol.netstring import netstring
from paperpath.system.injection import read_to_end_or_map

SOURCE = Path(__file__).resolve().parents[3] / "src"


class Host:
    """A configuration, and perhaps something that listens where the server would."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.config = folder / "paperpath.toml"
        self.config.write_text('hostname = "mx.here.test"\n[paths]\nstate = "state"\nrun = "run"\n')
        (folder / "run").mkdir()
        (folder / "state" / "drop").mkdir(parents=True)

    def listen(self, answer: bytes | None) -> None:
        """Answer one request so; None: hang up at once."""
        listener = socket.socket(socket.AF_UNIX)
        listener.bind(str(self.folder / "run" / "inject"))
        listener.listen()

        def serve() -> None:
            with listener, listener.accept()[0] as sock:
                while answer is not None and not sock.recv(65536).endswith(b",,"):
                    pass
                sock.sendall(answer or b"")

        threading.Thread(target=serve, daemon=True).start()

    def queue(self, message: bytes | None, envelope: bytes | None, **environment: str) -> int:
        """Run qmail-queue; None: that descriptor is closed."""
        code = (
            f"import sys; sys.path.insert(0, {str(SOURCE)!r})\n"
            "from paperpath.inject.run import run; from paperpath.inject.qmail_queue import main; run(main, 81)"
        )
        ends = [_pipe_with(data) for data in (message, envelope)]

        def arrange() -> None:
            for number, end in enumerate(ends):
                os.close(number) if end is None else os.dup2(end, number)

        done = subprocess.run(
            [sys.executable, "-I", "-S", "-c", code],
            preexec_fn=arrange,
            env={"PAPERPATH_CONFIG": str(self.config), **environment},
            stderr=subprocess.PIPE,
            pass_fds=[end for end in ends if end is not None],
        )
        for end in ends:
            if end is not None:
                os.close(end)
        assert done.stderr == b""
        return done.returncode

    def dropped(self) -> list[Path]:
        return sorted((self.folder / "state" / "drop").iterdir())


def _pipe_with(data: bytes | None) -> int | None:
    if data is None:
        return None
    if len(data) > 60_000:  # more than a pipe holds
        file = os.memfd_create("message")
        with open(file, "wb", closefd=False) as writing:
            writing.write(data)
        os.lseek(file, 0, os.SEEK_SET)
        return file
    reader, writer = os.pipe()
    os.write(writer, data)
    os.close(writer)
    return reader


@pytest.fixture
def host(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Host]:
    yield Host(tmp_path_factory.mktemp("q"))


def test_60_envelope_without_its_last_nul(host: Host) -> None:
    assert host.queue(b"x\n", b"Fa@x\0Tb@x\0") == 54
    assert host.dropped() == []


def test_61_envelope_that_begins_otherwise(host: Host) -> None:
    assert host.queue(b"x\n", b"Xa@x\0Tb@x\0\0") == 91
    assert host.dropped() == []


def test_62_recipient_too_long(host: Host) -> None:
    assert host.queue(b"x\n", b"Fa@x\0T" + b"b" * 1003 + b"\0\0") == 11
    assert host.dropped() == []


def test_63_no_recipients(host: Host) -> None:
    host.listen(netstring(b"Kok"))
    assert host.queue(b"x\n", b"Fa@x\0\0") == 0


@pytest.mark.parametrize(("envelope", "code"), [(b"", 54), (b"F", 54), (b"Fa\0X\0", 91), (b"Fa\0T", 54), (b"\0", 91)])
def test_bad_envelopes(host: Host, envelope: bytes, code: int) -> None:
    assert host.queue(b"x\n", envelope) == code


def test_closed_descriptors(host: Host) -> None:
    assert host.queue(None, b"Fa\0Tb\0\0") == 54
    assert host.queue(b"x\n", None) == 54


@pytest.mark.parametrize(("answer", "code"), [(b"Kok 1 qp 2", 0), (b"Zlater", 71), (b"Dnever", 31)])
def test_what_the_server_says(host: Host, answer: bytes, code: int) -> None:
    host.listen(netstring(answer))
    assert host.queue(b"x\n", b"Fa@x\0Tb@x\0\0") == code
    assert host.dropped() == []


@pytest.mark.parametrize("answer", [None, b"", b"nonsense", b"5:Kok", netstring(b"Kok") * 2])
def test_a_server_that_breaks_off_has_not_accepted(host: Host, answer: bytes | None) -> None:
    host.listen(answer)
    assert host.queue(b"x\n", b"Fa@x\0Tb@x\0\0") == 74
    assert host.dropped() == []


@pytest.mark.parametrize("left_over", [False, True])
def test_without_a_server_the_message_is_left_whole(host: Host, left_over: bool) -> None:
    if left_over:  # a socket that nobody listens on any more
        with socket.socket(socket.AF_UNIX) as listener:
            listener.bind(str(host.folder / "run" / "inject"))
    assert host.queue(b"Subject: x\n\n\0y", b"Fa@x\0Tb@x\0Tc@x\0\0") == 0
    (file,) = host.dropped()
    inner = netstring(b"Subject: x\n\n\0y") + netstring(b"a@x") + netstring(b"b@x") + netstring(b"c@x")
    assert file.read_bytes() == b"paperpath-drop 1\n" + netstring(inner)
    assert file.stat().st_mode & 0o7777 == 0o640


def test_without_a_drop_folder_nothing_is_accepted(host: Host) -> None:
    (host.folder / "state" / "drop").rmdir()
    assert host.queue(b"x\n", b"Fa@x\0Tb@x\0\0") == 53


def test_without_a_configuration(host: Host) -> None:
    host.config.unlink()
    assert host.queue(b"x\n", b"Fa@x\0Tb@x\0\0") == 55


def test_a_message_larger_than_is_taken(host: Host) -> None:
    host.config.write_text(host.config.read_text() + "[receive]\nmessage_size = 10\n")
    assert host.queue(b"x" * 10, b"Fa@x\0Tb@x\0\0") == 0
    assert host.queue(b"x" * 11, b"Fa@x\0Tb@x\0\0") == 31


def test_qmailqueue_is_for_callers_and_not_for_qmail_queue(host: Host) -> None:
    assert host.queue(b"x\n", b"Fa@x\0Tb@x\0\0", QMAILQUEUE="/nonexistent") == 0
    assert len(host.dropped()) == 1


def test_the_longest_addresses_that_qmail_takes() -> None:
    longest = b"b" * 1002
    assert read_envelope(b"F" + longest + b"\0T" + longest + b"\0\0", 1002) == (longest, [longest])
    with pytest.raises(BadEnvelope) as error:
        read_envelope(b"F" + longest + b"b", 1002)
    assert error.value.code == 11


def test_what_follows_the_envelope_is_not_looked_at() -> None:
    assert read_envelope(b"F\0Tb\0\0Tc\0", 1002) == (b"", [b"b"])


@pytest.mark.parametrize("size", [10, 100_000, 4 * 1024 * 1024 + 1, 9_000_000])
def test_a_message_of_any_size_is_whole_and_does_not_pile_up_in_memory(host: Host, size: int) -> None:
    message = b"Subject: x\n\n" + b"0123456789abcdef" * (size // 16)
    assert host.queue(message, b"Fa@x.ex\0Tb@x.ex\0\0") == 0
    (dropped,) = (host.folder / "state/drop").iterdir()
    request = netstring(netstring(message) + netstring(b"a@x.ex") + netstring(b"b@x.ex"))
    assert dropped.read_bytes() == b"paperpath-drop 1\n" + request
    if size > 4 * 1024 * 1024:
        with open(dropped, "rb") as file:
            assert isinstance(read_to_end_or_map(file.fileno(), 1 << 30), memoryview)
