"""Logins judged by others: PAM, a checkpassword program, Dovecot's auth socket."""

import base64
import os
import signal
import smtplib
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
from scramp import ScramClient  # type: ignore[import-untyped]

from tests.interop.private_host import private_host
from tests.interop.submission import submission
from tests.interop.system_host import SystemHost
from tests.issuer import running_issuer
from tests.peers import require_peer, require_root
from tests.service import ACCOUNT, PATIENCE_S, Service, free_port, running_service

pytestmark = pytest.mark.interop


def listen(service: Service, port: int, auth: dict[str, Any]) -> None:
    service.configure(
        {
            "listen": [
                {"service": "smtp", "address": f"127.0.0.1:{service.port}"},
                {"service": "submission", "address": f"127.0.0.1:{port}"},
            ],
            "auth": {"plain_in_clear": "loopback", "timeout": 4} | auth,
        }
    )


def login(port: int, name: str, password: str) -> int:
    """Log in with PLAIN; return the code of the reply."""
    with smtplib.SMTP("127.0.0.1", port, timeout=PATIENCE_S) as client:
        client.ehlo()
        given = base64.b64encode(f"\0{name}\0{password}".encode()).decode()
        return client.docmd("AUTH", f"PLAIN {given}")[0]


# PAM


class PamHost(SystemHost):
    """A host whose users log in."""

    login_port = 0

    def pam(self, *lines: str) -> None:
        """Say how PAM judges."""
        (self.folder / "etc/pam.d/paperpath").write_text("".join(line + "\n" for line in lines))


UNIX = ("auth required pam_unix.so nodelay", "account required pam_unix.so")


@pytest.fixture(scope="module")
def host() -> Iterator[PamHost]:
    with private_host() as made:
        made.run("sh", "-c", "useradd --create-home pamela && echo pamela:secret | chpasswd")
        service = PamHost(made)
        service.login_port = free_port()
        try:
            listen(
                service,
                service.login_port,
                {"backends": ["accounts", "pam"], "helper_user": "root", "cache": 0, "timeout": 5},
            )
            service.pam(*UNIX)
            service.start()
            yield service
            service.stop()
            service.check_log()
        finally:
            service.kill()


@pytest.mark.root
def test_pam_unix(host: PamHost) -> None:
    host.pam(*UNIX)
    assert login(host.login_port, "pamela", "secret") == 235
    assert host.wait_for("login.succeeded")["account"] == "pamela"
    assert login(host.login_port, "pamela", "wrong") == 535
    assert login(host.login_port, "nobody-of-that-name", "secret") == 535


@pytest.mark.root
def test_a_user_of_the_host_sends_as_itself_and_its_extensions(host: PamHost) -> None:
    host.pam(*UNIX)
    with smtplib.SMTP("127.0.0.1", host.login_port, timeout=PATIENCE_S) as client:
        client.login("pamela", "secret")
        for sender, code in (("pamela@host.test", 250), ("pamela-x@host.test", 250), ("root@host.test", 553)):
            assert client.mail(sender)[0] == code
            client.rset()


@pytest.mark.root
@pytest.mark.parametrize(
    ("lines", "code"),
    [
        (("auth required pam_deny.so", "account required pam_permit.so"), 535),
        (("auth required pam_permit.so", "account required pam_deny.so"), 535),
        (("auth required pam_permit.so", "account required pam_permit.so"), 235),
        (("auth required pam_of_no_kind.so",), 454),
        (("auth required pam_exec.so quiet /bin/sleep 600", "account required pam_permit.so"), 454),
    ],
)
def test_what_pam_says(host: PamHost, lines: tuple[str, ...], code: int) -> None:
    host.pam(*lines)
    assert login(host.login_port, "pamela", "secret") == code
    host.pam(*UNIX)
    assert login(host.login_port, "pamela", "secret") == 235


@pytest.mark.root
def test_a_pam_that_breaks_takes_nobody_down(host: PamHost) -> None:
    host.pam(*UNIX)
    assert login(host.login_port, "pamela", "secret") == 235
    for pid in [pid for pid, module in host.processes().items() if module == "auth.pam"]:
        os.kill(pid, signal.SIGKILL)
    assert login(host.login_port, "pamela", "secret") == 454
    assert login(host.login_port, "pamela", "secret") == 235


@pytest.mark.root
def test_auth_is_nobody_else(host: PamHost) -> None:
    """Of the processes that judge, only the one that needs it is root; it was asked something, so it is there."""
    login(host.login_port, "pamela", "wrong")
    uids = {}
    for pid, module in host.processes().items():
        if module.startswith("auth"):
            status = Path(f"/proc/{pid}/status").read_text()
            uids[module] = int(status.partition("Uid:\t")[2].split()[0])
    assert uids == {"auth": host.host.ids("paperpath-auth")[0], "auth.outside": 0, "auth.pam": 0}


