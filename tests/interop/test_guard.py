"""Standing up to abuse, over the real service: bans, floods and slow clients from addresses of the loopback.

127.0.0.1 is the relay network; every other address of 127.0.0.0/8 is a stranger.
"""

import os
import resource
import selectors
import signal
import smtplib
import socket
import subprocess
import threading
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager, suppress
from pathlib import Path
from typing import Any

import pytest

from tests.peers import require_peer, require_root
from tests.service import ACCOUNT, PATIENCE_S, Service, running_service

pytestmark = pytest.mark.interop

RELAYS = {"networks": ["127.0.0.1/32"]}
QUICK = {"greeting_delay": 0, "error_delay": 0}
SWEEP_S = 5
"""How often `receive` looks for silent sessions."""
BAD = "127.0.1.1"


@contextmanager
def guarded(limits: dict[str, Any] | None = None, **settings: Any) -> Iterator[Service]:
    limits = {**QUICK, **(limits or {})}
    with running_service(settings={"relay": RELAYS, "limits": limits, **settings}) as service:
        yield service


def connect(service: Service, source: str) -> socket.socket:
    return socket.create_connection(("127.0.0.1", service.port), PATIENCE_S, source_address=(source, 0))


def greeting(service: Service, source: str) -> str:
    """Return the first reply to a client from there, which leaves at once."""
    with connect(service, source) as client, client.makefile("rb") as replies:
        line = replies.readline().decode()
        if line.startswith("220"):
            client.sendall(b"QUIT\r\n")
            replies.read()
        return line


def until_greeted(service: Service, source: str, code: str) -> None:
    """Connect until the first reply is this: what `guard` pushes takes a moment to arrive."""
    end = time.monotonic() + PATIENCE_S
    while not (said := greeting(service, source)).startswith(code):
        assert time.monotonic() < end, said


def relayed(service: Service, subject: str) -> None:
    service.send("from@there.test", [ACCOUNT], f"Subject: {subject}\n\nx\n")


def swaks(service: Service, source: str, recipient: str) -> subprocess.CompletedProcess[str]:
    call = ["swaks", "--server", f"127.0.0.1:{service.port}", "--local-interface", source, "--helo", "client.test"]
    addresses = ["--from", "from@there.test", "--to", recipient]
    return subprocess.run([*call, *addresses], capture_output=True, text=True, timeout=PATIENCE_S)


# Bans.


def test_guessing_recipients_is_banned_explained_and_lifted() -> None:
    require_peer("swaks")
    with guarded(bans={"points": 3}) as service:
        assert swaks(service, BAD, ACCOUNT).returncode == 0
        for number in range(3):
            assert "550 5.1.1" in swaks(service, BAD, f"guess{number}@here.test").stdout
        ban = service.wait_for("ban.began")
        assert (ban["network"], ban["reason"], ban["for_s"]) == (BAD, "recipients that do not exist", 600)
        assert "unknown-recipient guess2@here.test" in ban["evidence"]
        until_greeted(service, BAD, "421 4.7.0")
        assert "421 4.7.0 Your address is not served for a while" in swaks(service, BAD, ACCOUNT).stdout
        assert greeting(service, "127.0.1.2").startswith("220")
        relayed(service, "relay networks go on")
        why = service.run("ban", "why", BAD)
        assert "recipients that do not exist" in why and "guess0@here.test" in why
        assert BAD in service.run("ban", "list")
        service.run("ban", "remove", BAD)
        assert service.wait_for("ban.ended")["turned_away"] >= 1
        until_greeted(service, BAD, "220")
        assert swaks(service, BAD, ACCOUNT).returncode == 0
        service.run("ban", "why", BAD, expect=100)


def test_an_operators_ban_outlives_the_service_and_trusted_networks_have_none() -> None:
    with guarded() as service:
        service.run("ban", "add", "127.0.2.0/24", "--reason", "by hand")
        until_greeted(service, "127.0.2.77", "554 5.7.1")
        service.run("ban", "add", "127.0.0.1", expect=100)
        service.stop()
        service.start()
        until_greeted(service, "127.0.2.78", "554 5.7.1")
        relayed(service, "served all the same")
        service.configure({"bans": {"trusted": ["127.0.2.64/26"]}})
        assert service.reload()["event"] == "service.reloaded"
        assert service.wait_for("ban.ended")["how"] == "trusted now"
        until_greeted(service, "127.0.2.78", "220")


