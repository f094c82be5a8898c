"""Clients that others wrote send to Paperpath: swaks, Python's smtplib, Postfix's smtp-source."""

import re
import smtplib
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.peers import require_peer
from tests.service import ACCOUNT, PATIENCE_S, Service, running_service

pytestmark = pytest.mark.interop

LIMIT_BYTES = 10_000_000
OTHERS = [f"user{number}@here.test" for number in range(5)]
MANY = [f"many{number}@here.test" for number in range(12)]
UNICODE = "Subject: gr\N{LATIN SMALL LETTER U WITH DIAERESIS}n".encode()


@pytest.fixture(scope="module")
def service() -> Iterator[Service]:
    # Nobody is trusted to relay, so that the rules for strangers are the ones that are met.
    settings = {"receive": {"message_size": LIMIT_BYTES}, "relay": {"networks": []}}
    with running_service(accounts=[ACCOUNT, *OTHERS, *MANY], settings=settings) as service:
        yield service


class Swaks:
    """swaks, pointed at a service."""

    def __init__(self, service: Service) -> None:
        self._program, self._service = require_peer("swaks"), service

    def __call__(self, *options: str | Path, status: int = 0) -> str:
        """Run it; return the dialogue."""
        server = ["--server", "127.0.0.1", "--port", str(self._service.port), "--helo", "swaks.test"]
        done = subprocess.run(
            [self._program, *server, "--from", "sender@swaks.test", *options],
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            errors="replace",
            timeout=PATIENCE_S,
        )
        assert done.returncode == status, done.stdout + done.stderr
        return done.stdout


@pytest.fixture
def swaks(service: Service) -> Swaks:
    return Swaks(service)


# What swaks exits with when a command is refused.
RCPT_REFUSED, DATA_REFUSED, MAIL_REFUSED = 24, 25, 23


def test_swaks_plain(service: Service, swaks: Swaks) -> None:
    service.wait_done(swaks("--to", ACCOUNT, "--header", "Subject: plain", "--body", "first\n.\n..second"))
    message = service.message(ACCOUNT, "Subject: plain\n")
    assert message.startswith(
        b"Return-Path: <sender@swaks.test>\nDelivered-To: user@here.test\nReceived: from swaks.test"
    )
    assert b"\n\nfirst\n.\n..second\n" in message
    assert b"\r" not in message


def test_swaks_pipelining(service: Service, swaks: Swaks) -> None:
    service.wait_done(swaks("--to", ACCOUNT, "--pipeline", "--header", "Subject: pipelined"))
    service.message(ACCOUNT, "Subject: pipelined\n")


def test_swaks_eight_bit_body(service: Service, swaks: Swaks, tmp_path: Path) -> None:
    data = tmp_path / "data"
    data.write_bytes(b"Subject: eight bits\r\n\r\n" + bytes(range(128, 256)) + b"\r\n")
    service.wait_done(swaks("--to", ACCOUNT, "--data", f"@{data}"))
    assert service.message(ACCOUNT, "Subject: eight bits\n").endswith(b"\n\n" + bytes(range(128, 256)) + b"\n\n")


def test_swaks_large_message(service: Service, swaks: Swaks, tmp_path: Path) -> None:
    body = b"".join(b"%070d\r\n" % number for number in range(70_000))
    data = tmp_path / "data"
    data.write_bytes(b"Subject: five megabytes\r\n\r\n" + body)
    service.wait_done(swaks("--to", ACCOUNT, "--data", f"@{data}", "--hide-send"))
    # swaks ends what it is given with a line end of its own.
    assert (
        service.message(ACCOUNT, "Subject: five megabytes\n").partition(b"\n\n")[2] == body.replace(b"\r", b"") + b"\n"
    )


def test_swaks_many_recipients(service: Service, swaks: Swaks) -> None:
    service.wait_done(swaks("--to", ",".join(MANY), "--header", "Subject: to many"))
    for address in MANY:
        assert f"Delivered-To: {address}\n".encode() in service.message(address, "Subject: to many\n")


def test_swaks_unknown_recipient(swaks: Swaks) -> None:
    assert re.search(r"(?m)^<\*\* 550 5\.1\.1 ", swaks("--to", "nobody@here.test", status=RCPT_REFUSED))


def test_swaks_unknown_recipient_among_known(service: Service, swaks: Swaks) -> None:
    to = f"{MANY[0]},nobody@here.test,{MANY[1]}"
    service.wait_done(swaks("--to", to, "--header", "Subject: to some"))
    service.message(MANY[0], "Subject: to some\n")
    service.message(MANY[1], "Subject: to some\n")


