"""The pipelining client, against a server that follows a script."""

import socket
import threading
from contextlib import suppress

import pytest

from bench import bulk
from bench.errors import BenchError


def _serve(listener: socket.socket, ehlo: bytes, refused: int | None, seen: list[bytes]) -> None:
    """Answer one session; the recipient numbered `refused` is refused."""
    connection, _ = listener.accept()
    # A client that gives up hangs up, perhaps in the middle of an answer.
    with suppress(ConnectionError), connection, connection.makefile("rwb") as stream:
        stream.write(b"220-two lines\r\n220 here\r\n")
        stream.flush()
        while line := stream.readline():
            seen.append(line)
            stream.write(_answer(line, ehlo, refused))
            stream.flush()


def _answer(line: bytes, ehlo: bytes, refused: int | None) -> bytes:
    if line.startswith(b"EHLO"):
        return ehlo
    if line == b"DATA\r\n":
        return b"354 go on\r\n"
    if refused is not None and line.startswith(b"RCPT TO:<r%d@" % refused):
        return b"452 too many\r\n"
    if line.startswith((b"MAIL", b"RCPT")) or line == b".\r\n":
        return b"250 ok\r\n"
    return b""


def _run(ehlo: bytes, refused: int | None = None) -> list[bytes]:
    seen: list[bytes] = []
    with socket.create_server(("127.0.0.1", 0)) as listener:
        server = threading.Thread(target=_serve, args=(listener, ehlo, refused, seen))
        server.start()
        try:
            bulk.send(listener.getsockname()[1], "sink.test", 2500)
        finally:
            server.join()
    return seen


def test_every_recipient_is_named_once_in_one_transaction() -> None:
    seen = _run(b"250-mx.test\r\n250 pipelining\r\n")
    recipients = [line for line in seen if line.startswith(b"RCPT")]
    assert recipients == [b"RCPT TO:<r%d@sink.test>\r\n" % number for number in range(2500)]
    assert sum(line.startswith(b"MAIL") for line in seen) == 1


def test_one_refusal_ends_it() -> None:
    with pytest.raises(BenchError, match="452 too many"):
        _run(b"250-mx.test\r\n250 PIPELINING\r\n", refused=1700)


def test_server_without_pipelining_is_not_pipelined_to() -> None:
    with pytest.raises(BenchError, match="PIPELINING"):
        _run(b"250 mx.test\r\n")
