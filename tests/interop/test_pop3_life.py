"""POP3 in the life of the service: reloads, processes that end, the end of all."""

import os
import poplib
import signal
from collections.abc import Iterator

import pytest

from tests.interop.pop3 import PASSWORD, Fetched, pop3_service
from tests.service import ACCOUNT

pytestmark = [pytest.mark.interop, pytest.mark.xdist_group("pop3")]


@pytest.fixture
def fetched() -> Iterator[Fetched]:
    with pop3_service({"auth": {"plain_in_clear": "loopback"}}) as fetched:
        yield fetched


def logged_in(fetched: Fetched) -> poplib.POP3:
    client = poplib.POP3("127.0.0.1", fetched.port, timeout=30)
    client.user(ACCOUNT)
    client.pass_(PASSWORD)
    return client


def test_listeners_come_and_go_with_a_reload(fetched: Fetched) -> None:
    service = fetched.service
    listen = [{"service": "smtp", "address": f"127.0.0.1:{service.port}"}]
    pop3 = {"service": "pop3", "address": f"127.0.0.1:{fetched.port}"}
    fetched.deliver("one")
    service.configure({"listen": listen})
    assert service.reload()["event"] == "service.reloaded"
    with pytest.raises(ConnectionRefusedError):
        poplib.POP3("127.0.0.1", fetched.port, timeout=30)
    assert "pop3" not in service.processes().values()
    service.configure({"listen": [*listen, pop3]})
    assert service.reload()["event"] == "service.reloaded"
    client = logged_in(fetched)
    assert client.stat()[0] == 1
    client.quit()


def test_processes_that_are_killed(fetched: Fetched) -> None:
    service = fetched.service
    fetched.deliver("one")
    client = logged_in(fetched)
    client.dele(1)
    since = service.mark()
    os.kill(service.pid_of("local"), signal.SIGKILL)
    service.wait_for("process.started", since=since, role="local")
    assert client.noop().startswith(b"+OK")
    other = logged_in(fetched)
    assert other.stat()[0] == 1, "who comes then gets another reader"
    since = service.mark()
    os.kill(service.pid_of("pop3"), signal.SIGKILL)
    service.wait_for("process.started", since=since, role="pop3")
    for broken in (client, other):
        with pytest.raises((poplib.error_proto, OSError)):
            broken.noop()
        broken.close()
    last = logged_in(fetched)
    assert last.stat()[0] == 1, "nothing was removed"
    last.quit()


def test_the_end_of_the_service_waits_for_who_is_logged_in(fetched: Fetched) -> None:
    service = fetched.service
    fetched.deliver("one")
    client = logged_in(fetched)
    client.dele(1)
    service.signal(signal.SIGTERM)
    service.wait_for("service.stopping")
    assert client.quit().startswith(b"+OK")
    service.ended()
    assert not any(service.maildir(ACCOUNT).glob("*/1*"))