# checkpassword

CHECKPASSWORD = """\
import os, sys
name, password, rest = os.read(3, 513).split(b"\\0", 2)
assert rest == b"\\0", rest
if name == b"crash":
    os.abort()
if name == b"hang":
    os.read(os.pipe()[0], 1)
if name == b"late":
    sys.exit(111)
if (name, password) != (b"ann@example.test", b"secret"):
    sys.exit(1)
assert sys.argv[1:] == ["one word", "true"]
assert sorted(os.listdir("/proc/self/fd")) == ["0", "1", "2", "3", "4"], os.listdir("/proc/self/fd")
os.execv("/bin/true", ["true"])
"""


@pytest.fixture(scope="module")
def checking() -> Iterator[int]:
    port = free_port()
    with running_service(start=False) as service:
        program = service.folder / "checkpassword.py"
        program.write_text(CHECKPASSWORD)
        words = [sys.executable, "-I", str(program), "one word", "true"]
        listen(service, port, {"backends": ["checkpassword"], "checkpassword": words, "timeout": 2})
        service.start()
        yield port
        complaints = "\n".join(service.stray)
        service.stray.clear()
        assert not complaints, complaints


@pytest.mark.parametrize(
    ("name", "password", "code"),
    [
        ("ann@example.test", "secret", 235),
        ("ann@example.test", "wrong", 535),
        ("ann@example.test", "x" * 600, 535),
        ("late", "x", 454),
        ("crash", "x", 454),
        ("hang", "x", 454),
        ("ann@example.test", "secret", 235),
    ],
)
def test_checkpassword(checking: int, name: str, password: str, code: int) -> None:
    assert login(checking, name, password) == code


def test_a_program_that_is_missing_says_nothing_of_passwords() -> None:
    port = free_port()
    with running_service(start=False) as service:
        listen(service, port, {"backends": ["checkpassword"], "checkpassword": ["/nonexistent/program"]})
        service.start()
        assert login(port, "ann@example.test", "secret") == 454
        assert "cannot be started" in service.wait_for("login.failed")["reason"]


# Dovecot

DOVECOT = """\
base_dir = {folder}/run
protocols =
log_path = {folder}/log
ssl = no
auth_username_format = %Lu
auth_mechanisms = {mechanisms}
auth_failure_delay = 0
service anvil {{
  unix_listener anvil-auth-penalty {{
    mode = 0
  }}
}}
passdb {{
  driver = passwd-file
  args = {folder}/passdb
}}
service auth {{
  unix_listener {folder}/auth-client {{
    mode = 0666
  }}
}}
"""


@contextmanager
def dovecot(folder: Path, passwords: str, mechanisms: str = "plain") -> Iterator[None]:
    program = require_peer("dovecot")
    (folder / "conf").write_text(DOVECOT.format(folder=folder, mechanisms=mechanisms))
    (folder / "passdb").write_text(passwords)
    os.chmod(folder, 0o755)
    os.chmod(folder / "passdb", 0o644)
    with subprocess.Popen([program, "-F", "-c", folder / "conf"], stdin=subprocess.DEVNULL) as master:
        try:
            while not (folder / "auth-client").exists():
                with pytest.raises(subprocess.TimeoutExpired):
                    master.wait(0.05)
            yield
        finally:
            master.terminate()
            master.wait(PATIENCE_S)


@pytest.mark.root
def test_dovecot() -> None:
    require_root()
    port = free_port()
    with running_service(start=False) as service:
        folder = service.folder / "dovecot"
        folder.mkdir()
        service.folder.chmod(0o755)  # Dovecot's processes have users of their own
        listen(
            service, port, {"backends": ["dovecot"], "dovecot": str(folder / "auth-client"), "cache": 0, "timeout": 30}
        )
        service.start()
        assert login(port, "ann@example.test", "secret") == 454  # it is not there yet
        with dovecot(folder, "ann@example.test:{PLAIN}secret\n"):
            assert login(port, "ann@example.test", "secret") == 235
            assert login(port, "ANN@example.test", "secret") == 235
            assert {line["account"] for line in service.events("login.succeeded")} == {"ann@example.test"}
            assert login(port, "ann@example.test", "wrong") == 535


def scram(port: int, name: str, password: str, *, cancelled: bool = False) -> int:
    """Log in with SCRAM-SHA-256, checking what the server proves; return the code of the last reply."""
    talk = ScramClient(["SCRAM-SHA-256"], name, password)
    with smtplib.SMTP("127.0.0.1", port, timeout=PATIENCE_S) as client:
        client.ehlo()
        code, said = client.docmd("AUTH", f"SCRAM-SHA-256 {encoded(talk.get_client_first())}")
        if code == 334 and not cancelled:
            talk.set_server_first(base64.b64decode(said).decode())
            code, said = client.docmd(encoded(talk.get_client_final()))
        if code == 334 and not cancelled:
            talk.set_server_final(base64.b64decode(said).decode())
            code, said = client.docmd("")
        return client.docmd("*")[0] if cancelled else code


