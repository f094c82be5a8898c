"""Real clients log in and submit, with every mechanism that they have."""

import base64
import hashlib
import os
import signal
import smtplib
import ssl
import subprocess
from collections.abc import Iterator

import pytest
from scramp import ScramClient  # type: ignore[import-untyped]

from tests.interop.submission import PASSWORD, SERVER, Submission, submission
from tests.peers import require_peer
from tests.service import ACCOUNT, PATIENCE_S

pytestmark = pytest.mark.interop

MESSAGE = f"From: {ACCOUNT}\r\nTo: {ACCOUNT}\r\nSubject: {{}}\r\n\r\nx\r\n"
ALL = ["SCRAM-SHA-256-PLUS", "SCRAM-SHA-256", "CRAM-MD5", "PLAIN", "LOGIN"]


@pytest.fixture(scope="module")
def server() -> Iterator[Submission]:
    with submission(auth={"mechanisms": ALL}) as made:
        yield made


def run(*words: str, given: str = "", expect: int = 0) -> str:
    done = subprocess.run(words, input=given, capture_output=True, text=True, timeout=PATIENCE_S)
    assert done.returncode == expect, done.stdout + done.stderr
    return done.stdout + done.stderr


def arrived(server: Submission, subject: str) -> bytes:
    """Wait for the message; return it."""
    return server.service.wait_until(lambda: _found(server, subject), f"mail about {subject}")


def _found(server: Submission, subject: str) -> bytes | None:
    contents = [path.read_bytes() for path in server.service.messages(ACCOUNT)]
    return next((content for content in contents if subject.encode() in content), None)


@pytest.mark.parametrize("mechanism", ["PLAIN", "LOGIN", "CRAM-MD5"])
@pytest.mark.parametrize("how", ["starttls", "tls"])
def test_swaks(server: Submission, mechanism: str, how: str) -> None:
    swaks = str(require_peer("swaks"))
    port, option = (server.port, "--tls") if how == "starttls" else (server.tls_port, "--tls-on-connect")
    common = [swaks, "--server", f"127.0.0.1:{port}", option, "--auth", mechanism, "--auth-user", ACCOUNT]
    addresses = ["--from", ACCOUNT, "--to", ACCOUNT]
    subject = f"swaks {how} {mechanism}."
    run(*common, *addresses, "--auth-password", PASSWORD, "--h-Subject", subject)
    assert b" with ESMTPSA (" in arrived(server, subject)
    told = run(*common, *addresses, "--auth-password", "wrong", expect=28)
    assert "535 5.7.8" in told
    server.service.wait_for("login.failed", mechanism=mechanism, user=ACCOUNT)


@pytest.mark.parametrize("mechanism", ["scram-sha-256", "plain", "login", "cram-md5"])
def test_msmtp(server: Submission, mechanism: str) -> None:
    msmtp = str(require_peer("msmtp"))
    config = server.file(
        f"msmtprc-{mechanism}",
        f"host localhost\nport {server.port}\ntls on\ntls_trust_file {server.authority}\nauth {mechanism}\n"
        f"user {ACCOUNT}\npassword {PASSWORD}\nfrom {ACCOUNT}\n",
    )
    run(msmtp, "-C", str(config), ACCOUNT, given=MESSAGE.format(f"msmtp {mechanism}."))
    arrived(server, f"msmtp {mechanism}.")
    server.service.wait_for("login.succeeded", mechanism=mechanism.upper(), account=ACCOUNT)


@pytest.mark.parametrize("mechanism", ["PLAIN", "LOGIN", "CRAM-MD5"])
def test_curl(server: Submission, mechanism: str) -> None:
    curl = str(require_peer("curl"))
    url = f"smtps://localhost:{server.tls_port}"
    common = [curl, "--silent", "--show-error", "--cacert", str(server.authority), "--login-options"]
    whom = ["--mail-from", ACCOUNT, "--mail-rcpt", ACCOUNT, "--user", f"{ACCOUNT}:{PASSWORD}", "--upload-file", "-"]
    run(*common, f"AUTH={mechanism}", *whom, url, given=MESSAGE.format(f"curl {mechanism}."))
    arrived(server, f"curl {mechanism}.")


