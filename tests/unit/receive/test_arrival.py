"""Who is let in, who waits for the greeting, who is slowed, and what is held against whom."""

import asyncio
from typing import Any

import msgspec
import pytest

from paperpath.process.settings import SessionLimits
from paperpath.wire.guard import Ban, Offence
from tests.unit.receive.scene import ENVELOPE, MESSAGE, PATIENCE, RELAY, SETTINGS, STRANGER, Client, Scene


def limited(**limits: Any) -> Scene:
    """Return a process with these limits and no others that cost time."""
    given = {"greeting_delay_s": 0, "error_delay_s": 0, **limits}
    return Scene(msgspec.structs.replace(SETTINGS, limits=SessionLimits(**given)))


def offences(scene: Scene) -> list[tuple[object, ...]]:
    return [one for one in scene.guard.heard if one[0] == STRANGER]


# Bans and rates.


async def test_who_is_banned_is_counted_and_makes_no_line_of_its_own() -> None:
    scene = limited()
    scene.guard.bans[STRANGER] = Ban(STRANGER, 10**10, "guessing")
    for _ in range(1000):
        client = scene.open(STRANGER)
        assert client.transport.closed
        client.leave()
    assert scene.guard.heard == [("turned away", STRANGER)] * 1000
    (line,) = scene.events("session.turned-away")
    assert (line["connections"], line["network"], line["reason"]) == (1000, "192.0.2.0/24", "banned: guessing")
    assert not scene.events("session.closed")


async def test_relay_networks_are_asked_nothing() -> None:
    scene = limited(sessions_per_network=1)
    scene.guard.bans[RELAY] = Ban(RELAY, 0, "by mistake")
    scene.guard.slowed |= {("", "connections"), (RELAY, "connections"), (RELAY, "messages")}
    clients = [scene.open(RELAY) for _ in range(3)]
    clients[0].send(ENVELOPE, b"DATA\r\n", MESSAGE)
    assert clients[0].replies()[-1] == "250 2.6.0"
    assert scene.guard.heard == []


async def test_a_flood_from_many_networks_is_few_lines() -> None:
    scene = limited()
    for number in range(5000):
        address = f"10.{number // 200}.{number % 200}.1"
        scene.guard.bans[address] = Ban(address, 10**10, "guessing")
        scene.open(address).leave()
    lines = scene.events("session.turned-away")
    assert len(lines) <= 201
    assert sum(line["connections"] for line in lines) == 5000


async def test_who_has_logged_in_has_rates_of_its_own() -> None:
    scene = limited(error_delay_s=60)
    scene.guard.slowed |= {(STRANGER, "messages"), (STRANGER, "recipients")}
    client = scene.open(STRANGER)
    client.send(b"MAIL FROM:<a@b.test>\r\n")
    assert client.replies() == ["220", "450 4.7.0"]
    client.session.standing.proved()
    client.send(ENVELOPE, b"DATA\r\n", MESSAGE, *[b"WHAT\r\n"] * 5)
    assert client.replies()[4] == "250 2.6.0"
    assert client.transport.reading, "and does not stand still"


# Sessions.


async def test_sessions_of_other_processes_count() -> None:
    scene = limited()
    scene.guard.elsewhere[STRANGER] = SETTINGS.sessions_per_address - 1
    assert scene.open(STRANGER).replies() == ["220"]
    assert scene.open(STRANGER).replies() == ["421 4.7.0"]
    scene = limited(sessions_per_network=10)
    scene.guard.elsewhere["192.0.2.0/24"] = 9
    assert scene.open(STRANGER).replies() == ["220"]
    assert scene.open("192.0.2.77").replies() == ["421 4.7.0"]
    assert scene.open("198.51.100.1").replies() == ["220"]


async def test_networks_are_given_back() -> None:
    scene = limited(sessions_per_network=2)
    clients = [scene.open(f"192.0.2.{number}") for number in range(2)]
    assert scene.open("192.0.2.9").transport.closed
    clients[0].leave()
    assert scene.open("192.0.2.9").replies() == ["220"]
    assert [heard for heard in scene.guard.heard if heard[0] == "closed"] == [("closed", "192.0.2.0")]
    clients[1].leave()
    assert set(scene.sessions._from) == {"192.0.2.9", "192.0.2.0/24"}


async def test_under_a_flood_the_known_come_first_and_relay_networks_before_them() -> None:
    scene = limited(reserved_percent=20)
    assert SETTINGS.sessions_most == 100
    scene.guard.known.add("198.51.100.1")
    strangers = [scene.open(f"10.0.{number}.1").replies() for number in range(100)]
    assert strangers == [["220"]] * 80 + [["421 4.3.2"]] * 20
    known = [scene.open("198.51.100.1").replies() for _ in range(12)]
    assert known == [["220"]] * 10 + [["421 4.3.2"]] * 2
    assert [scene.open(RELAY).replies() for _ in range(12)] == [["220"]] * 10 + [["421 4.3.2"]] * 2


