"""Sessions that go over to TLS, on real sockets and on both event loops."""

import asyncio
import gc
import ssl
from itertools import pairwise
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from paperpath.process import upgrade
from paperpath.receive import replies
from paperpath.receive.session import Session
from tests.loops import on_both_loops, run
from tests.tls_client import TlsClient
from tests.unit.receive.live import (
    AUTHORITY,
    CLIENT,
    EHLO,
    LOGIN,
    MAIL,
    MX,
    TRUSTING,
    codes,
    serving,
    start_tls,
    with_tls,
)


@on_both_loops
def test_mail_over_starttls(loop: str) -> None:
    async def main() -> None:
        async with serving() as server, TlsClient(server.port) as client:
            await start_tls(client)
            await client.send(EHLO)
            assert await client.replies() == ["250 REQUIRETLS"]  # and no STARTTLS
            await client.send(MAIL)
            assert codes(await client.replies(5)) == "250 250 354 250 221"
            client.close()
            line = await server.closed()
            assert line["tls"] == "TLSv1.3 TLS_AES_256_GCM_SHA384 256"
            assert line["server_name"] == "mx.test"
            assert (line["result"], line["messages"], line.get("client_certificate")) == ("quit", 1, None)
            (taken,) = server.scene.queue.taken
            assert b" with ESMTPS (Paperpath, TLSv1.3 TLS_AES_256_GCM_SHA384) for <joe@here.test>;" in taken.trace

    run(loop, main())


@on_both_loops
def test_who_logged_in_in_clear_has_not_logged_in_over_tls(loop: str) -> None:
    async def main() -> None:
        async with serving(configured=with_tls(relay_networks=())) as server, TlsClient(server.port) as client:
            await client.replies()
            session = server.opened[0]
            session._login.account, session.relay = "joe", True
            await client.send(b"STARTTLS\r\n")
            await client.replies()
            await client.secure(TRUSTING, name="mx.test")
            await client.send(b"EHLO c\r\nMAIL FROM:<a@c>\r\nRCPT TO:<x@foreign.test>\r\nQUIT\r\n")
            assert codes(await client.replies(4)) == "250 250 550 221"
            assert (session._login.account, session.relay) == ("", False)

    run(loop, main())


@on_both_loops
def test_tls_from_the_start(loop: str) -> None:
    async def main() -> None:
        async with serving("submissions") as server, TlsClient(server.port) as client:
            await client.secure(TRUSTING, name="mx.test", together=EHLO + LOGIN + MAIL)
            assert codes(await client.replies(8)) == "220 250 235 250 250 354 250 221"
            client.close()
            assert (await server.closed())["result"] == "quit"

    run(loop, main())


@on_both_loops
def test_what_comes_in_one_piece_with_the_end_of_the_handshake_is_answered_over_tls(loop: str) -> None:
    async def main() -> None:
        async with serving() as server, TlsClient(server.port) as client:
            await start_tls(client, together=EHLO + MAIL)
            assert codes(await client.replies(6)) == "250 250 250 354 250 221"
            client.close()
            assert (await server.closed())["messages"] == 1

    run(loop, main())


@on_both_loops
def test_what_is_injected_behind_starttls_is_thrown_away(loop: str) -> None:
    async def main() -> None:
        async with serving() as server, TlsClient(server.port) as client:
            await client.send(EHLO + b"STARTTLS\r\nMAIL FROM:<injected@c>\r\nRCPT TO:<joe@here.test>\r\nNOOP\r\n")
            assert codes(await client.replies(3)) == "220 250 220"
            await client.secure(TRUSTING, name="mx.test")
            await client.send(b"RCPT TO:<joe@here.test>\r\nHELP\r\n")
            assert codes(await client.replies(2)) == "503 214"  # no MAIL was seen

    run(loop, main())


@on_both_loops
def test_what_is_injected_before_the_handshake_ends_the_session(loop: str) -> None:
    async def main() -> None:
        async with serving() as server, TlsClient(server.port) as client:
            with pytest.raises((ssl.SSLError, ConnectionError)):
                await start_tls(client, before=b"MAIL FROM:<injected@c>\r\n")
            line = await server.closed()
            assert line["result"] == "tls-failed" and line["reason"]
            assert "tls" not in line

    run(loop, main())


