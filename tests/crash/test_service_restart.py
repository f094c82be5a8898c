"""A restart under load, with the listening sockets held by a service manager: whoever could finish has."""

import smtplib
import socket
from functools import partial
from typing import Final

import pytest

from tests.crash.service_load import Load, check_nothing_lost, empty_the_queue, message
from tests.interop.submission import PASSWORD, Submission, submission
from tests.service import ACCOUNT, PATIENCE_S

pytestmark = [pytest.mark.crash, pytest.mark.slow]

OTHER: Final = "other@here.test"
SERVICES: Final = ("smtp", "submission", "submissions")


def hold_the_ports(server: Submission) -> None:
    """Listen where the service is to: it is started with these sockets, and they outlive it."""
    for service, port in zip(SERVICES, (server.service.port, server.port, server.tls_port), strict=True):
        server.service.held[service] = socket.create_server(("127.0.0.1", port), backlog=256)


def send(server: Submission, service: str, number: int) -> None:
    """One message, one connection; to submission with a login under STARTTLS or TLS from the start in turn.

    What is said to QUIT does not matter: the message is acknowledged before.
    """
    if service == "smtp":
        client = server.service.client()
    elif number % 2:
        client = server.client()
    else:
        client = smtplib.SMTP_SSL("127.0.0.1", server.tls_port, context=server.context(), timeout=PATIENCE_S)
    if service != "smtp":
        client.login(ACCOUNT, PASSWORD)
    client.sendmail(ACCOUNT, [OTHER], message(number))
    client.close()


@pytest.mark.parametrize("service", ["smtp", "submission"])
def test_no_session_is_lost_that_could_have_finished(service: str) -> None:
    with submission(starts=False) as server:
        hold_the_ports(server)
        try:
            server.service.start()
            by = partial(send, server, service)
            with Load(server.service, [OTHER], send=lambda _recipient, number: by(number)) as load:
                for _ in range(2):
                    load.wait_for(len(load.acknowledged) + 60)
                    server.service.stop()
                    server.service.start()
                load.wait_for(len(load.acknowledged) + 30)
            assert load.failures == [], "sessions were refused or cut off"
            empty_the_queue(server.service)
            contents = [path.read_bytes() for path in server.service.messages(OTHER)]
            check_nothing_lost(load, contents, server.service)
            server.service.stop()
        finally:
            for sock in server.service.held.values():
                sock.close()
