"""Input of every bad kind: a clear reply, a line in the log, never a traceback, and the service goes on."""

import random
import socket
import struct
from collections.abc import Iterator

import pytest

from paperpath.base.limits import COMMAND_LINE_MOST_BYTES, HOPS_MOST
from tests.service import ACCOUNT, PATIENCE_S, Line, Service, running_service

pytestmark = pytest.mark.interop

ENVELOPE = f"MAIL FROM:<sender@client.test>\r\nRCPT TO:<{ACCOUNT}>\r\n".encode()
GREETING = b"EHLO client.test\r\n"
GARBAGE = random.Random(1).randbytes(100_000)


@pytest.fixture(scope="module")
def shared() -> Iterator[Service]:
    with running_service() as service:
        yield service


@pytest.fixture
def service(shared: Service) -> Iterator[Service]:
    """The service; after each test it must still take mail, and have nothing to complain about itself."""
    yield shared
    since = shared.mark()
    shared.send("sender@client.test", [ACCOUNT], "Subject: goes on\n\n")
    shared.wait_for("delivery.delivered", since=since, recipient=ACCOUNT)
    shared.wait_for("session.closed", since=since, messages=1, result="quit")
    shared.check_log()
    assert not shared.events("process.ended")


def connect(service: Service) -> socket.socket:
    return socket.create_connection(("127.0.0.1", service.port), PATIENCE_S)


def replies(client: socket.socket) -> list[str]:
    """Return every reply line until the server closes."""
    try:
        return b"".join(iter(lambda: client.recv(65536), b"")).decode().splitlines()
    except ConnectionResetError:
        return []


def talk(service: Service, data: bytes) -> list[str]:
    """Send all of it at once, and QUIT; return every reply line."""
    with connect(service) as client:
        client.sendall(data + b"QUIT\r\n")
        return replies(client)


def codes(lines: list[str]) -> list[str]:
    """Return the codes of replies, without the greeting."""
    return [line[:3] for line in lines[1:] if line[3:4] == " "]


def last_session(service: Service, since: int) -> Line:
    return service.wait_for("session.closed", since=since)


def test_binary_garbage(service: Service) -> None:
    since = service.mark()
    with connect(service) as client:
        try:
            client.sendall(GARBAGE)
            client.shutdown(socket.SHUT_WR)
        except OSError:
            pass  # it may have hung up before the end
        for line in replies(client)[1:]:
            assert line[0] in "45" and line.isprintable(), line
    assert last_session(service, since)["refused"]


def test_line_without_an_end(service: Service) -> None:
    since = service.mark()
    lines = talk(service, b"X" * 1_000_000 + b"\r\n" + GREETING)
    assert codes(lines)[0] == "500"
    assert last_session(service, since)["refused"] == 1


def test_longest_line_is_taken_and_the_next_is_not(service: Service) -> None:
    room = COMMAND_LINE_MOST_BYTES - len("NOOP \r\n")
    lines = talk(service, b"NOOP " + b"x" * room + b"\r\nNOOP " + b"x" * (room + 1) + b"\r\n")
    assert codes(lines) == ["250", "500", "221"]


def test_hundred_bad_commands(service: Service) -> None:
    since = service.mark()
    with connect(service) as client:
        client.sendall(b"WHAT\r\n" * 100)
        lines = replies(client)
    assert set(codes(lines)[:-1]) == {"500"}
    assert codes(lines)[-1] == "421"
    assert last_session(service, since)["helo"] == ""


@pytest.mark.parametrize("line", [b"\0", b"MAIL FROM:<a\0b@c.test>", b"EHLO a\0b", b"NOOP \0", b"RCPT TO:<\xff@x>"])
def test_bytes_that_no_command_has(service: Service, line: bytes) -> None:
    lines = talk(service, GREETING + line + b"\r\n")
    assert all(line.isprintable() for line in lines)
    assert codes(lines)[1][0] in "25"
    assert codes(lines)[-1] == "221"


def test_bare_line_feed_in_a_command_ends_the_session(service: Service) -> None:
    since = service.mark()
    lines = talk(service, GREETING + b"NOOP\nNOOP\r\n")
    assert codes(lines)[:2] == ["250", "500"]
    assert last_session(service, since)["refused"] == 1


@pytest.mark.parametrize("ending", [b"\n.\n", b"\n.\r\n", b"\r.\r", b"\r\n.\n", b"\r.\r\n"])
def test_no_other_end_of_data_smuggles_a_message(service: Service, ending: bytes) -> None:
    since, smuggled = service.mark(), ENVELOPE + b"DATA\r\nSubject: smuggled\r\n\r\n"
    content = b"Subject: outer\r\n\r\nbody" + ending + smuggled
    lines = talk(service, GREETING + ENVELOPE + b"DATA\r\n" + content + b".\r\n")
    assert codes(lines)[:5] == ["250", "250", "250", "354", "550"]
    assert not service.events("message.accepted", since=since)
    assert service.wait_for("message.refused", since=since)["status"] == "5.6.0"


