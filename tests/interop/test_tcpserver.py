"""A host that runs qmail-smtpd under tcpserver, with rules and a list, keeps its run script."""

import os
import smtplib
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager

import pytest

from tests.peers import require_peer
from tests.service import ACCOUNT, Service, running_service


@pytest.fixture(scope="module")
def service() -> Iterator[Service]:
    with running_service() as running:
        running.run("programs", str(running.folder / "bin"), config=False)
        for name, lines in (("me", "under.tcpserver.test"), ("rcpthosts", ACCOUNT.partition("@")[2])):
            (running.folder / "control").mkdir(exist_ok=True)
            (running.folder / "control" / name).write_text(f"{lines}\n")
        yield running


@contextmanager
def client_of(service: Service, rules: str) -> Iterator[smtplib.SMTP]:
    """Run tcpserver as a run script does; yield a client that it let in."""
    table = service.folder / "tcp.smtp.cdb"
    bin_ = service.folder / "bin"
    subprocess.run([bin_ / "tcprules", table, f"{table}.tmp"], input=rules.encode(), check=True)
    options = ["-1", "-R", "-H", "-l", "mx.tcpserver.test", "-x", str(table)]
    program = [str(bin_ / "rblsmtpd"), "-r", "list.invalid", str(bin_ / "qmail-smtpd")]
    server = subprocess.Popen(
        [require_peer("tcpserver"), *options, "127.0.0.1", "0", *program],
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        env={
            "PATH": os.defpath,
            "PAPERPATH_CONFIG": str(service.config),
            "PAPERPATH_QMAIL_HOME": str(service.folder),
        },
    )
    try:
        assert server.stdout is not None
        port = int(server.stdout.readline())
        with smtplib.SMTP("127.0.0.1", port, local_hostname="client.test", timeout=30) as client:
            yield client
    finally:
        server.terminate()
        server.communicate()


def test_mail_comes_in_and_rules_decide(service: Service) -> None:
    since = service.mark()
    with client_of(service, '127.0.0.1:allow,RBLSMTPD="",RELAYCLIENT=""\n:deny\n') as client:
        refused = client.sendmail("author@there.test", [ACCOUNT], "Subject: x\n\ntext\n")
        assert not refused
        assert client.docmd("MAIL", "FROM:<a@there.test>")[0] == 250
        assert client.docmd("RCPT", "TO:<far@away.test>") == (250, b"ok")
    service.wait_for("delivery.delivered", since=since, recipient=ACCOUNT)
    message = max(service.messages(ACCOUNT), key=lambda path: path.stat().st_mtime_ns).read_bytes()
    assert b"\nReceived: from unknown (HELO client.test) (127.0.0.1)\n  by mx.tcpserver.test with SMTP; " in message


def test_who_is_listed_is_sent_away(service: Service) -> None:
    with client_of(service, '127.:allow,RBLSMTPD="-go away"\n') as client:
        assert client.docmd("MAIL", "FROM:<a@there.test>")[0] == 250
        assert client.docmd("RCPT", f"TO:<{ACCOUNT}>") == (553, b"go away")


def test_nobody_relays_without_a_rule(service: Service) -> None:
    with client_of(service, '127.:allow,RBLSMTPD=""\n') as client:
        assert client.docmd("MAIL", "FROM:<a@there.test>")[0] == 250
        assert client.docmd("RCPT", "TO:<far@away.test>")[0] == 553
        assert client.docmd("RCPT", f"TO:<{ACCOUNT}>")[0] == 250
