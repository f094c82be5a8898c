"""STLS and POP3S: what is offered before and after, what is forgotten, and what a login is bound to."""

import hashlib
import shutil
import socket
import ssl
import tempfile
from base64 import b64encode
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.certificates import Authority, settings
from tests.unit.pop3.scene import Scene, playing, wait_for

AUTHORITY = Authority()
MADE = AUTHORITY.issue("mx.box.test")
CONTEXT = AUTHORITY.client_context()


@pytest.fixture(scope="module")
def scene() -> Iterator[Scene]:
    folder = Path(tempfile.mkdtemp(prefix="pp", dir="/tmp"))
    mechanisms = ("PLAIN", "APOP", "ASK", "ASK-PLUS")
    try:
        with playing(folder, tls=settings(MADE.pair()), plain_in_clear="never", mechanisms=mechanisms) as scene:
            yield scene
    finally:
        shutil.rmtree(folder)


def test_what_is_offered(scene: Scene) -> None:
    client = scene.client()
    before = client.ask_lines("CAPA")
    assert {"STLS", "SASL ASK"} <= set(before) and "USER" not in before
    assert client.ask("STLS") == "+OK Begin TLS"
    client.shake_hands(CONTEXT)
    after = client.ask_lines("CAPA")
    assert {"USER", "SASL PLAIN ASK ASK-PLUS"} <= set(after) and "STLS" not in after
    assert client.ask("STLS") == "-ERR TLS is not offered here"
    assert client.ask("USER joe@box.test").startswith("+OK")
    assert client.ask("PASS secret").startswith("+OK")
    assert client.ask("QUIT") == "+OK Bye"
    wait_for(lambda: "tls=" in scene.log())
    assert scene.auth.seen[-1].secure


def test_nothing_from_before_the_handshake_is_read_after_it(scene: Scene) -> None:
    """CVE-2011-0411 and its kin: somebody on the way adds commands to the clear text."""
    client = scene.client()
    since = len(scene.auth.seen)
    client.send("STLS\r\nAUTH PLAIN " + b64encode(b"\0joe@box.test\0secret").decode() + "\r\nNOOP\r\n")
    assert client.line() == "+OK Begin TLS"
    client.shake_hands(CONTEXT)
    assert client.ask("XYZZY") == "-ERR Unknown command"
    assert client.ask("STAT") == "-ERR Log in first"
    assert len(scene.auth.seen) == since


def test_the_timestamp_of_apop_stays_the_one_of_the_greeting(scene: Scene) -> None:
    client = scene.client()
    timestamp = client.greeting.split(" ")[-1].encode()
    assert client.ask("STLS") == "+OK Begin TLS"
    client.shake_hands(CONTEXT)
    assert client.ask("APOP joe@box.test 00").startswith("+OK")
    assert (scene.auth.seen[-1].initial or b"").startswith(timestamp + b"\0")


def test_pop3s(scene: Scene) -> None:
    scene.deliver("1.a", b"x\n")
    client = scene.tls_client(CONTEXT)
    assert client.greeting.startswith("+OK mx.box.test POP3 ready <")
    assert "STLS" not in client.ask_lines("CAPA")
    assert client.ask("AUTH ASK-PLUS").startswith("+ ")
    assert client.ask(b64encode(b"joe@box.test").decode()).startswith("+ ")
    assert client.ask("") == "+OK 1 message (2 octets)"
    assert client.ask_lines("RETR 1") == ["x"]
    seen = scene.auth.seen[-1]
    first = ssl.PEM_cert_to_DER_cert(MADE.certificate.decode())
    assert (seen.service, seen.binding_type) == ("pop3s", "tls-server-end-point")
    assert seen.binding == hashlib.sha256(first).digest()


def test_a_large_message_over_tls(scene: Scene) -> None:
    content = b"".join(b"%063d\n" % number for number in range(100_000))
    scene.deliver("2.large", content)
    client = scene.tls_client(CONTEXT)
    assert client.ask("USER joe@box.test").startswith("+OK") and client.ask("PASS secret").startswith("+OK")
    number = client.ask("STAT").split(" ")[1]
    assert client.ask(f"RETR {number}") == f"+OK {len(content)} octets"
    assert b"".join(line.encode() + b"\n" for line in client.lines()) == content


def test_no_handshake(scene: Scene) -> None:
    with socket.create_connection(("127.0.0.1", scene.tls_port), 30) as sock:
        sock.sendall(b"USER joe\r\nPASS secret\r\n" * 10)
        assert sock.recv(100)[:1] != b"+"
    wait_for(lambda: "tls-failed" in scene.log())
    client = scene.client()
    assert client.ask("STLS") == "+OK Begin TLS"
    since = len(scene.log())
    client.send("QUIT\r\n")
    wait_for(lambda: "tls-failed" in scene.log()[since:])
