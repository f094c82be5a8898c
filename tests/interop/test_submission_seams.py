"""Where the parts of submission meet: TLS, logins, XCLIENT, PROXY, bans, extensions and reloads, on one service."""

import base64
import hashlib
import smtplib
import socket
import ssl
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any, Final

import pytest
from scramp import ScramClient  # type: ignore[import-untyped]

from tests.certificates import Made
from tests.interop.submission import AUTHORITY, PASSWORD, SERVER, Submission, submission
from tests.service import ACCOUNT, PATIENCE_S

pytestmark = pytest.mark.interop

HOST: Final = "127.0.0.1"
RIGHT: Final = base64.b64encode(f"\0{ACCOUNT}\0{PASSWORD}".encode()).decode()
WRONG: Final = base64.b64encode(f"\0{ACCOUNT}\0wrong".encode()).decode()
RSA: Final = AUTHORITY.issue("rsa.here.test", rsa=True)


def listening(server: Submission, **more: Any) -> dict[str, Any]:
    """Return the settings of the three listeners, the last of them with ``more``."""
    ports = {"smtp": server.service.port, "submission": server.port, "submissions": server.tls_port}
    listen = [{"service": service, "address": f"{HOST}:{port}"} for service, port in ports.items()]
    listen[-1] |= more
    return {"listen": listen}


# XCLIENT under TLS, then a login, then what only those get who have logged in.


def test_xclient_then_a_login_then_extensions() -> None:
    with submission(fronts={"xclient": [f"{HOST}/32"]}) as server, server.client() as client:
        client.ehlo()
        assert client.docmd("XCLIENT", "ADDR=192.0.2.9 NAME=far.test PROTO=ESMTP")[0] == 220
        client.ehlo("laptop")
        client.login(ACCOUNT, PASSWORD)
        client.ehlo("laptop")
        offered = {"requiretls", "futurerelease", "deliverby", "mt-priority", "dsn"}
        assert offered <= client.esmtp_features.keys() and "auth" not in client.esmtp_features
        extensions = ["REQUIRETLS", "HOLDFOR=1", "MT-PRIORITY=3", "RET=HDRS", "ENVID=e1"]
        client.sendmail(ACCOUNT, [ACCOUNT], "Subject: held\n\nx\n", extensions, ["NOTIFY=SUCCESS"])
        service = server.service
        service.wait_for("message.accepted", origin=f"submission 192.0.2.9 {ACCOUNT}")
        service.wait_for("login.succeeded", peer="192.0.2.9", account=ACCOUNT)
        service.wait_for("delivery.delivered", recipient=ACCOUNT)
        service.wait_until(lambda: len(service.messages(ACCOUNT)) == 2, "the message and the report")
        contents = [path.read_bytes() for path in service.messages(ACCOUNT)]
        report, held = sorted(contents, key=lambda content: not content.startswith(b"Return-Path: <>"))
        assert b"from laptop (far.test [192.0.2.9])" in held
        assert b" with ESMTPSA (Paperpath, TLSv1.3 " in held and b"PRIORITY 3" in held
        assert b"Original-Envelope-Id: e1" in report
        assert client.docmd("XCLIENT", "ADDR=192.0.2.10")[0] == 220
        client.ehlo("laptop")
        assert client.mail(ACCOUNT)[0] == 530, "another client has not logged in"


# A load balancer, TLS from the start, and bans.


@contextmanager
def proxied(server: Submission, client: str) -> Iterator[smtplib.SMTP]:
    """Connect as a load balancer that speaks for this client, which speaks TLS from the start."""

    class Balanced(smtplib.SMTP_SSL):
        def _get_socket(self, host: str, port: int, timeout: float) -> ssl.SSLSocket:
            sock = socket.create_connection((host, port), timeout)
            sock.sendall(f"PROXY TCP4 {client} {host} 4711 {port}\r\n".encode())
            return self.context.wrap_socket(sock, server_hostname="localhost")

    made = Balanced(HOST, server.tls_port, local_hostname="client.test", context=server.context(), timeout=PATIENCE_S)
    try:
        yield made
    finally:
        made.close()