def test_nul_in_the_content_is_delivered_as_it_came(service: Service) -> None:
    lines = talk(service, GREETING + ENVELOPE + b"DATA\r\nSubject: nul\r\n\r\nbefore\0after\r\n.\r\n")
    service.wait_done("\n".join(lines))
    assert service.message(ACCOUNT, "Subject: nul\n").endswith(b"\n\nbefore\0after\n")


def test_content_line_of_a_megabyte(service: Service) -> None:
    line = b"y" * 1_000_000
    lines = talk(service, GREETING + ENVELOPE + b"DATA\r\nSubject: one line\r\n\r\n" + line + b"\r\n.\r\n")
    service.wait_done("\n".join(lines))
    assert service.message(ACCOUNT, "Subject: one line\n").endswith(b"\n\n" + line + b"\n")


@pytest.mark.parametrize("field", [b"Received: from a by b", b"Delivered-To: x@there.test"])
def test_message_that_went_through_a_hundred_servers_is_refused(service: Service, field: bytes) -> None:
    def codes_with(hops: int) -> list[str]:
        header = (field + b"\r\n") * hops
        return codes(talk(service, GREETING + ENVELOPE + b"DATA\r\n" + header + b"Subject: hops\r\n\r\n.\r\n"))

    since = service.mark()
    assert codes_with(HOPS_MOST) == ["250", "250", "250", "354", "554", "221"]
    assert service.wait_for("message.refused", since=since)["status"] == "5.4.6"
    assert codes_with(HOPS_MOST - 1) == ["250", "250", "250", "354", "250", "221"]


def test_connect_and_close(service: Service) -> None:
    since = service.mark()
    for _ in range(50):
        connect(service).close()
    service.wait_for("session.closed", since=since, count=50)


@pytest.mark.parametrize("data", [b"", GREETING, GREETING + ENVELOPE, GREETING + ENVELOPE + b"DATA\r\nSubject: cut"])
def test_connection_reset(service: Service, data: bytes) -> None:
    since = service.mark()
    with connect(service) as client:
        client.sendall(data)
        client.recv(3)
        client.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    assert last_session(service, since)["messages"] == 0


def test_message_cut_by_the_end_of_the_connection_is_dropped(service: Service) -> None:
    since = service.mark()
    with connect(service) as client:
        client.sendall(GREETING + ENVELOPE + b"DATA\r\nSubject: cut\r\n\r\nhalf")
        client.shutdown(socket.SHUT_WR)
        replies(client)
    assert last_session(service, since)["result"] == "closed"
    assert not service.events("message.accepted", since=since)


def test_client_that_closes_its_half_gets_its_replies(service: Service) -> None:
    with connect(service) as client:
        client.sendall(GREETING + ENVELOPE + b"DATA\r\nSubject: half closed\r\n\r\n.\r\nQUIT\r\n")
        client.shutdown(socket.SHUT_WR)
        lines = replies(client)
    assert codes(lines) == ["250", "250", "250", "354", "250", "221"]
    service.wait_done("\n".join(lines))


@pytest.mark.parametrize("door", ["queue.intake", "queue.remote", "queue.control", "local.lookup", "local.workers"])
@pytest.mark.parametrize(
    "data",
    [
        pytest.param(b"\xff" * 64, id="endless-frame"),
        pytest.param(GARBAGE, id="garbage"),
        pytest.param(b"\0\0\0\0" * 100, id="empty-frames"),
        pytest.param(b"\0\0\0\x02\x91\xc0", id="no-such-frame"),
        pytest.param(b"\0\0\1\0short", id="cut-frame"),
    ],
)
def test_garbage_on_the_sockets_between_processes(service: Service, door: str, data: bytes) -> None:
    with socket.socket(socket.AF_UNIX) as peer:
        peer.settimeout(PATIENCE_S)
        peer.connect(str(service.folder / "run" / door))
        try:
            peer.sendall(data)
            peer.shutdown(socket.SHUT_WR)
            replies(peer)
        except OSError:
            pass  # it may have hung up before the end


def test_silent_client_is_told_and_let_go() -> None:
    with running_service(settings={"receive": {"command_timeout": 1}}) as service, connect(service) as client:
        lines = replies(client)
        assert codes(lines) == ["421"]
        assert service.wait_for("session.closed")["result"] == "timeout"


def test_client_that_reads_no_replies_is_not_read_from_and_let_go() -> None:
    with running_service(settings={"receive": {"command_timeout": 1}}) as service, connect(service) as client:
        with pytest.raises(OSError):
            client.sendall(b"NOOP\r\n" * 10_000_000)
        closed = service.wait_for("session.closed")
        assert closed["result"] == "timeout"
        assert closed["bytes_in"] < 20_000_000


def test_session_too_many_is_told() -> None:
    settings = {"receive": {"sessions": 2, "processes": 1}}
    with running_service(settings=settings) as service, connect(service) as first, connect(service) as second:
        assert first.recv(3) == second.recv(3) == b"220"
        with connect(service) as third:
            assert replies(third)[0].startswith("421 4.3.2 ")
        second.close()
        service.wait_for("session.closed", result="closed")
        service.send("sender@client.test", [ACCOUNT], "Subject: room again\n\n")