def test_swaks_relaying_denied(service: Service, swaks: Swaks) -> None:
    since = service.mark()
    assert re.search(r"(?m)^<\*\* 550 5\.7\.1 ", swaks("--to", "someone@elsewhere.test", status=RCPT_REFUSED))
    service.wait_for("message.refused", since=since, recipient="someone@elsewhere.test", status="5.7.1")


def test_swaks_message_beyond_the_limit(service: Service, swaks: Swaks, tmp_path: Path) -> None:
    data = tmp_path / "data"
    data.write_bytes(b"Subject: too large\r\n\r\n" + (b"x" * 70 + b"\r\n") * (LIMIT_BYTES // 70))
    dialogue = swaks("--to", ACCOUNT, "--data", f"@{data}", "--hide-send", status=26)
    assert re.search(r"(?m)^<\*\* 552 5\.3\.4 ", dialogue)


def test_smtplib_declares_a_size_beyond_the_limit(service: Service) -> None:
    with service.client() as client:
        client.ehlo()
        assert client.esmtp_features["size"] == str(LIMIT_BYTES)
        assert client.mail("sender@client.test", [f"SIZE={LIMIT_BYTES + 1}"])[0] == 552
        assert client.mail("sender@client.test", [f"SIZE={LIMIT_BYTES}"])[0] == 250


def test_smtplib_several_messages_on_one_connection(service: Service) -> None:
    with service.client() as client:
        for number in range(5):
            client.sendmail("sender@client.test", [OTHERS[0]], f"Subject: message {number} of one session\n\n")
            client.rset()
    service.wait_for("delivery.delivered", recipient=OTHERS[0], count=5)
    for number in range(5):
        service.message(OTHERS[0], f"message {number} of one session")


def test_smtplib_unicode_addresses(service: Service) -> None:
    sender = "s\N{LATIN SMALL LETTER E WITH ACUTE}nder@client.test"
    with service.client() as client:
        client.ehlo()
        assert client.has_extn("smtputf8")
        options = ["SMTPUTF8", "BODY=8BITMIME"]
        client.sendmail(sender, [OTHERS[1]], UNICODE + b"\r\n\r\n", options)
    service.wait_for("delivery.delivered", recipient=OTHERS[1])
    message = service.message(OTHERS[1], UNICODE.decode())
    assert message.startswith(f"Return-Path: <{sender}>\n".encode())
    assert b" with UTF8SMTP " in message


def test_smtplib_old_greeting(service: Service) -> None:
    with service.client() as client:
        assert client.helo("old.test")[0] == 250
        assert client.docmd("MAIL FROM:<sender@old.test>")[0] == 250
        assert client.docmd(f"RCPT TO:<{OTHERS[2]}>")[0] == 250
        code, reply = client.data(b"Subject: old\r\n\r\n")
        assert code == 250
    service.wait_done(reply)
    assert re.search(rb"Received: from old\.test [^;]* with SMTP ", service.message(OTHERS[2], "Subject: old\n"))


def test_smtplib_postmaster_without_a_domain(service: Service) -> None:
    with service.client() as client:
        client.helo()
        client.docmd("MAIL FROM:<sender@client.test>")
        assert client.docmd("RCPT TO:<Postmaster>")[0] == 250
        code, reply = client.data(b"Subject: to whom it may concern\r\n\r\n")
        assert code == 250
    service.wait_done(reply)
    service.message(ACCOUNT, "Subject: to whom it may concern\n")


def test_smtplib_refusals_leave_the_session_usable(service: Service) -> None:
    with service.client() as client, pytest.raises(smtplib.SMTPRecipientsRefused):
        client.sendmail("sender@client.test", ["nobody@here.test"], "")
    with service.client() as client:
        client.ehlo()
        assert client.docmd("DATA")[0] == 503
        assert client.docmd("NONSENSE")[0] == 500
        assert client.docmd("VRFY user")[0] in (252, 502)
        client.sendmail("sender@client.test", [OTHERS[3]], "Subject: after all\n\n")
    service.wait_for("delivery.delivered", recipient=OTHERS[3])


def test_smtp_source_thousand_messages(service: Service) -> None:
    source, account, since = require_peer("smtp-source"), OTHERS[4], service.mark()
    count, where = 1000, f"127.0.0.1:{service.port}"
    options = ["-s", "20", "-m", str(count), "-l", "2000", "-f", "sender@source.test", "-t", account]
    subprocess.run([source, *options, where], check=True, timeout=PATIENCE_S, stdin=subprocess.DEVNULL)
    service.wait_for("message.done", since=since, count=count)
    assert len(service.messages(account)) == count
    assert service.queue_empty()