@pytest.mark.parametrize(
    ("strain", "let_in"),
    [(0.79, [True] * 3), (0.8, [False, True, True]), (0.9, [False, False, True]), (1.0, [False] * 3)],
)
async def test_strain_sheds_by_rank(strain: float, let_in: list[bool]) -> None:
    scene = limited()
    scene.guard.known.add("198.51.100.1")
    scene.sessions.strain, scene.sessions.strained_by = strain, "the queue's answers"
    assert [not scene.open(peer).transport.closed for peer in (STRANGER, "198.51.100.1", RELAY)] == let_in
    if False in let_in:
        assert scene.events("session.turned-away")[0]["reason"].endswith("strained by the queue's answers")


async def test_while_sessions_run_short_strangers_have_less_time() -> None:
    scene = limited()
    scene.guard.known.add("198.51.100.1")
    strangers = [scene.open(f"10.0.{number}.1") for number in range(60)]
    known, relay = scene.open("198.51.100.1"), scene.open(RELAY)
    scene.clock_s += 21
    scene.sessions.end_silent(PATIENCE)
    assert [client.transport.closed for client in (strangers[0], strangers[59], known, relay)] == [
        True,
        True,
        False,
        False,
    ]


async def test_with_room_strangers_have_all_their_time() -> None:
    scene = limited()
    client = scene.open(STRANGER)
    scene.clock_s += 299
    scene.sessions.end_silent(PATIENCE)
    assert not client.transport.closed


# A session.


async def test_content_below_the_floor_ends_and_above_it_does_not() -> None:
    for speed, ends in ((250, True), (262, False)):
        scene = limited(throughput=256, content_timeout_s=180)
        client = scene.open(STRANGER)
        client.send(ENVELOPE, b"DATA\r\n")
        for _ in range(1000):
            scene.clock_s += 1
            client.send(b"x" * (speed - 2) + b"\r\n")
            scene.sessions.end_silent(PATIENCE._replace(content_s=180))
            if client.transport.closed:
                break
        assert client.transport.closed is ends
        assert [one[1] for one in offences(scene)] == ([Offence.TOO_SLOW] if ends else [])


async def test_a_message_more_than_a_session_may_have() -> None:
    scene = limited(messages_most=2)
    client = scene.open(STRANGER)
    for _ in range(2):
        client.send(ENVELOPE, b"DATA\r\n", MESSAGE)
    assert client.replies()[-1] == "250 2.6.0"
    client.send(b"MAIL FROM:<>\r\n")
    assert client.replies() == ["421 4.7.0"]
    client.leave()
    assert client.closed_line["result"] == "enough messages"
    relay = scene.open(RELAY)
    for _ in range(3):
        relay.send(ENVELOPE, b"DATA\r\n", MESSAGE)
    assert relay.replies()[-1] == "250 2.6.0"


async def test_what_is_taken_is_told() -> None:
    scene = limited()
    client = scene.open(STRANGER)
    client.send(ENVELOPE, b"RCPT TO:<joe@here.test>\r\n", b"DATA\r\n", MESSAGE)
    assert scene.guard.heard == [("opened", STRANGER), ("took", STRANGER, 2)]


async def test_commands_that_bring_no_message_on_end_a_strangers_session() -> None:
    scene = limited(commands_most=10)
    client = scene.open(STRANGER)
    client.send(b"NOOP\r\n" * 10)
    assert client.replies() == ["220", *["250 2.0.0"] * 10]
    client.send(b"NOOP\r\n")
    assert client.replies() == ["250 2.0.0", "421 4.7.0"]
    client.leave()
    assert client.closed_line["result"] == "too many commands"
    assert offences(scene) == [(STRANGER, Offence.TOO_MANY_ERRORS, "too many commands")]
    relay = scene.open(RELAY)
    relay.send(b"NOOP\r\n" * 1000)
    assert not relay.transport.closed


async def test_recipients_and_messages_make_commands_worth_while() -> None:
    scene = limited(commands_most=6)
    client = scene.open(STRANGER)
    for _ in range(20):
        client.send(ENVELOPE, b"DATA\r\n", MESSAGE, b"RSET\r\n", b"NOOP\r\n")
    assert not client.transport.closed
    client.send(*[b"MAIL FROM:<>\r\n", b"RSET\r\n"] * 3)
    assert client.transport.closed, "a sender alone is no message"


