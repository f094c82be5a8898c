"""LMTP, QMTP and QMQP as a service speaks them: on TCP and on Unix sockets, with clients that are not ours."""

import os
import smtplib
import socket
import subprocess
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from tests.peers import require_peer
from tests.qmtp_client import QmtpClient, answers, string
from tests.service import ACCOUNT, PATIENCE_S, Service, free_port, running_service

pytestmark = [pytest.mark.interop, pytest.mark.xdist_group("other-services")]

OTHER = "other@here.test"


@dataclass
class Doors:
    """A service and where it listens."""

    service: Service
    lmtp: int
    qmtp: int
    qmqp: int

    @property
    def unix(self) -> str:
        return str(self.service.folder / "lmtp.socket")


@pytest.fixture(scope="module")
def doors() -> Iterator[Doors]:
    with running_service(accounts=(ACCOUNT, OTHER), start=False) as service:
        found = Doors(service, free_port(), free_port(), free_port())
        listen = [
            {"service": "smtp", "address": f"127.0.0.1:{service.port}"},
            {"service": "lmtp", "address": f"127.0.0.1:{found.lmtp}"},
            {"service": "lmtp", "address": f"unix:{found.unix}"},
            {"service": "qmtp", "address": f"127.0.0.1:{found.qmtp}"},
            {"service": "qmqp", "address": f"127.0.0.1:{found.qmqp}"},
        ]
        service.configure({"listen": listen})
        service.start()
        yield found


@pytest.mark.parametrize("unix", [False, True])
def test_lmtp_from_the_standard_library(doors: Doors, unix: bool) -> None:
    word = f"lmtplib{unix}"
    with smtplib.LMTP(doors.unix if unix else "127.0.0.1", doors.lmtp, local_hostname="client.test") as client:
        # It reads one reply to the content however many recipients there are, so one is all it can do.
        client.sendmail("a@client.test", [ACCOUNT], f"Subject: {word}\n\nx\n")
        with pytest.raises(smtplib.SMTPRecipientsRefused):
            client.sendmail("a@client.test", ["nobody@here.test"], "Subject: x\n\nx\n")
    doors.service.wait_until(lambda: _has(doors.service, ACCOUNT, word), word)
    peer = f"local uid {os.getuid()}" if unix else "[127.0.0.1]"
    assert f"({peer})\n\tby mx.here.test with LMTP ".encode() in doors.service.message(ACCOUNT, word)


@pytest.mark.parametrize("unix", [False, True])
def test_lmtp_from_swaks(doors: Doors, unix: bool) -> None:
    word = f"swaks{unix}"
    where = ["--socket", doors.unix] if unix else ["--server", "127.0.0.1", "--port", str(doors.lmtp)]
    call = [str(require_peer("swaks")), "--protocol", "LMTP", *where]
    call += ["--from", "a@client.test", "--to", f"{ACCOUNT},{OTHER}"]
    call += ["--h-Subject", word, "--timeout", str(int(PATIENCE_S))]
    done = subprocess.run(call, stdin=subprocess.DEVNULL, capture_output=True, text=True, timeout=PATIENCE_S)
    assert done.returncode == 0, done.stdout + done.stderr
    assert done.stdout.count("250 2.6.0 Accepted as ") == 2
    doors.service.wait_until(lambda: _has(doors.service, OTHER, word), word)


def test_lmtp_without_recipients_says_503(doors: Doors) -> None:
    with smtplib.LMTP("127.0.0.1", doors.lmtp, local_hostname="client.test") as client:
        client.ehlo()
        client.mail("a@client.test")
        assert client.docmd("DATA")[0] == 503
        assert client.docmd("EHLO", "client.test")[0] == 500


def test_qmtp_answers_for_each_recipient(doors: Doors) -> None:
    with QmtpClient(("127.0.0.1", doors.qmtp), PATIENCE_S) as client:
        said = client.deliver(b"Subject: qmtp1\n\n.\n", b"a@client.test", [b"user@here.test", b"nobody@here.test"])
        assert (said[0][:4], said[1][:1]) == (b"Kok ", b"D")
        client.send(b"16:\rSubject: qmtp2\r,")
        client.send(string(b"") + string(string(b"other@here.test") + string(b"\0a")))
        assert client.answer()[:1] == b"K"
        assert client.answer() == b"DSorry, I can't handle that recipient (#5.1.3)"
        client.end()
        assert client.answer() == b""
    doors.service.wait_until(lambda: _has(doors.service, ACCOUNT, "qmtp1"), "qmtp1")
    assert b"\n\nSubject" not in doors.service.message(ACCOUNT, "qmtp1")
    assert doors.service.message(ACCOUNT, "qmtp1").endswith(b"Subject: qmtp1\n\n.\n")
    line = doors.service.wait_for("session.closed", service="qmtp", messages=2)
    assert (line["recipients"], line["refused"], line["result"]) == (2, 2, "closed")