@on_both_loops
@pytest.mark.parametrize("service", ["smtp", "submissions"])
def test_a_client_that_is_silent_within_the_handshake_is_let_go(
    loop: str, service: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(upgrade, "HANDSHAKE_MOST_S", 0.05)

    async def main() -> None:
        async with serving(service) as server, TlsClient(server.port) as client:
            if service == "smtp":
                await client.send(b"STARTTLS\r\n")
                assert codes(await client.replies(2)) == "220 220"
            line = await server.closed()
            assert line["result"] == "tls-failed"
            assert await client.replies() == []
            assert len(server.scene.sessions) == 0

    run(loop, main())


@on_both_loops
@pytest.mark.parametrize("service", ["smtp", "submissions"])
@pytest.mark.parametrize("sent", [b"EHLO c\r\n" * 3, b"\x16\x03\x01\x00\x05hello", b"\0" * 2000, b""])
def test_no_handshake(loop: str, service: str, sent: bytes) -> None:
    async def main() -> None:
        async with serving(service) as server, TlsClient(server.port) as client:
            if service == "smtp":
                await client.send(b"STARTTLS\r\n")
                assert codes(await client.replies(2)) == "220 220"
            if sent:
                await client.send(sent)
            else:
                client.close()
            line = await server.closed()
            assert line["result"] == "tls-failed"
            assert len(server.scene.sessions) == 0

    run(loop, main())


@on_both_loops
@pytest.mark.parametrize("service", ["smtp", "submissions"])
def test_a_client_that_leaves_within_the_handshake(loop: str, service: str) -> None:
    careless = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    careless.check_hostname = False

    async def main() -> None:
        for _ in range(5):  # what the loop sees of it depends on when it looks
            async with serving(service) as server, TlsClient(server.port) as client:
                if service == "smtp":
                    await client.send(b"STARTTLS\r\n")
                    assert codes(await client.replies(2)) == "220 220"
                await client.leave_within_handshake(careless)
                assert (await server.closed())["result"] == "tls-failed"
            while len(asyncio.all_tasks()) > TASKS_OF_A_TEST:
                await asyncio.sleep(0)  # the handshake's own end

    run(loop, main())


@on_both_loops
@pytest.mark.parametrize("turns", range(6))
def test_what_comes_in_clear_right_after_the_handshake(loop: str, turns: int) -> None:
    """Whether the loop meets it before or after it says that TLS is there depends on when it comes."""

    async def main() -> None:
        async with serving("submissions") as server, TlsClient(server.port) as client:
            await client.secure(TRUSTING, name="mx.test")
            for _ in range(turns):
                await asyncio.sleep(0)
            client.tls = None
            await client.send(b"\x17\x03\x03\xff\xff" + b"x" * 1000)
            line = await server.closed()
            assert line["result"] in {"tls-failed", "closed"} and line["bytes_in"] == 0

    run(loop, main())


@on_both_loops
def test_clients_that_are_gone_before_the_handshake_leave_nothing(loop: str) -> None:
    """Neither a session nor what TLS holds for it, for as long as a handshake may take."""

    async def main() -> None:
        async with serving("submissions") as server:
            for _ in range(30):
                async with TlsClient(server.port) as client:
                    await client.send(b"\x16\x03\x01")
            while len(server.opened) < 30 or len(server.scene.sessions):
                await asyncio.sleep(0)
            server.opened.clear()
            gc.collect()
            held = [one for one in gc.get_objects() if type(one).__name__ == "SSLProtocol"]
            assert len(held) <= 3

    run(loop, main())


@on_both_loops
@pytest.mark.parametrize("service", ["smtp", "submissions"])
def test_a_session_that_is_over_does_not_wait_for_the_collector(loop: str, service: str) -> None:
    """It would keep what TLS holds for it, and the next session would have memory that is new to the processor."""

    async def main() -> None:
        async with serving(service) as server, TlsClient(server.port) as client:
            if service == "smtp":
                await start_tls(client)
                await client.send(EHLO + MAIL)
            else:
                await client.secure(TRUSTING, name="mx.test", together=EHLO + LOGIN + MAIL)
            while codes(await client.replies(1)) != "221":
                pass
            client.close()
            await server.closed()
            server.opened.clear()
            while any(isinstance(one, Session) for one in gc.get_objects()):
                await asyncio.sleep(0)  # the loop lets go of it a turn later

    gc.collect()  # what other tests left
    gc.disable()
    try:
        run(loop, main())
    finally:
        gc.enable()


@pytest.mark.parametrize("says", [b"EHLO c\r\n" * 20, b""], ids=["no TLS", "goes away"])
def test_nor_does_one_whose_handshake_failed(says: bytes) -> None:
    """On uvloop; the standard loop's own TLS waits for the collector then, and has the session."""

    async def main() -> None:
        async with serving("submissions") as server, TlsClient(server.port) as client:
            if says:
                await client.send(says)
                await client.receive()
            else:
                await client.leave_within_handshake(TRUSTING)
            assert (await server.closed())["result"] == "tls-failed"
            server.opened.clear()
            while any(isinstance(one, Session | upgrade.Upgrade) for one in gc.get_objects()):
                await asyncio.sleep(0)

    gc.collect()
    gc.disable()
    try:
        run("uvloop", main())
    finally:
        gc.enable()


@on_both_loops
@pytest.mark.parametrize("service", ["smtp", "submissions"])
def test_a_session_can_be_ended_within_the_handshake(loop: str, service: str) -> None:
    async def main() -> None:
        async with serving(service) as server, TlsClient(server.port) as client:
            if service == "smtp":
                await client.send(b"STARTTLS\r\n")
                assert codes(await client.replies(2)) == "220 220"
            while not server.opened or (handshake := server.opened[0]._upgrade) is None or handshake._kept is None:
                await asyncio.sleep(0)
            server.scene.clock_s += 3
            server.scene.sessions.end_idle()
            line = await server.closed()
            assert line["result"] == "stopping"
            assert await client.replies() == []  # and nothing in clear

    run(loop, main())


@on_both_loops
def test_a_session_can_be_ended_over_tls(loop: str) -> None:
    async def main() -> None:
        async with serving() as server, TlsClient(server.port) as client:
            await start_tls(client)
            await client.send(EHLO)
            await client.replies()
            server.opened[0].end(replies.STOPPING, "stopping")
            assert codes(await client.replies()) == "421"
            client.close()
            assert (await server.closed())["result"] == "stopping"

    run(loop, main())


@on_both_loops
def test_a_client_that_does_not_close_is_not_waited_for(loop: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(upgrade, "SHUTDOWN_MOST_S", 0.05)

    async def main() -> None:
        async with serving() as server, TlsClient(server.port) as client:
            await start_tls(client)
            await client.send(b"QUIT\r\n")
            assert codes(await client.replies()) == "221"
            assert (await server.closed())["result"] == "quit"

    run(loop, main())


@on_both_loops
def test_one_session_too_many_is_closed_where_tls_comes_first(loop: str) -> None:
    async def main() -> None:
        async with serving("submissions", with_tls(sessions_most=1)) as server, TlsClient(server.port) as first:
            await first.secure(TRUSTING, name="mx.test")
            async with TlsClient(server.port) as second:
                assert await second.replies() == []
            (line,) = server.scene.events("session.turned-away")
            assert line["status"] == "4.3.2"

    run(loop, main())


@on_both_loops
@pytest.mark.parametrize("held", [True, False])
def test_a_listed_certificate_may_relay(loop: str, held: bool, tmp_path: Path) -> None:
    context = AUTHORITY.client_context(CLIENT if held else MX, tmp_path)

    async def main() -> None:
        async with serving(configured=with_tls(relay_networks=())) as server, TlsClient(server.port) as client:
            await client.send(b"STARTTLS\r\n")
            await client.replies(2)
            await client.secure(context, name="mx.test")
            await client.send(b"EHLO c\r\nMAIL FROM:<a@c>\r\nRCPT TO:<x@foreign.test>\r\nQUIT\r\n")
            assert codes(await client.replies(4)) == f"250 250 {250 if held else 550} 221"
            assert server.opened[0].standing.is_stranger is not held
            client.close()
            made = CLIENT if held else MX
            assert (await server.closed())["client_certificate"] == made.fingerprint

    run(loop, main())


TASKS_OF_A_TEST = 2
"""The one that waits for it, and itself."""

PLAIN = EHLO + b"STARTTLS\r\n"
INJECTED = b"NOOP\r\nMAIL FROM:<injected@c>\r\nRCPT TO:<joe@here.test>\r\nDATA\r\ninjected\r\n.\r\n"


@settings(max_examples=40, deadline=None)
@given(
    st.lists(st.integers(1, len(PLAIN + INJECTED)), max_size=6),
    st.integers(0, len(INJECTED)),
    st.sampled_from(["uvloop", "asyncio"]),
)
def test_no_cut_lets_through_what_came_in_clear(cuts: list[int], injected: int, loop: str) -> None:
    """Either all of it was thrown away, or it broke the handshake; nothing of it is ever carried out."""
    octets = PLAIN + INJECTED[:injected]
    places = [0, *sorted({cut for cut in cuts if cut < len(octets)}), len(octets)]
    pieces = [octets[a:b] for a, b in pairwise(places)]

    async def main() -> None:
        async with serving() as server, TlsClient(server.port) as client:
            try:
                for piece in pieces:
                    await client.send(piece)
                    await asyncio.sleep(0)
                assert codes(await client.replies(3)) == "220 250 220"
                await client.secure(TRUSTING, name="mx.test")
                await client.send(b"QUIT\r\n")
                assert codes(await client.replies(1)) == "221"
            except (ssl.SSLError, ConnectionError):  # what came in clear was taken for the handshake
                pass
            client.close()
            line = await server.closed()
            assert line["result"] in {"quit", "tls-failed"}
            assert line["helo"] == ("c" if line["result"] == "tls-failed" else "")
            assert not server.scene.queue.taken
            assert not server.scene.events("message.refused")

    run(loop, main())
