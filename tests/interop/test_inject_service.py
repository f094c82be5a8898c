"""Programs of this host bring mail: to a service that runs, and to one that does not."""

import os
import re
import socket
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

import paperpath.config.control
import paperpath.system.kernel  # noqa: F401  (loaded late, and not any more by a child that is another user)
from paperpath.inject import sendmail
from paperpath.protocol.netstring import netstring
from tests.peers import require_peer, require_root
from tests.service import ACCOUNT, HOSTNAME, Service, running_service

MESSAGE = f"To: {ACCOUNT}\nSubject: from a program\n\nbody\n".encode()
STRANGER = 64_123
"""A user id that nobody has."""


@pytest.fixture(scope="module")
def service() -> Iterator[Service]:
    # In one process, so that the log of the drop folder is that of the process that is asked.
    with running_service(settings={"receive": {"processes": 2}}) as running:
        running.run("programs", str(running.folder / "bin"), config=False)
        yield running


def sendmail_as(uid: int, service: Service, *words: str) -> None:
    """Be sendmail as another user, in a child of this process: the interpreter may lie where that user cannot go."""
    reader, writer = os.pipe()
    os.write(writer, MESSAGE)
    os.close(writer)
    child = os.fork()
    if not child:
        try:
            os.dup2(reader, 0)
            os.setgroups([])
            os.setresgid(uid, uid, uid)
            os.setresuid(uid, uid, uid)
            os.environ["PAPERPATH_CONFIG"] = str(service.config)
            os._exit(sendmail.main(["sendmail", *words]))
        finally:
            os._exit(99)
    os.close(reader)
    assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 0


def program(
    service: Service, *words: str, given: bytes = MESSAGE, expect: int = 0, qmail_home: str = "/var/qmail"
) -> str:
    """Run one of the installed programs; return what it printed."""
    done = subprocess.run(
        [service.folder / "bin" / words[0], *words[1:]],
        input=given,
        env={
            "PAPERPATH_CONFIG": str(service.config),
            "PAPERPATH_QMAIL_HOME": qmail_home,
            "USER": "tester",
            "PATH": os.defpath,
        },
        capture_output=True,
    )
    assert done.returncode == expect, f"{words}: {done.returncode} {done.stderr.decode()}"
    return done.stdout.decode()


def arrived(service: Service, since: int) -> bytes:
    """Wait for the next delivery to the account and return the newest message."""
    service.wait_for("delivery.delivered", since=since, recipient=ACCOUNT)
    return max(service.messages(ACCOUNT), key=lambda path: path.stat().st_mtime_ns).read_bytes()


def test_sendmail_reaches_a_mailbox(service: Service) -> None:
    since = service.mark()
    program(service, "sendmail", "-t", "-i", "-f", "author@there.test")
    message = arrived(service, since)
    assert message.startswith(b"Return-Path: <author@there.test>\n")
    assert f"(local uid {os.getuid()})\n\tby {HOSTNAME} with local".encode() in message
    assert b"\nFrom: author@there.test\n" in message and message.endswith(b"\nbody\n")
    closed = service.wait_for("session.closed", since=since, service="inject")
    assert (closed["messages"], closed["recipients"], closed["refused"]) == (1, 1, 0)


def test_large_messages_are_spooled(service: Service) -> None:
    since = service.mark()
    body = b"x" * 70 + b"\n"
    program(service, "sendmail", ACCOUNT, given=b"Subject: large\n\n" + body * 20_000)
    assert arrived(service, since).endswith(body * 20_000)


def test_nobody_is_as_good_as_delivered(service: Service) -> None:
    since = service.mark()
    program(service, "qmail-inject", "-a")
    closed = service.wait_for("session.closed", since=since, service="inject")
    assert (closed["messages"], closed["recipients"]) == (1, 0)
    assert not service.events("message.accepted", since=since)


def test_a_looping_message_is_refused(service: Service) -> None:
    program(service, "qmail-inject", ACCOUNT, given=b"Received: x\n" * 101 + MESSAGE, expect=100)


def test_an_address_with_nul_is_refused(service: Service) -> None:
    answer = ask(service, netstring(MESSAGE) + netstring(b"a\0b@x.ex") + netstring(ACCOUNT.encode()))
    assert answer.startswith(b"D", answer.find(b":") + 1)


@pytest.mark.parametrize("request_", [b"hello", b"", netstring(b""), netstring(MESSAGE)])
def test_what_is_no_request_gets_no_answer(service: Service, request_: bytes) -> None:
    with socket.socket(socket.AF_UNIX) as sock:
        sock.connect(str(service.folder / "run" / "inject"))
        sock.sendall(request_)
        sock.shutdown(socket.SHUT_WR)
        assert sock.recv(1000) == b""


