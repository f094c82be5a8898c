"""Large messages pass through without being held in memory."""

import re
import socket
import threading
from pathlib import Path

import pytest

from tests.service import ACCOUNT, PATIENCE_S, Service, running_service

pytestmark = [pytest.mark.interop, pytest.mark.slow]

MESSAGE_BYTES = 40_000_000
AT_ONCE = 3
GROWTH_MOST_BYTES = 8_000_000
"""For all sessions of a process together: a fifth of one such message."""

LINES = b"".join(b"%070d\r\n" % number for number in range(1000))


def peak_bytes(pid: int) -> int:
    """Return the most memory that a process ever held."""
    found = re.search(r"VmHWM:\s+(\d+) kB", Path(f"/proc/{pid}/status").read_text())
    assert found
    return int(found[1]) * 1024


def send_large(service: Service) -> None:
    """Send one large message without holding it here either."""
    with socket.create_connection(("127.0.0.1", service.port), PATIENCE_S) as client, client.makefile("rb") as replies:
        client.sendall(b"EHLO client.test\r\n")
        client.sendall(f"MAIL FROM:<sender@client.test>\r\nRCPT TO:<{ACCOUNT}>\r\nDATA\r\n".encode())
        for _ in range(MESSAGE_BYTES // len(LINES)):
            client.sendall(LINES)
        client.sendall(b".\r\nQUIT\r\n")
        assert b"\r\n250 2.6.0 " in replies.read()


def test_large_messages_do_not_grow_the_processes() -> None:
    with running_service(settings={"receive": {"processes": 1}}) as service:
        service.send("sender@client.test", [ACCOUNT], "Subject: small\n\n")
        service.wait_for("message.done")
        modules = ("receive", "queue", "local", "local.worker_main")
        watched = {pid: module for pid, module in service.processes().items() if module in modules}
        before = {pid: peak_bytes(pid) for pid in watched}
        threads = [threading.Thread(target=send_large, args=(service,)) for _ in range(AT_ONCE)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        service.wait_for("message.done", count=1 + AT_ONCE)
        growth = {module: peak_bytes(pid) - before[pid] for pid, module in watched.items()}
        print(growth)
        assert sorted(watched.values()) == sorted(modules)
        assert max(growth.values()) < GROWTH_MOST_BYTES, growth
        sizes = [path.stat().st_size for path in service.messages(ACCOUNT)]
        assert len([size for size in sizes if size > MESSAGE_BYTES * 70 // 72]) == AT_ONCE
