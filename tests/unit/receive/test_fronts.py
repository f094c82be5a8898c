"""Who may say for whom it speaks, and what counts then: PROXY headers and XCLIENT."""

import asyncio
import socket
import struct

import msgspec
import pytest

from paperpath.process import proxied
from paperpath.process.settings import ReceiveSettings
from paperpath.wire.guard import Ban
from paperpath.wire.logins import VOUCHED, LoggedIn, LoginRefused
from tests.loops import on_both_loops, run
from tests.tls_client import TlsClient
from tests.unit.receive.live import EHLO, LOGIN, MAIL, TRUSTING, codes, serving, start_tls, with_tls
from tests.unit.receive.scene import SETTINGS, Client, Scene

HERE = ("127.0.0.1/32",)
HEADER = b"PROXY TCP4 192.0.2.77 192.0.2.1 4242 25\r\n"
MINE = b"PROXY TCP4 198.51.100.9 192.0.2.1 4242 25\r\n"
FOREIGN = b"EHLO c\r\nMAIL FROM:<a@c>\r\nRCPT TO:<x@foreign.test>\r\nQUIT\r\n"


def behind(**changes: object) -> ReceiveSettings:
    return with_tls(proxy_networks=HERE, relay_networks=("127.0.0.0/8", "198.51.100.0/24"), **changes)


@on_both_loops
@pytest.mark.parametrize("cut", [1, 20, len(HEADER), len(HEADER) + 3, 1000])
def test_the_client_is_who_the_header_says(loop: str, cut: int) -> None:
    async def main() -> None:
        async with serving(configured=behind(), proxied=True) as server, TlsClient(server.port) as client:
            octets = HEADER + EHLO + MAIL
            await client.send(octets[:cut])
            await asyncio.sleep(0)
            await client.send(octets[cut:])
            assert codes(await client.replies(7)) == "220 250 250 250 354 250 221"
            line = await server.closed()
            assert (line["peer"], line["bytes_in"]) == ("192.0.2.77", len(EHLO + MAIL))
            (taken,) = server.scene.queue.taken
            assert taken.trace.startswith(b"Received: from c ([192.0.2.77])\n")
            assert taken.origin == "smtp 192.0.2.77"
            assert not server.scene.sessions.spoken_for

    run(loop, main())


@on_both_loops
@pytest.mark.parametrize(("header", "code"), [(HEADER, 550), (MINE, 250), (b"PROXY UNKNOWN\r\n", 250)])
def test_relaying_is_for_the_client_that_the_header_names(loop: str, header: bytes, code: int) -> None:
    async def main() -> None:
        async with serving(configured=behind(), proxied=True) as server, TlsClient(server.port) as client:
            await client.send(header + FOREIGN)
            assert codes(await client.replies(5)) == f"220 250 250 {code} 221"

    run(loop, main())


@on_both_loops
@pytest.mark.parametrize("split", [False, True])
def test_tls_from_the_start_behind_a_header(loop: str, split: bool) -> None:
    """The client's part of the handshake comes in one piece with the header, or is cut anywhere."""

    async def main() -> None:
        async with serving("submissions", behind(), proxied=True) as server, TlsClient(server.port) as client:
            if split:
                await client.send(HEADER[:30])
            before = HEADER[30:] if split else HEADER
            await client.secure(TRUSTING, name="mx.test", before=before, together=EHLO + LOGIN + MAIL)
            assert codes(await client.replies(8)) == "220 250 235 250 250 354 250 221"
            client.close()
            line = await server.closed()
            assert (line["peer"], line["server_name"]) == ("192.0.2.77", "mx.test")

    run(loop, main())


@on_both_loops
def test_starttls_behind_a_header(loop: str) -> None:
    async def main() -> None:
        async with serving(configured=behind(), proxied=True) as server, TlsClient(server.port) as client:
            await client.send(HEADER)
            await start_tls(client)
            await client.send(b"QUIT\r\n")
            assert codes(await client.replies()) == "221"

    run(loop, main())