def test_a_ban_is_for_the_client_behind_a_load_balancer_and_not_for_the_balancer() -> None:
    settings = {"fronts": {"proxy": [f"{HOST}/32"]}, "relay": {"networks": []}, "bans": {"points": 3}}
    with submission(starts=False, **settings) as server:
        server.service.configure(listening(server, proxy="always"))
        server.service.start()
        with proxied(server, "192.0.2.77") as guesser:
            guesser.ehlo()
            codes = [guesser.docmd("AUTH", f"PLAIN {WRONG}")[0] for _ in range(3)]
            assert codes == [535, 535, 421]
        assert server.service.wait_for("ban.began")["network"] == "192.0.2.77"
        with pytest.raises((smtplib.SMTPException, OSError)), proxied(server, "192.0.2.77"):
            pass
        with proxied(server, "192.0.2.78") as neighbour:
            neighbour.ehlo()
            assert neighbour.docmd("AUTH", f"PLAIN {RIGHT}")[0] == 235


# Logins bound to the certificate that was shown.


class Bound:
    """A conversation under TLS with the certificate of one name, and a login that is bound to it."""

    def __init__(self, server: Submission, name: str, how: str) -> None:
        port = server.port if how == "starttls" else server.tls_port
        self._sock = socket.create_connection((HOST, port), PATIENCE_S)
        if how == "starttls":
            self._reply()
            self.say("EHLO client.test")
            assert self.say("STARTTLS")[0] == 220
        self._sock = server.context().wrap_socket(self._sock, server_hostname=name)
        if how != "starttls":
            self._reply()
        self.say("EHLO client.test")

    def login(self, made: Made) -> int:
        """Log in, bound to this certificate; return the code."""
        binding = hashlib.sha256(ssl.PEM_cert_to_DER_cert(made.certificate.decode())).digest()
        mechanism = "SCRAM-SHA-256-PLUS"
        scram = ScramClient([mechanism], ACCOUNT, PASSWORD, channel_binding=("tls-server-end-point", binding))
        code, said = self.say(f"AUTH {mechanism} {_base64(scram.get_client_first())}")
        assert code == 334
        scram.set_server_first(base64.b64decode(said).decode())
        code, said = self.say(_base64(scram.get_client_final()))
        return self.say("")[0] if code == 334 else code

    def say(self, line: str) -> tuple[int, bytes]:
        self._sock.sendall(line.encode() + b"\r\n")
        return self._reply()

    def close(self) -> None:
        self._sock.close()

    def _reply(self) -> tuple[int, bytes]:
        """Return code and text of the last line; nothing is read beyond it."""
        line = b""
        while not line.endswith(b"\r\n") or line[3:4] == b"-":
            if line.endswith(b"\r\n"):
                line = b""
            line += self._sock.recv(1)
            assert line, "hung up"
        return int(line[:3]), line[4:].rstrip()


def _base64(text: str) -> str:
    return base64.b64encode(text.encode()).decode()


@pytest.fixture(scope="module")
def named(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Submission]:
    """A service with an ECDSA certificate, and an RSA one for a name of its own."""
    certificate, key = RSA.write(tmp_path_factory.mktemp("rsa"), "rsa")
    with submission(starts=False) as server:
        of_a_name = {"names": ["rsa.here.test"], "certificate": str(certificate), "key": str(key)}
        server.service.configure({"tls": {"certificates": [of_a_name]}})
        server.service.start()
        yield server


@pytest.mark.parametrize("how", ["starttls", "tls"])
@pytest.mark.parametrize("name", ["localhost", "rsa.here.test"])
def test_a_login_is_bound_to_the_certificate_that_was_shown(named: Submission, name: str, how: str) -> None:
    shown, other = (RSA, SERVER) if name.startswith("rsa") else (SERVER, RSA)
    client = Bound(named, name, how)
    assert client.login(other) == 535
    assert client.login(shown) == 235
    client.close()


def test_a_session_keeps_the_certificate_it_began_with(named: Submission) -> None:
    renewed = AUTHORITY.issue("localhost")
    before = Bound(named, "localhost", "starttls")
    renewed.write(named.service.folder, "server")
    assert named.service.reload()["event"] == "service.reloaded"
    after = Bound(named, "localhost", "starttls")
    assert before.login(renewed) == 535
    assert before.login(SERVER) == 235
    assert after.login(renewed) == 235
    before.close()
    after.close()


# Reloads.


def test_auth_runs_while_somebody_can_log_in(named: Submission) -> None:
    service = named.service
    full = listening(named)
    with named.client() as client:
        client.login(ACCOUNT, PASSWORD)
        for wanted in (full["listen"][:1], full["listen"]):
            service.configure({"listen": wanted})
            assert service.reload()["event"] == "service.reloaded"
            assert ("auth" in service.processes().values()) is (len(wanted) > 1)
            client.sendmail(ACCOUNT, [ACCOUNT], "Subject: the session goes on\n\nx\n")
    with named.client() as client:
        client.login(ACCOUNT, PASSWORD)
    assert not service.events("process.ended")
