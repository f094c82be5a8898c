"""HUP under load: no session notices, and what changed is in force."""

import os
import signal
import smtplib
import socket
from collections.abc import Iterator

import pytest

from tests.crash.service_load import Load, check_nothing_lost, empty_the_queue
from tests.service import ACCOUNT, HOSTNAME, PATIENCE_S, Service, free_port, running_service

pytestmark = [pytest.mark.crash, pytest.mark.slow]


@pytest.fixture
def service() -> Iterator[Service]:
    with running_service() as service:
        yield service


def test_new_domain_and_listener_are_in_force_and_no_session_was_dropped(service: Service) -> None:
    other, port = "user@new.test", free_port()
    with Load(service, [ACCOUNT]) as load, service.client() as open_before:
        open_before.ehlo()
        open_before.mail("sender@client.test")
        load.wait_for(30)
        old = f"127.0.0.1:{service.port}"
        listen = [{"service": "smtp", "address": address} for address in (old, f"127.0.0.1:{port}")]
        service.configure({"listen": listen, "mailboxes": {"domains": ["here.test", "new.test"]}})
        service.run("account", "add", other)
        assert service.reload()["event"] == "service.reloaded"
        load.wait_for(len(load.acknowledged) + 60)
        assert open_before.rcpt(ACCOUNT)[0] == 250
        assert open_before.data("Subject: open before\n\nnumber 1\n")[0] == 250
    assert load.failures == []
    with smtplib.SMTP("127.0.0.1", port, timeout=PATIENCE_S) as client:
        client.sendmail("sender@client.test", [other], "Subject: new\n\nmail\n")
    service.wait_for("delivery.delivered", recipient=other)
    empty_the_queue(service)
    contents = [path.read_bytes() for path in service.messages(ACCOUNT)]
    check_nothing_lost(load, [content for content in contents if b"Subject: numbered\n" in content], service)
    assert len(contents) == len(load.acknowledged) + 1
    service.stop()


def test_listener_that_is_gone_from_the_file_is_closed(service: Service) -> None:
    former, service.port = service.port, free_port()
    service.configure({"listen": [{"service": "smtp", "address": f"127.0.0.1:{service.port}"}]})
    assert service.reload()["event"] == "service.reloaded"
    with service.client() as client:
        assert client.noop()[0] == 250
    with pytest.raises(ConnectionRefusedError):
        smtplib.SMTP("127.0.0.1", former, timeout=PATIENCE_S)


def test_broken_file_keeps_the_former_settings(service: Service) -> None:
    good = service.config.read_text()
    service.config.write_text(good + "\n[receive]\nmessage_sise = 1\n")
    refused = service.reload()
    assert refused["event"] == "service.reload-refused"
    assert "message_size" in refused["reason"]
    service.send("sender@client.test", [ACCOUNT], "Subject: still here\n\n")
    service.wait_for("delivery.delivered", recipient=ACCOUNT)
    service.config.write_text(good)
    assert service.reload()["event"] == "service.reloaded"


def test_address_that_cannot_be_had_keeps_the_former_settings(service: Service) -> None:
    with running_service() as neighbour:
        taken = {"service": "smtp", "address": f"127.0.0.1:{neighbour.port}"}
        service.configure({"listen": [{"service": "smtp", "address": f"127.0.0.1:{service.port}"}, taken]})
        refused = service.reload()
    assert refused["event"] == "service.reload-refused"
    assert str(neighbour.port) in refused["reason"]
    with service.client() as client:
        assert client.ehlo()[1].startswith(HOSTNAME.encode())


def test_process_that_hangs_makes_all_others_go_back(service: Service) -> None:
    former, port, hung = service.config.read_text(), free_port(), service.pid_of("remote")
    service.configure({"listen": [{"service": "smtp", "address": f"127.0.0.1:{port}"}]})
    os.kill(hung, signal.SIGSTOP)
    try:
        refused = service.reload()
    finally:
        os.kill(hung, signal.SIGCONT)
    assert refused["event"] == "service.reload-refused"
    assert "remote: no answer within" in refused["reason"]
    with pytest.raises(ConnectionRefusedError):
        smtplib.SMTP("127.0.0.1", port, timeout=PATIENCE_S)
    service.send("sender@client.test", [ACCOUNT], "Subject: still here\n\n")
    service.wait_for("delivery.delivered", recipient=ACCOUNT)
    service.config.write_text(former)
    assert service.reload()["event"] == "service.reloaded"
    service.stop()
    assert not service.events("process.ended")


def test_term_is_heard_while_a_reload_waits(service: Service) -> None:
    port, hung = free_port(), service.pid_of("remote")
    service.configure({"listen": [{"service": "smtp", "address": f"127.0.0.1:{port}"}]})
    os.kill(hung, signal.SIGSTOP)
    service.signal(signal.SIGHUP)
    wait_until_listening(port)
    service.signal(signal.SIGTERM)
    service.wait_for("service.stopping")
    service.signal(signal.SIGTERM)
    service.ended()
    assert not service.events("service.reload-refused")


def wait_until_listening(port: int) -> None:
    """Return when the supervisor has opened this door, which it does before it tells anybody."""
    while True:
        with socket.socket() as probe:
            if probe.connect_ex(("127.0.0.1", port)) == 0:
                return


def test_number_of_processes_changes(service: Service) -> None:
    service.configure({"receive": {"processes": 2}})
    since = service.mark()
    assert service.reload()["event"] == "service.reloaded"
    assert [line["role"] for line in service.events("process.started", since=since)] == ["receive-1", "receive-2"]
    service.send("sender@client.test", [ACCOUNT], "Subject: to the new ones\n\n")
    service.wait_for("delivery.delivered", recipient=ACCOUNT)
    service.stop()
    assert not service.events("process.ended")


def test_second_service_in_the_same_place_is_refused(service: Service) -> None:
    other = service.folder / "other.toml"
    other.write_text(service.config.read_text().replace(str(service.port), str(free_port())))
    said = service.run("serve", "--config", str(other), config=False, expect=111)
    assert "the service is running already" in said
    with service.client() as client:
        assert client.noop()[0] == 250


def test_port_of_somebody_else_is_named(service: Service) -> None:
    with running_service(start=False) as other:
        other.configure({"listen": [{"service": "smtp", "address": f"127.0.0.1:{service.port}"}]})
        said = other.run("serve", expect=111)
        assert f"127.0.0.1:{service.port}" in said
        assert "in use" in said


def test_broken_file_is_no_start() -> None:
    with running_service(start=False) as service:
        service.config.write_text("hostnam = 1\n")
        assert "paperpath.toml:1: hostnam" in service.run("serve", expect=100)
