"""HAProxy in front of SMTP, POP3 and POP3S: both versions of the PROXY header, and bans for those behind it."""

import poplib
import smtplib
import socket
import ssl
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass

import pytest

from tests.interop.pop3 import PASSWORD, Fetched, pop3_service
from tests.peers import require_peer
from tests.service import ACCOUNT, PATIENCE_S, free_port

pytestmark = [pytest.mark.interop, pytest.mark.xdist_group("pop3")]
CLIENT, OTHER, BALANCER = "127.0.0.5", "127.0.0.6", "127.0.0.1"
SERVICES = ("smtp", "pop3", "pop3s")


@dataclass
class Scene:
    """The service, and where the balancer listens for it."""

    fetched: Fetched
    ports: dict[str, int]

    def smtp(self, source: str) -> smtplib.SMTP:
        client = smtplib.SMTP(
            BALANCER, self.ports["smtp"], local_hostname="c.test", timeout=PATIENCE_S, source_address=(source, 0)
        )
        client.ehlo()
        return client

    def pop3s(self, source: str) -> poplib.POP3:
        return _Pop3s(self.ports["pop3s"], source, self.fetched.authority.client_context())


class _Pop3s(poplib.POP3):
    """Over TLS, from an address of its own."""

    def __init__(self, port: int, source: str, context: ssl.SSLContext) -> None:
        self._source, self._context = source, context
        try:
            super().__init__(BALANCER, port, PATIENCE_S)
        except Exception:
            if hasattr(self, "sock"):
                self.sock.close()
            raise

    def _create_socket(self, timeout: float) -> ssl.SSLSocket:
        sock = socket.create_connection((self.host, self.port), timeout, source_address=(self._source, 0))
        try:
            return self._context.wrap_socket(sock, server_hostname=BALANCER)
        except OSError:
            sock.close()
            raise


@contextmanager
def balancing(servers: dict[str, int], sends: dict[str, str]) -> Iterator[dict[str, int]]:
    """Run HAProxy before these ports, each with its own way to send the header; give out where it listens."""
    ports = {name: free_port() for name in servers}
    lines = ["defaults", " mode tcp", *(f" timeout {what} 30s" for what in ("connect", "client", "server"))]
    for name, port in servers.items():
        server = f" server one {BALANCER}:{port} {sends[name]}"
        lines += [f"listen {name}", f" bind {BALANCER}:{ports[name]}", server]
    haproxy = require_peer("haproxy")
    with subprocess.Popen([haproxy, "-db", "-f", "/dev/stdin"], stdin=subprocess.PIPE, text=True) as running:
        assert running.stdin is not None
        running.stdin.write("\n".join([*lines, ""]))
        running.stdin.close()
        try:
            for port in ports.values():
                _wait_until_open(port)
            yield ports
        finally:
            running.terminate()


def _wait_until_open(port: int) -> None:
    """Connect until somebody listens; each attempt that is refused takes its turn of the scheduler."""
    for _ in range(100_000):
        try:
            socket.create_connection((BALANCER, port), PATIENCE_S).close()
        except ConnectionRefusedError:
            continue
        return
    raise AssertionError("HAProxy does not listen")


@pytest.fixture(scope="module")
def scene() -> Iterator[Scene]:
    with pop3_service(
        {"fronts": {"proxy": [f"{BALANCER}/32"]}, "relay": {"networks": []}, "bans": {"points": 3}}, proxy="always"
    ) as fetched:
        servers = dict(zip(SERVICES, (fetched.service.port, fetched.port, fetched.tls_port), strict=True))
        sends = {"smtp": "send-proxy", "pop3": "send-proxy check inter 1s", "pop3s": "send-proxy-v2"}
        with balancing(servers, sends) as ports:
            yield Scene(fetched, ports)


def test_who_is_behind_it(scene: Scene) -> None:
    service = scene.fetched.service
    since = service.mark()
    with scene.smtp(CLIENT) as client:
        client.sendmail("from@there.test", [ACCOUNT], "Subject: balanced\n\nx\n")
    assert service.wait_for("session.closed", since=since, result="quit")["peer"] == CLIENT
    service.wait_for("message.done", since=since)
    pop = scene.pop3s(CLIENT)
    pop.user(ACCOUNT)
    pop.pass_(PASSWORD)
    assert b"Subject: balanced" in pop.retr(1)[1]
    pop.quit()
    line = service.wait_for("mailbox.closed", since=since, result="quit")
    assert (line["service"], line["peer"], line["retrieved"]) == ("pop3s", CLIENT, 1)
    clear = poplib.POP3(BALANCER, scene.ports["pop3"], PATIENCE_S)
    clear.stls(scene.fetched.authority.client_context())
    assert "USER" in clear.capa()
    clear.quit()


def test_a_ban_is_for_the_client_and_not_for_the_balancer(scene: Scene) -> None:
    service = scene.fetched.service
    since = service.mark()
    guesser = scene.pop3s(CLIENT)
    for _ in range(3):
        guesser.user(ACCOUNT)
        with pytest.raises(poplib.error_proto, match="AUTH"):
            guesser.pass_("wrong")
    guesser.close()
    assert service.wait_for("ban.began", since=since)["network"] == CLIENT
    with pytest.raises((poplib.error_proto, OSError)):
        scene.pop3s(CLIENT)
    with pytest.raises((smtplib.SMTPException, OSError)):
        scene.smtp(CLIENT)
    neighbour = scene.pop3s(OTHER)
    neighbour.user(ACCOUNT)
    neighbour.pass_(PASSWORD)
    neighbour.quit()
    with scene.smtp(OTHER) as client:
        assert client.noop()[0] == 250


def test_without_the_header_nothing_is_said(scene: Scene) -> None:
    for port in (scene.fetched.service.port, scene.fetched.port, scene.fetched.tls_port):
        with socket.create_connection((BALANCER, port), PATIENCE_S) as sock:
            sock.sendall(b"NOOP\r\n" * 10)
            try:
                assert sock.recv(100) == b""
            except ConnectionError:
                pass
