"""POP3 behind load balancers: whose address counts, and what becomes of connections without a PROXY header."""

import os
import re
import shutil
import signal
import socket
import ssl
import struct
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.certificates import Authority, settings
from tests.unit.pop3.scene import PATIENCE_S, Scene, playing, pop3_settings, wait_for

AUTHORITY = Authority()
CONTEXT = AUTHORITY.client_context()
DOORS = frozenset({"pop3 127.0.0.1:0", "pop3s 127.0.0.1:0"})
CERTIFICATE = AUTHORITY.issue("mx.box.test")
BEHIND: dict[str, Any] = {
    "proxied": DOORS,
    "proxy_networks": ("127.0.0.1/32",),
    "tls": settings(CERTIFICATE.pair()),
}


def header(address: str = "192.0.2.77") -> str:
    return f"PROXY TCP4 {address} 192.0.2.1 4242 110\r\n"


@pytest.fixture
def scene() -> Iterator[Scene]:
    folder = Path(tempfile.mkdtemp(prefix="pp", dir="/tmp"))
    with playing(folder, sessions_per_address=2, **BEHIND) as scene:
        yield scene
    shutil.rmtree(folder)


def test_the_client_is_who_the_header_says(scene: Scene) -> None:
    client = scene.client(header() + "NOOP\r\n")
    assert client.greeting.startswith("+OK mx.box.test POP3 ready")
    assert client.line() == "+OK Still here"
    assert client.ask("USER joe@box.test").startswith("-ERR Passwords are not taken in clear text"), "it is not local"
    assert client.ask("APOP joe@box.test 0123").startswith("+OK")
    assert scene.auth.seen[-1].peer == "192.0.2.77"
    assert client.ask("QUIT") == "+OK Bye"
    wait_for(lambda: "mailbox.closed" in scene.log())
    (line,) = [line for line in scene.log().splitlines() if "mailbox.closed" in line]
    assert " peer=192.0.2.77 " in line and " bytes_in=55 " in line, "the header is not counted"


def test_who_speaks_for_nobody_comes_as_itself(scene: Scene) -> None:
    client = scene.client("PROXY UNKNOWN\r\n")
    assert client.ask("USER joe@box.test").startswith("+OK"), "it is local"


def test_limits_are_those_of_the_client_that_the_header_names(scene: Scene) -> None:
    for _ in range(2):
        assert scene.client(header()).greeting.startswith("+OK")
    assert scene.client(header()).greeting == "-ERR [SYS/TEMP] Too many sessions; try again later"
    assert scene.client(header("192.0.2.78")).greeting.startswith("+OK")
    scene.pop3.drain()
    wait_for(lambda: "mailbox.turned-away" in scene.log())
    assert re.search(r"network=192\.0\.2\.77 peer=192\.0\.2\.77 connections=1", scene.log())


def test_tls_from_the_start_behind_a_header(scene: Scene) -> None:
    client = scene.tls_client(CONTEXT, header())
    assert client.greeting.startswith("+OK")
    assert client.ask("USER joe@box.test").startswith("+OK") and client.ask("PASS secret").startswith("+OK")
    assert (scene.auth.seen[-1].peer, scene.auth.seen[-1].secure) == ("192.0.2.77", True)


def test_tls_in_one_piece_with_the_header(scene: Scene) -> None:
    incoming, outgoing = ssl.MemoryBIO(), ssl.MemoryBIO()
    tls = CONTEXT.wrap_bio(incoming, outgoing, server_hostname="mx.box.test")
    with pytest.raises(ssl.SSLWantReadError):
        tls.do_handshake()
    with socket.create_connection(("127.0.0.1", scene.tls_port), PATIENCE_S) as sock:
        sock.sendall(header().encode() + outgoing.read())
        while True:
            incoming.write(sock.recv(65536))
            try:
                tls.do_handshake()
                break
            except ssl.SSLWantReadError:
                pass
    assert tls.version() == "TLSv1.3"


def test_stls_behind_a_header(scene: Scene) -> None:
    client = scene.client(header())
    assert client.ask("STLS") == "+OK Begin TLS"
    client.shake_hands(CONTEXT)
    assert client.ask("USER joe@box.test").startswith("+OK")


def test_no_header_no_session(scene: Scene) -> None:
    """Nothing is said to such a connection, and the log tells of it as of others that were not let in."""
    for sent, times in ((b"USER joe@box.test\r\n", 2), (b"PROXY TCP4 x y 1 2\r\n", 1)):
        for _ in range(times):
            with socket.create_connection(("127.0.0.1", scene.port), PATIENCE_S) as sock:
                sock.sendall(sent)
                assert received(sock) == b""
    scene.pop3.configure(pop3_settings(scene.folder, **BEHIND | {"proxy_networks": ("192.0.2.0/24",)}))
    with socket.create_connection(("127.0.0.1", scene.port), PATIENCE_S) as sock:
        assert received(sock) == b""
    scene.pop3.drain()
    wait_for(lambda: scene.log().count("mailbox.turned-away") == 3)
    for reason, times in (
        ("what came is no PROXY header", 2),
        ("the PROXY line is not understood", 1),
        ("not in [fronts] proxy", 1),
    ):
        assert re.search(rf'peer=127\.0\.0\.1 connections={times} reason="{re.escape(reason)}"', scene.log()), reason
    assert "mailbox.closed" not in scene.log() and not scene.auth.seen


@pytest.mark.parametrize("proxied", [DOORS, frozenset()])
def test_who_has_gone_again_before_it_is_looked_at(scene: Scene, proxied: frozenset[str]) -> None:
    """As load balancers do that only look whether anybody is here; there is no address any more then."""
    scene.pop3.configure(pop3_settings(scene.folder, **BEHIND | {"proxied": proxied}))
    os.kill(scene.pop3.process.pid, signal.SIGSTOP)
    for _ in range(5):
        sock = socket.create_connection(("127.0.0.1", scene.port), PATIENCE_S)
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        sock.close()
    os.kill(scene.pop3.process.pid, signal.SIGCONT)
    assert scene.client(header() if proxied else "").greeting.startswith("+OK")
    wait_for(lambda: scene.log().count("peer=unknown") == (0 if proxied else 5))


def received(sock: socket.socket) -> bytes:
    try:
        return sock.recv(100)
    except ConnectionError:
        return b""