def test_s_nail(server: Submission) -> None:
    s_nail = str(require_peer("s-nail"))
    user, _, domain = ACCOUNT.partition("@")
    mta = f"submission://{user}%40{domain}:{PASSWORD.replace(' ', '%20')}@localhost:{server.port}"
    options = ["v15-compat", f"mta={mta}", "smtp-auth=login", f"from={ACCOUNT}", "tls-verify=strict"]
    options += [f"tls-ca-file={server.authority}", "smtp-use-starttls", "DEAD=/dev/null"]
    run(s_nail, "-n", *[w for option in options for w in ("-S", option)], "-s", "s-nail.", ACCOUNT, given="x\n")
    arrived(server, "s-nail.")


@pytest.mark.parametrize("mechanism", ["CRAM-MD5", "PLAIN", "LOGIN"])
def test_smtplib(server: Submission, mechanism: str) -> None:
    with server.client() as client:
        client.ehlo()
        client.user, client.password = ACCOUNT, PASSWORD
        client.auth(mechanism, getattr(client, f"auth_{mechanism.lower().replace('-', '_')}"))
        client.sendmail(ACCOUNT, [ACCOUNT], MESSAGE.format(f"smtplib {mechanism}."))
    arrived(server, f"smtplib {mechanism}.")


def _scram(server: Submission, mechanism: str, binding: bytes | None) -> tuple[int, bytes]:
    channel = None if binding is None else ("tls-server-end-point", binding)
    scram = ScramClient([mechanism], ACCOUNT, PASSWORD, channel_binding=channel)
    with server.client() as client:
        client.ehlo()
        first = base64.b64encode(scram.get_client_first().encode()).decode()
        code, said = client.docmd("AUTH", f"{mechanism} {first}")
        if code == 334:
            scram.set_server_first(base64.b64decode(said).decode())
            code, said = client.docmd(base64.b64encode(scram.get_client_final().encode()).decode())
        if code == 334:
            scram.set_server_final(base64.b64decode(said).decode())  # checks the server's signature
            code, said = client.docmd("")
        return code, said


def test_scram_bound_to_the_channel(server: Submission) -> None:
    end_point = hashlib.sha256(ssl.PEM_cert_to_DER_cert(SERVER.certificate.decode())).digest()
    assert _scram(server, "SCRAM-SHA-256-PLUS", end_point)[0] == 235
    assert _scram(server, "SCRAM-SHA-256-PLUS", b"somebody in the middle")[0] == 535
    assert _scram(server, "SCRAM-SHA-256", None)[0] == 235


def test_passwords_are_not_taken_in_clear(server: Submission) -> None:
    with smtplib.SMTP("127.0.0.1", server.port, timeout=PATIENCE_S) as client:
        client.ehlo()
        assert client.esmtp_features["auth"].split() == ["SCRAM-SHA-256", "CRAM-MD5"]
        assert client.docmd("AUTH", "PLAIN AHgAeA==")[0] == 538
        assert client.docmd("MAIL", f"FROM:<{ACCOUNT}>")[0] == 530
    with smtplib.SMTP("127.0.0.1", server.service.port, timeout=PATIENCE_S) as client:
        client.ehlo()
        assert "auth" not in client.esmtp_features


def test_nobody_sends_as_another(server: Submission) -> None:
    with server.client() as client:
        client.login(ACCOUNT, PASSWORD)
        assert client.mail("other@here.test")[0] == 553
        client.mail(ACCOUNT)
        client.rcpt(ACCOUNT)
        assert client.data("From: other@here.test\r\n\r\nx\r\n")[0] == 550


def test_application_passwords(server: Submission) -> None:
    service = server.service
    shown = service.run("account", "app-password", "add", ACCOUNT, "phone")
    password = shown.split()[2]
    with server.client() as client:
        client.login(ACCOUNT, password)
    service.wait_for("login.succeeded", app_password="phone")
    service.run("account", "app-password", "remove", ACCOUNT, "phone")
    with server.client() as client, pytest.raises(smtplib.SMTPAuthenticationError):
        client.login(ACCOUNT, password)


def test_auth_that_is_killed_is_our_trouble_and_comes_back(server: Submission) -> None:
    service = server.service
    since = service.mark()
    os.kill(service.pid_of("auth"), signal.SIGKILL)
    service.wait_for("process.ended", since=since, role="auth")
    with server.client() as client:
        client.login(ACCOUNT, PASSWORD)  # it waited for the process to be there again
    assert service.reload()["event"] == "service.reloaded"
    with server.client() as client:
        client.login(ACCOUNT, PASSWORD)