@pytest.mark.parametrize("verb", ["GET / HTTP/1.1", "POST / HTTP/1.1", "CONNECT mx.test:25 HTTP/1.0", "head /"])
async def test_browsers_and_proxies_are_hung_up_on(verb: str) -> None:
    scene = limited()
    client = scene.open(STRANGER)
    client.send(f"{verb}\r\nHost: mx.test\r\n\r\nMAIL FROM:<a@b.test>\r\n".encode())
    assert client.replies() == ["220", "500 5.5.1"]
    assert client.transport.closed
    assert offences(scene) == [(STRANGER, Offence.OTHER_PROTOCOL, "HTTP")]


async def test_unknown_recipients_are_held_against_strangers_only() -> None:
    scene = limited()
    scene.open(STRANGER).send(ENVELOPE, b"RCPT TO:<no\xff@here.test>\r\nRCPT TO:<jim@here.test>\r\n")
    scene.open(RELAY).send(ENVELOPE, b"RCPT TO:<jim@here.test>\r\n")
    assert offences(scene) == [(STRANGER, Offence.UNKNOWN_RECIPIENT, "jim@here.test")]


# The greeting.


async def test_a_stranger_waits_for_the_greeting() -> None:
    scene = limited(greeting_delay_s=1)
    client = scene.open(STRANGER)
    assert client.replies() == []
    client.session._waited()
    assert client.replies() == ["220"]
    client.send(ENVELOPE, b"DATA\r\n", MESSAGE)
    assert client.replies()[-1] == "250 2.6.0"


async def test_who_does_not_wait_is_not_served() -> None:
    scene = limited(greeting_delay_s=1)
    client = scene.open(STRANGER)
    client.send(b"EHLO bot.test\r\nMAIL FROM:<a@b.test>\r\n")
    assert client.replies() == ["554 5.5.0"]
    assert client.transport.closed
    assert client.session._timer is None
    client.leave()
    assert client.closed_line["result"] == "spoke early"
    assert offences(scene) == [(STRANGER, Offence.EARLY_TALK, "EHLO bot.test\\x0d\\x0aMAIL FROM:<a@b.test>\\x0d\\x0a")]


@pytest.mark.parametrize("peer", [RELAY, "198.51.100.1", ""])
async def test_the_known_and_relay_networks_do_not_wait(peer: str) -> None:
    scene = limited(greeting_delay_s=5)
    scene.guard.known.add("198.51.100.1")
    assert scene.open(peer).replies() == ["220"]


async def test_who_leaves_before_the_greeting_leaves_nothing_behind() -> None:
    scene = limited(greeting_delay_s=5)
    client = scene.open(STRANGER)
    client.leave()
    assert client.session._timer is None
    assert len(scene.sessions) == 0


# Standing still.


def reads(client: Client) -> bool:
    return client.transport.reading


def refuse(client: Client, times: int) -> None:
    client.send(*[b"WHAT\r\n"] * times)


async def test_from_the_fourth_refusal_on_a_session_stands_still() -> None:
    scene = limited(error_delay_s=60)
    client = scene.open(STRANGER)
    refuse(client, 3)
    assert reads(client)
    refuse(client, 1)
    assert not reads(client)
    assert client.replies() == ["220", *["500 5.5.2"] * 4], "it is told at once"
    client.session._forgive()
    assert reads(client)
    client.send(b"NOOP\r\n")
    assert reads(client), "what is no fault costs nothing"
    refuse(client, 1)
    assert not reads(client)
    client.leave()
    assert client.session._timer is None


@pytest.mark.parametrize("peer", [RELAY, "198.51.100.1"])
async def test_others_are_refused_without_delay(peer: str) -> None:
    scene = limited(error_delay_s=60)
    scene.guard.known.add("198.51.100.1")
    client = scene.open(peer)
    refuse(client, 10)
    assert reads(client)


async def test_standing_still_ends_by_itself_and_other_reasons_hold() -> None:
    scene = limited(error_delay_s=1)
    client = scene.open(STRANGER)
    client.session._limits = SessionLimits(error_delay_s=0.01)  # type: ignore[arg-type]
    refuse(client, 4)
    client.session.pause_writing()
    while client.session._timer is not None:
        await asyncio.sleep(0)
    assert not reads(client), "it does not read what it is told"
    client.session.resume_writing()
    assert reads(client)


async def test_one_punishment_at_a_time() -> None:
    scene = limited(error_delay_s=60)
    client = scene.open(STRANGER)
    refuse(client, 4)
    first = client.session._timer
    refuse(client, 1)  # was read already
    assert client.session._timer is first
    client.leave()