def test_qmqp_answers_for_the_whole(doors: Doors) -> None:
    message = b"Subject: qmqp1\n\n" + b"0123456789\n" * 50_000
    request = string(b"".join(map(string, [message, b"a@client.test", b"user@here.test", b"nobody@here.test"])))
    with socket.create_connection(("127.0.0.1", doors.qmqp), PATIENCE_S) as client:
        client.sendall(request)
        with client.makefile("rb") as stream:
            (said,) = answers(stream.read())
    assert said.startswith(b"Kok ")
    doors.service.wait_until(lambda: _has(doors.service, ACCOUNT, "qmqp1"), "qmqp1")
    delivered = doors.service.message(ACCOUNT, "qmqp1")
    assert b"by mx.here.test with QMQP " in delivered
    assert delivered.endswith(message)


def test_qmqp_from_postfix_s_generator(doors: Doors) -> None:
    since, count = doors.service.mark(), 50
    words = ["-s", "5", "-m", str(count), "-l", "1000", "-f", "a@client.test", "-t", ACCOUNT]
    call = [str(require_peer("qmqp-source")), *words, f"inet:127.0.0.1:{doors.qmqp}"]
    done = subprocess.run(call, stdin=subprocess.DEVNULL, capture_output=True, text=True, timeout=PATIENCE_S)
    assert done.returncode == 0, done.stderr
    assert len(doors.service.events("message.accepted", since=since, origin="qmqp 127.0.0.1")) == count
    doors.service.wait_for("delivery.delivered", since=since, recipient=ACCOUNT, count=count)


@pytest.mark.parametrize("named", [True, False])
def test_a_host_without_a_queue(doors: Doors, tmp_path: Path, named: bool) -> None:
    """A mini-qmail: sendmail hands over to qmail-qmqpc, which knows but a list of servers; or does it itself."""
    (tmp_path / "control").mkdir()
    (tmp_path / "control" / "qmqpservers").write_text("127.0.0.1\n")
    doors.service.run("programs", str(tmp_path / "bin"), config=False)
    for name in ("qmail-qmqpc", "sendmail"):
        program = tmp_path / "bin" / name
        lines = program.read_text().splitlines(keepends=True)
        more = f"from paperpath.inject import qmail_qmqpc\nqmail_qmqpc.PORT = {doors.qmqp}\n"
        program.write_text("".join([*lines[:-1], more, lines[-1]]))
    word = f"mini{named}"
    environment = {
        "PAPERPATH_QMAIL_HOME": str(tmp_path),
        "PATH": os.defpath,
        "PAPERPATH_CONFIG": str(tmp_path / "none"),
    }
    if named:
        environment["QMAILQUEUE"] = str(tmp_path / "bin" / "qmail-qmqpc")
    done = subprocess.run(
        [tmp_path / "bin" / "sendmail", "-f", "someone@mini.test", ACCOUNT],
        input=f"Subject: {word}\n\nx\n".encode(),
        env=environment,
        capture_output=True,
    )
    assert done.returncode == 0, done.stderr
    doors.service.wait_until(lambda: _has(doors.service, ACCOUNT, word), word)
    assert doors.service.message(ACCOUNT, word).startswith(b"Return-Path: <someone@mini.test>\n")


def test_a_host_that_hands_on_by_qmtp(doors: Doors) -> None:
    """Two services in a row: each recipient's outcome at the first is what the second answered."""
    routes = {"here.test": f"qmtp://127.0.0.1:{doors.qmtp}"}
    with running_service(accounts=("sender@first.test",), settings={"routes": routes}) as first:
        large = "Subject: twoinarow\n\n" + ".\n..\n0123456789\n" * 20_000
        first.send("sender@first.test", [ACCOUNT, "nobody@here.test"], large)
        first.wait_for("delivery.delivered", recipient=ACCOUNT)
        assert first.wait_for("delivery.failed", recipient="nobody@here.test")["status"] == "5.1.1"
    doors.service.wait_until(lambda: _has(doors.service, ACCOUNT, "twoinarow"), "twoinarow")
    message = doors.service.message(ACCOUNT, "twoinarow")
    assert b" with QMTP " in message and message.endswith(b".\n..\n0123456789\n" * 20_000)


def test_a_reload_keeps_every_door(doors: Doors) -> None:
    assert doors.service.reload()["event"] == "service.reloaded"
    with QmtpClient(("127.0.0.1", doors.qmtp), PATIENCE_S) as client:
        assert client.deliver(b"Subject: x\n\nx\n", b"", [b"nobody@here.test"])[0][:1] == b"D"
    with smtplib.LMTP(doors.unix, local_hostname="client.test") as lmtp:
        assert lmtp.noop()[0] == 250


def _has(service: Service, account: str, text: str) -> bool:
    return any(text.encode() in path.read_bytes() for path in service.messages(account))