def encoded(text: str) -> str:
    return base64.b64encode(text.encode()).decode()


@pytest.mark.root
def test_dovecot_runs_scram_for_its_users() -> None:
    require_root()
    port = free_port()
    settings = {"backends": ["accounts", "dovecot"], "dovecot_mechanisms": ["SCRAM-SHA-256"], "timeout": 30}
    kept = subprocess.run(
        [require_peer("doveadm"), "pw", "-s", "SCRAM-SHA-256", "-p", "second"], capture_output=True, text=True
    )
    passwords = f"ann@example.test:{{PLAIN}}secret\nbob@example.test:{kept.stdout}"
    with running_service(start=False) as service:
        folder = service.folder / "dovecot"
        folder.mkdir()
        service.folder.chmod(0o755)  # Dovecot's processes have users of their own
        listen(service, port, settings | {"dovecot": str(folder / "auth-client")})
        service.run("account", "password", ACCOUNT, "--password", "own")
        service.start()
        assert scram(port, "ann@example.test", "secret") == 454  # it is not there yet
        with dovecot(folder, passwords, "plain scram-sha-256"):
            for name, password, code in (
                ("ann@example.test", "secret", 235),
                ("BOB@example.test", "second", 235),
                ("bob@example.test", "secret", 535),
                ("nobody@example.test", "secret", 535),
                (ACCOUNT, "own", 235),
                (ACCOUNT, "secret", 535),
            ):
                assert scram(port, name, password) == code, name
            assert scram(port, "ann@example.test", "secret", cancelled=True) == 501
            assert login(port, "bob@example.test", "second") == 235, "Dovecot has not hung up"
        seen = [(line["account"], line["mechanism"]) for line in service.events("login.succeeded")]
        assert seen == [
            ("ann@example.test", "SCRAM-SHA-256"),
            ("bob@example.test", "SCRAM-SHA-256"),
            (ACCOUNT, "SCRAM-SHA-256"),
            ("bob@example.test", "PLAIN"),
        ]
        assert {line["user"] for line in service.events("login.failed")} >= {"bob@example.test", "nobody@example.test"}
        other = service.folder / "other"
        other.mkdir()
        service.configure({"auth": settings | {"dovecot": str(other / "auth-client")}})
        service.reload()
        with dovecot(other, passwords):
            assert scram(port, "ann@example.test", "secret") == 454
            assert "does not offer" in service.events("login.failed")[-1]["reason"]


def test_who_is_known_to_one_backend_is_let_in_though_another_cannot_tell() -> None:
    port = free_port()
    with running_service(start=False) as service:
        listen(service, port, {"backends": ["dovecot", "accounts"], "dovecot": "/nonexistent/socket"})
        service.run("account", "password", ACCOUNT, "--password", "secret")
        service.start()
        assert login(port, ACCOUNT, "secret") == 235
        assert login(port, ACCOUNT, "wrong") == 454


# Issuers of tokens


def test_bearer_tokens_over_the_wire() -> None:
    curl = str(require_peer("curl"))
    with running_issuer() as issuer, submission(oauth={"introspection": issuer.url + "/introspect"}) as server:
        issuer.tokens["good-token"] = {"active": True, "email": ACCOUNT}
        issuer.tokens["anothers"] = {"active": True, "email": "other@here.test"}
        common = [curl, "--silent", "--show-error", "--cacert", str(server.authority), "--mail-from", ACCOUNT]
        common += ["--mail-rcpt", ACCOUNT, "--upload-file", "-", "--user", ACCOUNT]
        for mechanism in ("OAUTHBEARER", "XOAUTH2"):
            for token, expect in (("good-token", 0), ("bad-token", 67), ("anothers", 67)):
                words = [*common, "--login-options", f"AUTH={mechanism}", "--oauth2-bearer", token]
                text = f"From: {ACCOUNT}\r\nSubject: {mechanism}.\r\n\r\nx\r\n"
                url = f"smtps://localhost:{server.tls_port}"
                done = subprocess.run([*words, url], input=text, capture_output=True, text=True, timeout=PATIENCE_S)
                assert done.returncode == expect, done.stderr
        service = server.service
        assert len(service.events("login.succeeded", account=ACCOUNT)) == 2
        issuer.answer = 500, b""
        with server.client() as client:
            client.ehlo()
            bearer = base64.b64encode(f"user={ACCOUNT}\x01auth=Bearer good-token\x01\x01".encode()).decode()
            assert client.docmd("AUTH", f"XOAUTH2 {bearer}")[0] == 454