def ask(service: Service, inner: bytes) -> bytes:
    with socket.socket(socket.AF_UNIX) as sock:
        sock.connect(str(service.folder / "run" / "inject"))
        sock.sendall(netstring(inner))
        return sock.recv(1000)


def test_qmail_smtpd_hands_over_what_it_takes(service: Service) -> None:
    since = service.mark()
    (service.folder / "control").mkdir(exist_ok=True)
    (service.folder / "control/me").write_text("smtpd.test\n")
    dialogue = f"MAIL FROM:<author@there.test>\r\nRCPT TO:<{ACCOUNT}>\r\nDATA\r\n".encode()
    dialogue += MESSAGE.replace(b"\n", b"\r\n") + b".\r\nQUIT\r\n"
    said = program(service, "qmail-smtpd", given=dialogue, qmail_home=str(service.folder))
    assert re.search(r"\n250 ok [0-9]+ qp [0-9]+\n221 smtpd.test\n$", said.replace("\r", ""))
    message = arrived(service, since)
    assert message.startswith(b"Return-Path: <author@there.test>\n")
    assert b"\nReceived: from unknown (unknown)\n  by unknown with SMTP; " in message


def test_qmail_rspawn_runs_qmail_remote_and_that_reaches_a_server(service: Service) -> None:
    since = service.mark()
    for name in ("control", "queue/mess/5"):
        (service.folder / name).mkdir(parents=True, exist_ok=True)
    (service.folder / "control/me").write_text("remote.test\n")
    (service.folder / "control/smtproutes").write_text(f":127.0.0.1:{service.port}\n")
    (service.folder / "queue/mess/5/28").write_bytes(b"Subject: by qmail-remote\n\n.\n")
    command = b"\x075/28\0author@there.test\0" + ACCOUNT.encode() + b"\0"
    report = program(service, "qmail-rspawn", given=command, qmail_home=str(service.folder))
    assert report.startswith("x\x07K127.0.0.1 accepted message.\nRemote host said: 250 ")
    message = arrived(service, since)
    assert message.startswith(b"Return-Path: <author@there.test>\n")
    assert message.endswith(b"Subject: by qmail-remote\n\n.\n")


def test_the_queue_is_shown(service: Service) -> None:
    service.wait_until(service.queue_empty, "an empty queue")
    program(service, "sendmail", "-f", "s@x.test", "nobody@unreachable.invalid")
    assert "messages in queue: " in program(service, "qmail-qstat")
    shown = program(service, "mailq")
    if "unreachable" in shown:  # unless it has failed already
        assert "  <s@x.test> \n" in shown and "\tremote\tnobody@unreachable.invalid\n" in shown


def test_other_users_send_under_their_own_address(service: Service) -> None:
    require_root()
    open_up(service)
    since = service.mark()
    sendmail_as(STRANGER, service, "-f", "boss@elsewhere.test", ACCOUNT)
    own = f"{STRANGER}@{HOSTNAME}"
    assert arrived(service, since).startswith(f"Return-Path: <{own}>\n".encode())
    replaced = service.wait_for("sender.replaced", since=since)
    assert (replaced["asked"], replaced["sender"]) == ("boss@elsewhere.test", own)


@pytest.mark.parametrize("sender", ["", f"{STRANGER}-list-owner@{HOSTNAME}", f"{STRANGER}-list-@{HOSTNAME}-@[]"])
def test_what_is_theirs_they_may_use(service: Service, sender: str) -> None:
    require_root()
    open_up(service)
    since = service.mark()
    sendmail_as(STRANGER, service, "-f", sender, ACCOUNT)
    arrived(service, since)
    accepted = service.wait_for("message.accepted", since=since, origin=f"inject uid {STRANGER}")
    assert accepted["sender"] == sender and not service.events("sender.replaced", since=since)


def open_up(service: Service) -> None:
    """Let other users reach the socket and the drop folder, as they do where `init --system` made the folders."""
    for folder in (service.folder, service.folder / "state", service.folder / "run"):
        folder.chmod(0o755)