@pytest.mark.parametrize(
    ("said", "reply", "evidence"),
    [
        (b"EHLO bot.test\r\nMAIL FROM:<a@b.test>\r\n", b"554 5.5.0 ", "early-talk EHLO bot.test"),
        (b"GET / HTTP/1.1\r\nHost: x\r\n\r\n", b"554 5.5.0 ", "early-talk GET /"),
    ],
)
def test_who_does_not_wait_for_the_greeting_is_refused_and_banned(said: bytes, reply: bytes, evidence: str) -> None:
    with guarded({"greeting_delay": 30}, bans={"points": 5}) as service:
        with connect(service, BAD) as client:
            client.sendall(said)
            assert client.recv(4096).startswith(reply)
        assert evidence in service.wait_for("ban.began")["evidence"]
        relayed(service, "relay networks do not wait")


def test_http_is_banned_and_nothing_of_it_is_taken_for_commands() -> None:
    with guarded(bans={"points": 10}) as service, connect(service, BAD) as client:
        client.recv(4096)
        client.sendall(b"POST / HTTP/1.1\r\n\r\nMAIL FROM:<a@b.test>\r\nQUIT\r\n")
        assert client.makefile("rb").read() == b"500 5.5.1 This is no web server; closing\r\n"
        assert service.wait_for("ban.began")["reason"] == "speaking another protocol"


def killed(service: Service) -> None:
    """End `guard`; see that bans hold meanwhile, and that it is back and mail goes on."""
    since = service.mark()
    os.kill(service.pid_of("guard"), signal.SIGKILL)
    service.wait_for("process.ended", since=since, role="guard", how="SIGKILL")
    assert greeting(service, BAD).startswith("421"), "what is known holds"
    service.wait_for("process.started", since=since, role="guard")
    service.wait_for("message.done", since=service.mark(), count=20)


def test_guard_killed_while_mail_flows_refuses_nobody_and_remembers() -> None:
    with guarded(receive={"processes": 2}) as service:
        service.run("ban", "add", BAD, "--for", "7d")
        until_greeted(service, BAD, "421")
        failed: list[str] = []
        stop = threading.Event()

        def flow(source: str) -> None:
            number = 0
            while not stop.is_set() and not failed:
                number += 1
                try:
                    with smtplib.SMTP(
                        "127.0.0.1", service.port, "client.test", PATIENCE_S, source_address=(source, 0)
                    ) as client:
                        client.sendmail("from@there.test", [ACCOUNT], f"Subject: {source} {number}\n\nx\n")
                except (OSError, smtplib.SMTPException) as error:
                    failed.append(f"{source} {number}: {error}")

        threads = [threading.Thread(target=flow, args=(source,)) for source in ("127.0.0.1", "127.0.3.1", "127.0.3.2")]
        for thread in threads:
            thread.start()
        try:
            for _ in range(3):
                killed(service)
        finally:
            stop.set()
            for thread in threads:
                thread.join()
        assert not failed, failed
        service.wait_for("guard.away", count=2)
        assert BAD in service.run("ban", "list")
        assert greeting(service, BAD).startswith("421")


# Floods.


def hold(service: Service, count: int, stack: ExitStack, *, network: str = "127.5") -> dict[str, int]:
    """Open so many connections from addresses of a network and keep those that are served; count the first replies."""
    said: dict[str, int] = {}
    with selectors.DefaultSelector() as waiting:
        for number in range(count):
            client = socket.socket()
            client.setblocking(False)
            client.bind((f"{network}.{number // 200}.{number % 200 + 1}", 0))
            client.connect_ex(("127.0.0.1", service.port))
            waiting.register(stack.enter_context(client), selectors.EVENT_READ)
        end = time.monotonic() + PATIENCE_S
        while waiting.get_map():
            for key, _ in waiting.select(1):
                waiting.unregister(key.fileobj)
                client = key.fileobj  # type: ignore[assignment]
                try:
                    code = client.recv(3).decode()
                except ConnectionResetError:
                    code = "reset"
                said[code] = said.get(code, 0) + 1
                if code != "220":
                    client.close()
            assert time.monotonic() < end, said
    return said


def allow_files(wanted: int) -> None:
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    if hard < wanted:
        pytest.skip(f"this user may not open {wanted} files")
    resource.setrlimit(resource.RLIMIT_NOFILE, (max(soft, wanted), hard))