@on_both_loops
@pytest.mark.parametrize(
    ("sent", "reason"),
    [
        (EHLO, "what came is no PROXY header"),
        (b"PROXY TCP4 x y 1 2\r\n", "the PROXY line is not understood"),
        (b"", "no PROXY header came"),
    ],
)
def test_no_header_no_session(loop: str, sent: bytes, reason: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(proxied, "HEADER_MOST_S", 0.05)

    async def main() -> None:
        async with serving(configured=behind(), proxied=True) as server, TlsClient(server.port) as client:
            if sent:
                await client.send(sent)
            assert await client.replies() == []
            server.scene.sessions.turned_away.log(server.scene.log)
            (line,) = server.scene.events("session.turned-away")
            assert (line["peer"], line["connections"], line["reason"]) == ("127.0.0.1", 1, reason)
            assert not server.opened and not server.scene.events("session.closed")

    run(loop, main())


@on_both_loops
def test_a_header_from_anybody_else_is_not_read(loop: str) -> None:
    settings = with_tls(proxy_networks=("192.0.2.0/24", "::1/128"))

    async def main() -> None:
        async with serving(configured=settings, proxied=True) as server, TlsClient(server.port) as client:
            try:
                await client.send(HEADER + EHLO)
            except ConnectionError:
                pass
            assert await client.replies() == []
            server.scene.sessions.turned_away.log(server.scene.log)
            (line,) = server.scene.events("session.turned-away")
            assert (line["peer"], line["reason"]) == ("127.0.0.1", "not in [fronts] proxy")
            assert not server.opened

    run(loop, main())


@on_both_loops
@pytest.mark.parametrize("balanced", [True, False])
def test_who_has_gone_again_before_it_is_looked_at(loop: str, balanced: bool) -> None:
    """As load balancers do that only look whether anybody is here; on uvloop there is no address any more then."""

    async def main() -> None:
        async with serving(configured=behind(), proxied=balanced) as server:
            with socket.create_connection(("127.0.0.1", server.port)) as sock:
                sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
            async with TlsClient(server.port) as client:
                await client.send((HEADER if balanced else b"") + b"QUIT\r\n")
                assert codes(await client.replies(2)) == "220 221"
            await asyncio.wait_for(server.scene.sessions.all_ended(), 10)
            peers = {line["peer"] for line in server.scene.events("session.closed")}
            gone = {"unknown" if loop == "uvloop" else "127.0.0.1"}
            assert peers == ({"192.0.2.77"} if balanced else gone | {"127.0.0.1"})
            assert not any("local" in peer for peer in peers)

    run(loop, main())


PROXY_SETTINGS = msgspec.structs.replace(
    SETTINGS, xclient_networks=("203.0.113.5/32",), relay_networks=("198.51.100.0/24",), sessions_per_address=2
)


@pytest.fixture
async def scene() -> Scene:
    return Scene(PROXY_SETTINGS)


async def test_the_client_is_who_xclient_says(scene: Scene) -> None:
    client = scene.open("203.0.113.5")
    client.send(b"EHLO front\r\nXCLIENT NAME=spike.example ADDR=192.0.2.77 PORT=4 PROTO=ESMTP HELO=first.example\r\n")
    assert client.replies() == ["220", "250", "220"]
    client.send(b"MAIL FROM:<a@c>\r\nRCPT TO:<x@foreign.test>\r\nRCPT TO:<joe@here.test>\r\nDATA\r\nx\r\n.\r\n")
    assert [reply[:3] for reply in client.replies()] == ["250", "550", "250", "354", "250"]
    (taken,) = scene.queue.taken
    source = b"Received: from first.example (spike.example [192.0.2.77])\n"
    assert taken.trace.startswith(source + b"\tby mx.test with ESMTP ")
    assert taken.origin == "smtp 192.0.2.77"
    (refused,) = scene.events("message.refused")
    assert refused["peer"] == "192.0.2.77"
    client.leave()
    assert client.closed_line["peer"] == "192.0.2.77"
    assert len(scene.sessions) == 0


async def test_relaying_is_for_the_client_that_xclient_names(scene: Scene) -> None:
    for address, code in ((b"198.51.100.7", "250"), (b"IPV6:2001:db8::7", "550"), (b"[UNAVAILABLE]", "550")):
        client = scene.open("203.0.113.5")
        client.send(b"XCLIENT ADDR=%b\r\nEHLO c\r\nMAIL FROM:<a@c>\r\nRCPT TO:<x@foreign.test>\r\n" % address)
        assert client.replies()[-1][:3] == code
        client.leave()


async def test_xclient_can_be_used_again_and_keeps_what_it_does_not_name(scene: Scene) -> None:
    client = scene.open("203.0.113.5")
    client.send(b"XCLIENT ADDR=192.0.2.77\r\nXCLIENT ADDR=192.0.2.78\r\nXCLIENT NAME=x.example\r\n")
    assert client.replies() == ["220", "220", "220", "220"]
    assert scene.sessions.count_from("192.0.2.77") == 0
    assert scene.sessions.count_from("192.0.2.78") == 1
    client.leave()
    assert client.closed_line["peer"] == "192.0.2.78"


async def test_who_logged_in_before_xclient_has_not(scene: Scene) -> None:
    client = scene.open("203.0.113.5")
    client.session._login.account, client.session.relay = "joe", True
    client.send(b"XCLIENT NAME=x.example\r\nMAIL FROM:<a@c>\r\nRCPT TO:<x@foreign.test>\r\n")
    assert client.replies()[-1][:3] == "550"
    assert client.session._login.account == ""


async def test_limits_are_those_of_the_client_that_xclient_names(scene: Scene) -> None:
    fronts = [scene.open("203.0.113.5") for _ in range(2)]
    for front in fronts:
        front.send(b"XCLIENT ADDR=192.0.2.77\r\n")
        assert front.replies()[-1] == "220"
    third = scene.open("203.0.113.5")
    third.send(b"XCLIENT ADDR=192.0.2.77\r\n")
    assert third.replies()[-1] == "421 4.7.0"
    assert third.transport.closed
    third.leave()
    assert len(scene.sessions) == 2


async def test_who_is_banned_for_good_does_not_go_on_as_whom_it_came_through(scene: Scene) -> None:
    scene.guard.bans["192.0.2.77"] = Ban("192.0.2.77", 0, "by hand")
    client = scene.open("203.0.113.5")
    client.send(b"XCLIENT ADDR=192.0.2.77\r\nMAIL FROM:<a@c>\r\n")
    assert client.replies() == ["220", "554 5.7.1"]
    assert client.transport.closed
    client.leave()
    assert len(scene.sessions) == 0


async def test_the_zone_of_an_address_that_xclient_names_is_left_out(scene: Scene) -> None:
    client = scene.open("203.0.113.5")
    client.send(b"XCLIENT ADDR=IPV6:fe80::1%%%b\r\n" % (b"x" * 200))
    assert client.replies() == ["220", "220"]
    client.leave()
    assert client.closed_line["peer"] == "fe80::1"


async def test_xclient_is_for_those_listed_only(scene: Scene) -> None:
    client = scene.open("203.0.113.6")
    client.send(b"EHLO c\r\nXCLIENT ADDR=198.51.100.7\r\nMAIL FROM:<a@c>\r\nRCPT TO:<x@foreign.test>\r\n")
    assert client.replies() == ["220", "250", "502 5.5.1", "250 2.1.0", "550 5.7.1"]


# LOGIN: the proxy has judged the login itself.

FROM_JOE = b"MAIL FROM:<joe@here.test>\r\n"


async def told(scene: Scene, login: bytes, service: str = "submission") -> Client:
    client = scene.open("203.0.113.5", service)
    client.send(b"XCLIENT ADDR=192.0.2.77 LOGIN=%b\r\n" % login)
    await settled()
    return client


async def settled() -> None:
    """Let `auth` answer, which it does in a later turn."""
    for _ in range(5):
        await asyncio.sleep(0)


async def test_who_xclient_says_has_logged_in(scene: Scene) -> None:
    scene.logins.says = LoggedIn(1, "joe@here.test", (b"joe@here.test",), b"", b"")
    client = await told(scene, b"Joe@here.test")
    assert client.replies() == ["220", "220"]
    client.send(b"EHLO c\r\n")
    assert b"AUTH" not in client.transport.written and b"FUTURERELEASE" in client.transport.written
    client.send(b"MAIL FROM:<ann@here.test>\r\n", FROM_JOE, b"RCPT TO:<x@foreign.test>\r\nDATA\r\n")
    client.send(b"From: joe@here.test\r\n\r\nx\r\n.\r\n")
    assert client.replies()[-5:] == ["553 5.7.1", "250 2.1.0", "250 2.1.5", "354", "250 2.6.0"]
    ((mechanism, name, asked),) = scene.logins.asked
    assert (mechanism, name) == (VOUCHED, b"Joe@here.test")
    assert (asked["service"], asked["peer"]) == ("submission", "192.0.2.77")
    (taken,) = scene.queue.taken
    assert taken.origin == "submission 192.0.2.77 joe@here.test" and b" with ESMTPA " in taken.trace
    assert ("allow", "account joe@here.test", 1) in [heard[:3] for heard in scene.guard.heard]
    client.leave()
    assert (client.closed_line["peer"], client.closed_line["account"]) == ("192.0.2.77", "joe@here.test")


async def test_a_login_ends_with_the_next_xclient(scene: Scene) -> None:
    scene.logins.says = LoggedIn(1, "joe@here.test", (b"joe@here.test",), b"", b"")
    for after in (b"XCLIENT LOGIN=[UNAVAILABLE]\r\n", b"XCLIENT NAME=x.example\r\n"):
        client = await told(scene, b"joe")
        client.send(after, FROM_JOE)
        assert client.replies() == ["220", "220", "220", "530 5.7.0"]
        client.leave()


async def test_a_login_that_cannot_be_looked_at_ends_the_session(scene: Scene) -> None:
    for says in (LoginRefused(1, "away", temporary=True), LoginRefused(1, "no name", temporary=False, malformed=True)):
        scene.logins.says = says
        client = await told(scene, b"joe")
        assert client.replies() == ["220", "421 4.7.0"]
        assert client.transport.closed
        client.leave()
    assert not [heard for heard in scene.guard.heard if heard[0] == "192.0.2.77"], "it is not the client's fault"


async def test_a_proxy_that_goes_away_while_auth_is_asked(scene: Scene) -> None:
    scene.logins.silent = True
    client = await told(scene, b"joe")
    client.leave()
    assert scene.logins.abandoned == 1


async def test_login_means_something_only_where_clients_log_in(scene: Scene) -> None:
    client = await told(scene, b"joe", "smtp")
    client.send(b"EHLO c\r\n")
    assert b"XCLIENT NAME ADDR PORT PROTO HELO\r\n" in client.transport.written
    assert client.replies() == ["220", "501 5.5.4", "250"]
    stranger = scene.open("203.0.113.6", "submission")
    stranger.send(b"XCLIENT LOGIN=joe\r\n")
    assert stranger.replies() == ["220", "502 5.5.1"]
    assert not scene.logins.asked