def test_stopped_service(service: Service) -> None:
    drop = service.folder / "state" / "drop"
    service.stop()
    try:
        program(service, "sendmail", "-t", given=MESSAGE.replace(b"from a program", b"left while stopped"))
        (left,) = drop.iterdir()
        assert left.stat().st_uid == os.getuid()
        for name, bad in broken(left.read_bytes()).items():
            (drop / name).write_bytes(bad)
        (drop / "link").symlink_to(left)
        os.mkfifo(drop / "pipe")
        os.link(drop / "half", drop / "half-again")
        (drop / ".new-unfinished").write_bytes(b"paper")
    finally:
        since = service.mark()
        service.start()
    assert b"left while stopped" in arrived(service, since)
    refused = {"half", "half-again", "longer", "version", "link", "pipe", "nothing"}
    service.wait_for("drop.refused", since=since, count=len(refused))
    assert {line["file"] for line in service.events("drop.refused", since=since)} == refused
    # Where the process is confined it may not even move links and pipes.
    aside = {path.name for path in (drop / ".bad").iterdir()}
    stayed = {path.name for path in drop.iterdir()}
    assert aside | stayed == refused | {".bad", ".new-unfinished"} and aside >= refused - {"link", "pipe"}
    assert (drop / ".new-unfinished").read_bytes() == b"paper"
    assert len(service.events("message.accepted", since=since)) == 1


def broken(whole: bytes) -> dict[str, bytes]:
    """Return what an interrupted or a hostile program might leave."""
    return {
        "half": whole[: len(whole) // 2],
        "longer": whole + b"x",
        "version": whole.replace(b"drop 1", b"drop 2"),
        "nothing": b"",
    }


def test_stopped_service_and_another_user(service: Service) -> None:
    require_root()
    open_up(service)
    service.stop()
    try:
        sendmail_as(STRANGER, service, "-f", "boss@elsewhere.test", ACCOUNT)
        found = [path for path in (service.folder / "state" / "drop").iterdir() if len(path.name) == 32]
        assert [(path.stat().st_uid, path.stat().st_mode & 0o777) for path in found] == [(STRANGER, 0o640)]
        assert list_as(STRANGER, service.folder / "state" / "drop") != 0
    finally:
        since = service.mark()
        service.start()
    assert arrived(service, since).startswith(f"Return-Path: <{STRANGER}@{HOSTNAME}>\n".encode())


def list_as(uid: int, folder: Path) -> int:
    done = subprocess.run(
        ["ls", folder], user=uid, extra_groups=[], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
    )
    return done.returncode


def test_s_nail_sends_through_sendmail(service: Service) -> None:
    nail = require_peer("s-nail")
    since = service.mark()
    subprocess.run(
        [nail, "-n", "-s", "by s-nail", "-S", f"mta={service.folder}/bin/sendmail", "-r", "me@there.test", ACCOUNT],
        input=b"hello\n.\nworld\n",
        env={"PAPERPATH_CONFIG": str(service.config), "HOME": str(service.folder), "PATH": os.defpath, "LC_ALL": "C"},
        check=True,
        capture_output=True,
    )
    message = arrived(service, since)
    assert message.startswith(b"Return-Path: <me@there.test>\n")
    assert b"\nSubject: by s-nail\n" in message and message.endswith(b"\nhello\n.\nworld\n")


def mailer(service: Service, *words: str | Path, given: bytes = b"") -> None:
    """Run a program of somebody else's that calls sendmail; it must be content."""
    done = subprocess.run(
        words,
        input=given,
        env={"PAPERPATH_CONFIG": str(service.config), "HOME": str(service.folder), "PATH": os.defpath, "LC_ALL": "C"},
        capture_output=True,
    )
    assert done.returncode == 0, done.stderr.decode()


def test_mutt_sends_through_sendmail(service: Service) -> None:
    mutt = require_peer("mutt")
    since = service.mark()
    setting = f'set sendmail="{service.folder}/bin/sendmail -oem -oi" from=me@there.test use_envelope_from=yes'
    attached = service.folder / "attached"
    attached.write_bytes(b"From here on\n.\n")
    words = ("-n", "-F", "/dev/null", "-e", setting, "-s", "by mutt", "-a", attached, "--", ACCOUNT)
    mailer(service, mutt, *words, given=b"hello\n.\nworld\n")
    message = arrived(service, since)
    assert message.startswith(b"Return-Path: <me@there.test>\n")
    assert b"\nSubject: by mutt\n" in message and b"\nhello\n.\nworld\n" in message and b"here on\n.\n" in message


def test_php_sends_through_sendmail(service: Service) -> None:
    php = require_peer("php")
    since = service.mark()
    text = '"hello\\n.\\nworld\\n", "From: me@there.test", "-fback@there.test"'
    code = f'exit(mail("{ACCOUNT}", "by php", {text}) ? 0 : 1);'
    mailer(service, php, "-n", "-d", f"sendmail_path={service.folder}/bin/sendmail -t -i", "-r", code)
    message = arrived(service, since)
    assert message.startswith(b"Return-Path: <back@there.test>\n")
    assert b"\nSubject: by php\n" in message and b"\nFrom: me@there.test\n" in message
    assert b"\nhello\n.\nworld\n" in message