def test_a_flood_leaves_room_for_relay_networks_and_the_known() -> None:
    allow_files(4000)
    known = "127.9.9.9"
    settings = {"receive": {"sessions": 200, "processes": 2}}
    with guarded({"reserved_percent": 20}, **settings) as service, ExitStack() as stack:
        assert swaks_free(service, known)
        service.wait_for("message.done")
        said = hold(service, 3000, stack)
        assert sum(said.values()) == 3000
        assert 80 <= said["220"] <= 160, said
        assert set(said) <= {"220", "421"}, said
        relayed(service, "in the flood")
        until_greeted(service, known, "220")
        lines = service.wait_for("session.turned-away")
        assert (lines["code"], lines["status"]) == (421, "4.3.2")
        assert not service.events("process.ended")
        stack.close()
        until_greeted(service, "127.5.0.1", "220")


def swaks_free(service: Service, source: str) -> bool:
    """Send a message from an address, so that it is known."""
    with smtplib.SMTP("127.0.0.1", service.port, "client.test", PATIENCE_S, source_address=(source, 0)) as client:
        return not client.sendmail("from@there.test", [ACCOUNT], "Subject: known\n\nx\n")


def test_one_address_and_one_network_have_their_share() -> None:
    allow_files(2000)
    settings = {"receive": {"sessions_per_address": 10, "processes": 1}}
    with guarded({"sessions_per_network": 25}, **settings) as service, ExitStack() as stack:
        assert hold(service, 60, stack, network="127.6") == {"220": 25, "421": 35}
        mine = [stack.enter_context(connect(service, BAD)) for _ in range(12)]
        assert [client.recv(3) for client in mine] == [b"220"] * 10 + [b"421"] * 2
        assert greeting(service, "127.0.1.2").startswith("220")


@pytest.mark.root
def test_with_few_descriptors_it_takes_fewer_sessions_and_goes_on() -> None:
    require_root()
    allow_files(3000)
    with running_service(settings={"relay": RELAYS, "limits": QUICK}, start=False) as service, ExitStack() as stack:
        fewer = ("prlimit", "--nofile=300:300", "setpriv", "--bounding-set=-sys_resource", "--")
        service.program = (*fewer, *service.program)
        service.start()
        assert service.wait_for("session.fewer")["sessions"] == 150
        receive = service.pid_of("receive")
        said = hold(service, 2000, stack)
        assert said["220"] <= 120, said
        before = cpu_s(receive)
        relayed(service, "with the last descriptors")
        service.wait_for("delivery.delivered")
        service.wait_for("session.turned-away")
        assert cpu_s(receive) - before < 1.0
        stack.close()
        until_greeted(service, "127.5.0.1", "220")
        assert not service.events("process.ended")


def cpu_s(pid: int) -> float:
    """Return the processor time that a process has used."""
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


# Slow clients.


def test_slow_clients_hold_no_slot_for_long_where_slots_are_short() -> None:
    """A hundred slow clients on fifty slots drip a byte now and then; all are gone within three sweeps."""
    allow_files(2000)
    limits = {"strained_timeout": 2, "reserved_percent": 20}
    with guarded(limits, receive={"sessions": 50, "processes": 1}) as service, ExitStack() as stack:
        clients = []
        for number in range(40):
            client = stack.enter_context(connect(service, f"127.7.{number // 200}.{number + 1}"))
            client.recv(4096)
            client.sendall(
                b"EHLO slow.test\r\nMAIL FROM:<a@b.test>\r\nRCPT TO:<user@here.test>\r\nDATA\r\n"[: 15 + number % 60]
            )
            clients.append(client)
        assert greeting(service, "127.8.0.1").startswith("421"), "no slot is left for strangers"
        began = time.monotonic()
        while (ended := len(service.events("session.closed", result="timeout"))) < len(clients):
            drip(clients)
            service.wait_for("session.closed", result="timeout", count=ended + 1)
        assert time.monotonic() - began < 3 * SWEEP_S + 2
        until_greeted(service, "127.8.0.1", "220")
        relayed(service, "after the slow ones")


def drip(clients: list[socket.socket]) -> None:
    """Send a byte on each connection that is still there."""
    for client in clients:
        with suppress(OSError):
            client.send(b"x")
