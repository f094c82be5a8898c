"""Signals that nobody should send, and that do no harm."""

import os
import signal
from collections.abc import Iterator

import pytest

from tests.interop.submission import PASSWORD, Submission, submission
from tests.service import ACCOUNT, Service

pytestmark = pytest.mark.interop


@pytest.fixture(scope="module")
def server() -> Iterator[Submission]:
    with submission() as server:
        yield server


def sent(server: Submission, subject: str) -> None:
    """Have a message submitted and delivered, so that every process is there and works."""
    since = server.service.mark()
    with server.client() as client:
        client.login(ACCOUNT, PASSWORD)
        client.sendmail(ACCOUNT, [ACCOUNT], f"From: {ACCOUNT}\nSubject: {subject}\n\nx\n")
    server.service.wait_for("delivery.delivered", since=since, recipient=ACCOUNT)
    server.service.message(ACCOUNT, f"Subject: {subject}\n")


def test_the_service_outlives_usr1_and_usr2(server: Submission) -> None:
    for number in (signal.SIGUSR1, signal.SIGUSR2):
        server.service.signal(number)
    assert server.service.reload()["event"] == "service.reloaded"
    assert not server.service.events("service.stopping")


@pytest.mark.parametrize("at_once", [True, False])
def test_an_interrupt_ends_a_process_without_a_word_from_python(server: Submission, at_once: bool) -> None:
    """One that runs, and one that is just starting; it is started again."""
    service = server.service
    sent(server, f"before {at_once}")
    for pid, module in service.processes().items():
        if module in {"queue", "local", "remote", "receive", "auth", "guard"}:
            since = service.mark()
            interrupt(service, pid, since)
            if at_once:
                interrupt(service, int(service.wait_for("process.started", since=since, role=module)["pid"]), since)
            service.wait_for("process.started", since=since, role=module)
    workers = [pid for pid, module in service.processes().items() if module == "local.worker_main"]
    for pid in workers:
        os.kill(pid, signal.SIGINT)
    sent(server, f"after {at_once}")
    assert not service.stray, service.stray


def interrupt(service: Service, pid: int, since: int) -> None:
    os.kill(pid, signal.SIGINT)
    assert service.wait_for("process.ended", since=since, pid=pid)["how"] == "SIGINT"
