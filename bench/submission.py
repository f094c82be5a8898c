"""The load of submission: TLS from the start, AUTH PLAIN, one message and away, from several threads at once.

smtp-source speaks no TLS.  This client does as little as it can: its share of the machine is part of every number, and
the same for everybody.
"""

import base64
import socket
import ssl
import threading
import time
from collections.abc import Callable
from typing import Final

from bench.errors import BenchError
from bench.load import PAYLOAD_BYTES, SESSIONS, limit_s

_LINE: Final = b"X" * 78 + b"\r\n"


def send(port: int, user: str, password: str, messages: int) -> float:
    """Submit ``messages`` of 4 KB from ``user`` to itself, a new connection each; return how long that took.

    Raises BenchError at the first refusal.
    """
    began_s = time.monotonic()
    work = iter(range(messages))
    lock, failures = threading.Lock(), list[str]()
    deadline_s = began_s + limit_s(messages)

    def take() -> bool:
        with lock:
            return not failures and time.monotonic() < deadline_s and next(work, None) is not None

    threads = [
        threading.Thread(target=_submit_all, args=(port, user, password, take, failures)) for _ in range(SESSIONS)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    if failures:
        raise BenchError(failures[0])
    if next(work, None) is not None:
        raise BenchError(f"not all of {messages} messages were submitted in {limit_s(messages):.0f} s")
    return time.monotonic() - began_s


def _submit_all(port: int, user: str, password: str, take: Callable[[], bool], failures: list[str]) -> None:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.check_hostname = False
    context.verify_mode = ssl.CERT_NONE
    login = base64.b64encode(f"\0{user}\0{password}".encode())
    head = f"From: {user}\r\nTo: {user}\r\nDate: Fri, 27 Nov 2026 12:00:00 +0000\r\nMessage-ID: <1@load.test>\r\n\r\n"
    content = head.encode() + _LINE * (PAYLOAD_BYTES // len(_LINE)) + b".\r\n"
    envelope = f"MAIL FROM:<{user}>\r\nRCPT TO:<{user}>\r\nDATA\r\n".encode()
    steps = (
        (b"", 1, b"220"), (b"EHLO load.test\r\n", 1, b"250"), (b"AUTH PLAIN " + login + b"\r\n", 1, b"235"),
        (envelope, 3, b"354"), (content, 1, b"250"), (b"QUIT\r\n", 1, b"221"),
    )  # fmt: skip
    try:
        while take():
            with socket.create_connection(("127.0.0.1", port), timeout=60) as plain, context.wrap_socket(plain) as tls:
                for said, replies, code in steps:
                    _step(tls, said, replies, code)
    except (OSError, BenchError) as error:
        failures.append(f"submission: {error}")


def _step(tls: ssl.SSLSocket, said: bytes, replies: int, code: bytes) -> None:
    if said:
        tls.sendall(said)
    heard = b""
    while True:
        lines = [line for line in heard.split(b"\r\n")[:-1] if line[3:4] != b"-"]
        if len(lines) >= replies or any(line[:1] in b"45" for line in lines):
            break
        data = tls.recv(16384)
        if not data:
            raise BenchError(f"hung up after {heard[-100:]!r}")
        heard += data
    if not lines[-1].startswith(code):
        raise BenchError(f"unexpected reply: {lines[-1]!r}")
