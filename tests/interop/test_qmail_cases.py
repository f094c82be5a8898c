"""Cases of qmail-interfaces 27 that need a whole service and the programs; the table is tests/docs/qmail_cases.txt."""

import os
import subprocess
from collections.abc import Iterator

import pytest

from tests.service import ACCOUNT, Service, running_service

pytestmark = pytest.mark.interop

MESSAGE = b"Subject: case\n\nbody\n"


@pytest.fixture(scope="module")
def service() -> Iterator[Service]:
    with running_service(settings={"local": {"domains": ["h.ex"]}}) as running:
        running.run("programs", str(running.folder / "bin"), config=False)
        yield running


def qmail_queue(service: Service, envelope: bytes, expect: int = 0) -> None:
    """Hand in a message with this envelope, as whoever calls qmail-queue does."""
    reader, writer = os.pipe()
    os.write(writer, envelope)
    os.close(writer)
    done = subprocess.run(
        ["/bin/sh", "-c", f'exec "$0" 1</dev/fd/{reader}', str(service.folder / "bin" / "qmail-queue")],
        input=MESSAGE,
        env={"PAPERPATH_CONFIG": str(service.config), "PATH": os.defpath},
        pass_fds=(reader,),
    )
    os.close(reader)
    assert done.returncode == expect


def test_40_mail_for_an_empty_local_part_is_thrown_away(service: Service) -> None:
    since = service.mark()
    qmail_queue(service, b"Fs@else.test\0T@h.ex\0T" + ACCOUNT.encode() + b"\0\0")
    delivered = service.wait_for("delivery.delivered", since=since, recipient="@h.ex")
    assert delivered["text"] == "mail for an empty local part is thrown away"
    service.wait_for("delivery.delivered", since=since, recipient=ACCOUNT)
    service.wait_for("message.done", since=since)
    assert service.queue_empty()
    assert not service.events("delivery.failed", since=since)
