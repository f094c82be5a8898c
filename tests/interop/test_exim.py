"""Exim as the server behind us, and as the client before us: what goes to it comes back."""

import re
from collections.abc import Iterator
from dataclasses import dataclass

import pytest

from tests.interop.exim import Exim, running_exim
from tests.qmtp_client import QmtpClient
from tests.service import ACCOUNT, PATIENCE_S, Service, free_port, running_service
from tests.smuggling import END, INNER, OUTER, sequences

pytestmark = [pytest.mark.interop, pytest.mark.root, pytest.mark.xdist_group("exim")]


@dataclass
class Scene:
    """A service and an Exim that send to one another."""

    service: Service
    exim: Exim
    qmtp: int


@pytest.fixture(scope="module")
def scene() -> Iterator[Scene]:
    qmtp = free_port()
    with (
        running_service(start=False) as service,
        running_exim(to=ACCOUNT, to_port=service.port) as exim,
    ):
        listen = [
            {"service": "smtp", "address": f"127.0.0.1:{service.port}"},
            {"service": "qmtp", "address": f"127.0.0.1:{qmtp}"},
        ]
        service.configure({"listen": listen, "routes": {"exim.test": exim.route}})
        service.start()
        yield Scene(service, exim, qmtp)


def test_a_round_trip(scene: Scene) -> None:
    service, count = scene.service, 20
    for number in range(count):
        body = ".\n..dots\n" + "x" * 900 + "\n" + "gr\N{LATIN SMALL LETTER U WITH DIAERESIS}n\n"
        with service.client() as client:
            text = f"Subject: round trip {number}.\n\n{body}".replace("\n", "\r\n")
            client.sendmail("far@client.test", ["x@exim.test"], text.encode())
    service.wait_for("delivery.delivered", recipient=ACCOUNT, count=count)
    for number in range(count):
        assert service.message(ACCOUNT, f"Subject: round trip {number}.\n").endswith(f"\n\n{body}".encode())


def test_nothing_is_smuggled_through_us(scene: Scene) -> None:
    service, since = scene.service, scene.service.mark()
    wanted = [*[one for one in sequences().values() if len(one) < 900][::12], END]  # longer lines it does not take
    with QmtpClient(("127.0.0.1", scene.qmtp), PATIENCE_S) as client:
        for sequence in wanted:
            (said,) = client.deliver(OUTER + sequence + INNER + END, b"a@client.test", [b"x@exim.test"])
            assert said[:1] == b"K"
    service.wait_for("delivery.delivered", since=since, recipient=ACCOUNT, count=len(wanted))
    senders = re.findall(r" <= (\S+) H=", scene.exim.log())
    assert senders.count("a@client.test") == len(wanted)
    assert "evil@client.test" not in senders
    assert not [line for line in service.events("message.accepted", since=since) if "evil" in line["sender"]]
