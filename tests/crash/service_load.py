"""Clients that keep a service busy with numbered messages, and the count of what became of them."""

import itertools
import re
import smtplib
import socket
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterable
from types import TracebackType

from tests.qmtp_client import QmtpClient, package
from tests.service import PATIENCE_S, Service

_LARGE_BYTES = 200_000
"""Beyond what travels in a frame, so it is spooled and lies in a file."""


def body(number: int) -> bytes:
    """Return the body of a message: whoever finds it can tell whether it is whole."""
    size = _LARGE_BYTES if number % 20 == 7 else 100 * (number % 30)
    filler = b"%071d\n" % number * (size // 72)
    return b"number %d\n%send %d\n" % (number, filler, number)


def message(number: int) -> bytes:
    """Return the whole message, as it goes over the wire."""
    return b"Subject: numbered\r\n\r\n" + body(number).replace(b"\n", b"\r\n")


def number_of(content: bytes) -> int:
    """Return the number of a message that was delivered; fails where it is not whole."""
    content = content.replace(b"\r\n", b"\n")
    found = re.search(rb"\n\nnumber (\d+)\n", content)
    assert found, content[:500]
    number = int(found[1])
    assert content[found.start() + 2 :] == body(number), f"message {number} was changed"
    return number


Send = Callable[[str, int], None]


class Load:
    """Threads that send, one connection a message, every other one pipelined, until told to stop.

    A number is used once: what was not acknowledged is not sent again, so it is found once at most.
    """

    def __init__(self, service: Service, recipients: Iterable[str], threads: int = 6, send: Send | None = None) -> None:
        """``send`` is another way to send than SMTP, given a recipient and a number."""
        self.acknowledged: set[int] = set()
        self.failures: list[Exception] = []
        self.serving = threading.Event()
        """Cleared while nobody listens; nothing is sent then."""
        self.serving.set()
        self._service, self._recipients = service, tuple(recipients)
        self._send = send or self._by_smtp
        self._numbers = itertools.count()
        self._changed = threading.Condition()
        self._stopping = False
        self._threads = [threading.Thread(target=self._work) for _ in range(threads)]

    def __enter__(self) -> "Load":
        for thread in self._threads:
            thread.start()
        return self

    def __exit__(self, kind: type[BaseException] | None, value: BaseException | None, t: TracebackType | None) -> None:
        self.stop()

    def stop(self) -> None:
        """Let every thread finish its message."""
        self._stopping = True
        self.serving.set()
        for thread in self._threads:
            thread.join()

    def wait_for(self, acknowledged: int) -> None:
        """Wait until so many messages are acknowledged."""
        with self._changed:
            there = self._changed.wait_for(lambda: len(self.acknowledged) >= acknowledged, PATIENCE_S)
        assert there, f"stuck at {len(self.acknowledged)} acknowledged; {self.failures[-5:]}\n{self._service.tail()}"

    def _work(self) -> None:
        while not self._stopping:
            number = next(self._numbers)
            try:
                self._send(self._recipient(number), number)
            except (OSError, smtplib.SMTPException) as error:
                self.failures.append(error)
                self.serving.wait()
                continue
            with self._changed:
                self.acknowledged.add(number)
                self._changed.notify_all()

    def _by_smtp(self, recipient: str, number: int) -> None:
        (_send_pipelined if number % 2 else _send)(self._service.port, recipient, number)

    def _recipient(self, number: int) -> str:
        return self._recipients[number % len(self._recipients)]


def _send(port: int, recipient: str, number: int) -> None:
    with smtplib.SMTP("127.0.0.1", port, local_hostname="client.test", timeout=PATIENCE_S) as client:
        client.sendmail("sender@client.test", [recipient], message(number))


def _send_pipelined(port: int, recipient: str, number: int) -> None:
    """All in one write, the content included: the boldest thing that a client does."""
    commands = f"EHLO client.test\r\nMAIL FROM:<sender@client.test>\r\nRCPT TO:<{recipient}>\r\nDATA\r\n".encode()
    with socket.create_connection(("127.0.0.1", port), PATIENCE_S) as client:
        client.sendall(commands + message(number) + b".\r\nQUIT\r\n")
        replies = b"".join(iter(lambda: client.recv(65536), b""))
    codes = [int(code) for code in re.findall(rb"(?m)^(\d\d\d) [^\r]*\r\n", replies)]
    if codes[-2:] != [250, 221]:
        raise smtplib.SMTPResponseException(max(codes, default=421), replies)


def send_by_qmtp(port: int, recipient: str, number: int) -> None:
    """One package on a connection of its own.  Raises OSError where it was not taken."""
    with QmtpClient(("127.0.0.1", port), PATIENCE_S) as client:
        client.send(package(b"\r" + message(number), b"sender@client.test", [recipient.encode()]))
        answer = client.answer()
    if answer[:1] != b"K":
        raise smtplib.SMTPResponseException(550 if answer[:1] == b"D" else 421, answer)


def send_by_lmtp(path: str, recipient: str, number: int) -> None:
    """One message on a connection of its own to a Unix socket."""
    with smtplib.LMTP(path, local_hostname="client.test") as client:
        client.sendmail("sender@client.test", [recipient], message(number))


def empty_the_queue(service: Service) -> None:
    """Let everything that waits be tried now, until nothing waits any more."""
    end = time.monotonic() + PATIENCE_S
    while not service.queue_empty():
        assert time.monotonic() < end, f"{service.queue('list')}\n{service.tail()}"
        service.queue("retry", "--all")


def check_nothing_lost(load: Load, contents: Iterable[bytes], service: Service) -> None:
    """Fail where an acknowledged message is missing, more came twice than the log owns up to, or one was refused."""
    refused = [error for error in load.failures if _is_permanent(error)]
    assert not refused, refused
    copies = Counter(map(number_of, contents))
    lost = load.acknowledged - copies.keys()
    assert not lost, f"acknowledged and lost: {sorted(lost)}\n{service.tail()}"
    repeated = sum(copies.values()) - len(copies)
    assert repeated <= owned_up(service), f"{repeated} repeated, {owned_up(service)} of them known to the log"


def _is_permanent(error: Exception) -> bool:
    codes = [getattr(error, "smtp_code", 0)]
    if isinstance(error, smtplib.SMTPRecipientsRefused):
        codes = [code for code, _ in error.recipients.values()]
    return any(code >= 500 for code in codes)


def owned_up(service: Service) -> int:
    """Return how many deliveries may have happened twice, as the log tells."""
    jobs = sum(int(line["jobs"]) for line in service.events("agent.gone"))
    return jobs + len(service.events("delivery.interrupted"))
