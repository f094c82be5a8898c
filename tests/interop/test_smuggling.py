"""Smuggling through a whole service: into it by SMTP, and through it to servers that are less careful than we are."""

import re
import socket
from collections.abc import Iterator
from dataclasses import dataclass

import pytest

from tests.interop.postfix import Postfix, running_postfix
from tests.lenient_sink import LenientSink, running_lenient_sink
from tests.qmtp_client import QmtpClient
from tests.service import ACCOUNT, PATIENCE_S, Service, free_port, running_service
from tests.smuggling import END, INNER, OUTER, ends, hidden, sequences

pytestmark = [pytest.mark.interop, pytest.mark.xdist_group("smuggling")]

SEQUENCES = sequences()
TAKEN, REFUSED = b"250 2.6.0", b"550 5.6.0"


@dataclass
class Scene:
    """A service between clients and careless servers."""

    service: Service
    sink: LenientSink
    qmtp: int


@pytest.fixture(scope="module")
def scene() -> Iterator[Scene]:
    with running_lenient_sink() as sink, running_service(start=False) as service:
        qmtp = free_port()
        listen = [
            {"service": "smtp", "address": f"127.0.0.1:{service.port}"},
            {"service": "qmtp", "address": f"127.0.0.1:{qmtp}"},
        ]
        service.configure({"listen": listen, "routes": {"lenient.test": sink.route}, "remote": {"tls": "never"}})
        service.start()
        yield Scene(service, sink, qmtp)


class Client:
    """One SMTP connection that sends what it is given."""

    def __init__(self, port: int) -> None:
        self._socket = socket.create_connection(("127.0.0.1", port), PATIENCE_S)
        self._socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)  # what is sent in two pieces goes as two
        self._stream = self._socket.makefile("rb")
        self.reply()

    def reply(self) -> bytes:
        while (line := self._stream.readline())[3:4] == b"-":
            pass
        return line

    def send(self, data: bytes) -> None:
        self._socket.sendall(data)

    def say(self, command: bytes) -> bytes:
        self.send(command)
        return self.reply()

    def close(self) -> None:
        self._stream.close()
        self._socket.close()


def test_into_the_service(scene: Scene) -> None:
    """Every sequence, by DATA and by BDAT, in one session: each is content or is refused, and the next is as usual."""
    client = Client(scene.service.port)
    said: list[bytes] = []
    for name, sequence in list(SEQUENCES.items())[::2]:
        if ends(sequence):
            continue
        for command in (b"DATA\r\n", b"BDAT %d LAST\r\n"):
            assert client.say(b"MAIL FROM:<a@client.test>\r\n")[:3] == b"250", name
            assert client.say(b"RCPT TO:<%b>\r\n" % ACCOUNT.encode())[:3] == b"250", name
            content = hidden(sequence)
            if command == b"DATA\r\n":
                assert client.say(command)[:3] == b"354"
            else:
                content = content.removesuffix(b".\r\n")
                client.send(command % len(content))
            at = content.index(sequence) + len(sequence) // 2
            client.send(content[:at])
            said.append(client.say(content[at:])[:9])
            assert said[-1] in (TAKEN, REFUSED), name
    assert client.say(b"QUIT\r\n")[:3] == b"221"
    client.close()
    line = scene.service.wait_for("session.closed", service="smtp")
    assert (line["messages"], line["refused"]) == (said.count(TAKEN), said.count(REFUSED))
    assert line["messages"] > 50
    assert not scene.service.events("message.refused", sender="evil@client.test")
    assert not [one for one in scene.service.events("message.accepted") if "evil" in one["sender"]]


def deliver(scene: Scene, recipient: bytes, every: int) -> int:
    """Hand in each sequence by QMTP, which carries all bytes; return how many messages that were."""
    count = 0
    with QmtpClient(("127.0.0.1", scene.qmtp), PATIENCE_S) as client:
        for sequence in [*list(SEQUENCES.values())[::every], END]:
            said = client.deliver(OUTER + sequence + INNER + END, b"a@client.test", [recipient])
            assert said[0][:1] == b"K", said
            count += 1
    scene.service.wait_for("delivery.delivered", recipient=recipient.decode(), count=count)
    return count


def test_through_the_service_to_a_server_that_takes_anything_for_a_line_end(scene: Scene) -> None:
    count = deliver(scene, b"x@lenient.test", 2)
    assert scene.sink.senders == [b"a@client.test"] * count
    assert all(b"MAIL FROM:<evil@client.test>" in content for content in scene.sink.contents)
    assert not re.search(rb"\r(?!\n)|(?<!\r)\n", scene.sink.wire)


@pytest.fixture(scope="module")
def postfix(scene: Scene) -> Iterator[Postfix]:
    """As it was before anybody had heard of smuggling: Debian's 3.7 takes a bare LF for a line end, by default."""
    with running_postfix(aliases={"x@postfix.test": ACCOUNT}, relays={"here.test": scene.service.port}) as postfix:
        scene.service.configure({"routes": {"lenient.test": scene.sink.route, "postfix.test": postfix.route}})
        assert scene.service.reload()["event"] == "service.reloaded"
        yield postfix


@pytest.mark.root
def test_through_the_service_to_postfix(scene: Scene, postfix: Postfix) -> None:
    """It is careless indeed (the first message smuggles when it comes straight), and still gets one message for one."""
    direct = Client(postfix.port)
    direct.say(b"EHLO client.test\r\n")
    for command in (b"MAIL FROM:<a@client.test>\r\n", b"RCPT TO:<x@postfix.test>\r\n", b"DATA\r\n"):
        direct.say(command)
    direct.send(OUTER + b"\r\n.\n" + INNER.replace(b"victim@here.test", b"x@postfix.test") + END)
    assert [direct.reply()[:3] for _ in range(5)] == [b"250", b"250", b"250", b"354", b"250"]
    direct.close()
    # Both come back to an account here, so that nobody has to wait for a line of Postfix's log.
    scene.service.wait_for("message.accepted", sender="evil@client.test")
    since = scene.service.mark()
    count = deliver(scene, b"x@postfix.test", 12)
    scene.service.wait_for("delivery.delivered", since=since, recipient=ACCOUNT, count=count)
    assert len(scene.service.events("message.accepted", sender="evil@client.test")) == 1
    assert _senders(postfix) == {"evil@client.test": 1, "a@client.test": 1 + count}


def _senders(postfix: Postfix) -> dict[str, int]:
    """Return how many messages of whom it took."""
    found: dict[str, int] = {}
    for queued in re.findall(r"qmgr\[\d+\]: (\w+): from=<([^>]*)>, size=", postfix.log()):
        found[queued[1]] = found.get(queued[1], 0) + 1
    return found
