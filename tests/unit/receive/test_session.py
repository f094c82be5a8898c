"""Sessions: what is answered, what is handed on, and what ends them."""

import asyncio
import errno
import os
from collections.abc import Callable
from pathlib import Path

import msgspec
import pytest

from paperpath.base.limits import HOPS_MOST, INLINE_CONTENT_BYTES
from paperpath.base.reply import Reply
from paperpath.base.terms import MessageTerms, RecipientTerms
from paperpath.process.settings import SessionLimits
from paperpath.receive import gatherer, replies
from paperpath.receive.recipients import UNKNOWN_RECIPIENTS_MOST
from paperpath.receive.sessions import BEGINNING_S
from paperpath.system.clock import now
from paperpath.wire.guard import Ban
from paperpath.wire.intake import NotAccepted
from tests.unit.receive.scene import ENVELOPE, MESSAGE, PATIENCE, RELAY, SETTINGS, STRANGER, Client, Scene

LARGE = b"Subject: x\r\n\r\n" + b"0123456789012345678901234567890123456789\r\n" * 5000 + b".\r\n"
SAID = ["220", "250", "250 2.1.0", "250 2.1.5"]
"""The answers to a greeting and an envelope."""


@pytest.fixture
async def scene() -> Scene:
    return Scene()


@pytest.fixture
async def client(scene: Scene) -> Client:
    return scene.open()


def to(*names: str) -> bytes:
    return b"".join(b"RCPT TO:<%s>\r\n" % name.encode() for name in names)


async def test_message_is_handed_to_the_queue_and_accepted(scene: Scene, client: Client) -> None:
    client.send(ENVELOPE, b"DATA\r\n", MESSAGE, b"QUIT\r\n")
    assert client.replies() == [*SAID, "354", "250 2.6.0", "221 2.0.0"]
    assert client.transport.closed
    (submit,) = scene.queue.taken
    assert (submit.sender, submit.recipients) == (b"a@client.test", (b"joe@here.test",))
    assert (submit.content, submit.size, submit.attached) == (b"Subject: x\n\nHello.\n", 19, False)
    assert submit.origin == f"smtp {RELAY}"
    assert submit.trace.startswith(b"Received: from client.test")
    client.leave()
    line = client.closed_line
    assert (line["messages"], line["recipients"], line["result"]) == (1, 1, "quit")
    assert len(scene.sessions) == 0
    assert not scene.queue.withdrawn


async def test_what_is_asked_for_goes_with_the_message(scene: Scene) -> None:
    client = scene.open_authenticated()
    asked = b"HOLDFOR=60 RET=HDRS ENVID=a+2Bb MT-PRIORITY=3"
    client.send(b"EHLO client.test\r\nMAIL FROM:<a@client.test> %b\r\n" % asked, to("joe@here.test"))
    client.send(b"RCPT TO:<joe@here.test> NOTIFY=DELAY,success ORCPT=rfc822;j+2B\r\nDATA\r\n", MESSAGE)
    (submit,) = scene.queue.taken
    assert submit.terms is not None
    assert abs(submit.terms.hold_until - now() - 60) < 30
    terms = msgspec.structs.replace(submit.terms, hold_until=0)
    assert terms == MessageTerms("HDRS", b"a+2Bb", hold="for;60", priority=3)
    assert submit.recipient_terms == {1: RecipientTerms("SUCCESS,DELAY", b"rfc822;j+2B")}
    client.send(b"MAIL FROM:<a@client.test>\r\n", to("joe@here.test"), b"DATA\r\n", MESSAGE)
    assert (scene.queue.taken[1].terms, scene.queue.taken[1].recipient_terms) == (None, {})


async def test_message_that_comes_byte_by_byte_is_the_same(scene: Scene, client: Client) -> None:
    client.send(*(bytes([byte]) for byte in ENVELOPE + b"DATA\r\n" + MESSAGE + b"QUIT\r\n"))
    assert client.replies() == [*SAID, "354", "250 2.6.0", "221 2.0.0"]
    assert scene.queue.taken[0].content == b"Subject: x\n\nHello.\n"


# How each reply of `replies` comes about.  A scenario gets a new scene and returns the client that is told.


def _plain(*parts: bytes) -> Callable[[Scene], Client]:
    def play(scene: Scene) -> Client:
        client = scene.open()
        client.send(*parts)
        return client

    return play


def _relaying_denied(scene: Scene) -> Client:
    client = scene.open(STRANGER)
    client.send(ENVELOPE, to("x@there.test"))
    return client


def _hold(asked: bytes) -> Callable[[Scene], Client]:
    def play(scene: Scene) -> Client:
        client = scene.open_authenticated()
        client.send(b"EHLO client.test\r\nMAIL FROM:<a@client.test> %b\r\n" % asked)
        return client

    return play


def _directory_down(scene: Scene) -> Client:
    scene.accounts.down = True
    return _plain(ENVELOPE)(scene)


def _put_off(storage_full: bool) -> Callable[[Scene], Client]:
    def play(scene: Scene) -> Client:
        scene.queue.answer = lambda ticket: NotAccepted(ticket, storage_full)
        return _plain(ENVELOPE, b"DATA\r\n", MESSAGE)(scene)

    return play


def _silent(scene: Scene) -> Client:
    client = scene.open()
    scene.clock_s += 301
    scene.sessions.end_silent(PATIENCE)
    return client


def _too_many(scene: Scene) -> Client:
    scene.sessions.most = 1
    scene.open()
    return scene.open()


def _too_many_from_address(scene: Scene) -> Client:
    for _ in range(SETTINGS.sessions_per_address):
        scene.open(STRANGER)
    return scene.open(STRANGER)


def _too_many_from_network(scene: Scene) -> Client:
    for number in range(SETTINGS.limits.sessions_per_network):
        scene.sessions.most = number + 2
        scene.sessions.reserved_percent = 0
        scene.open(f"192.0.2.{number % 200 + 50}")
    return scene.open(STRANGER)


def _banned(until: int) -> Callable[[Scene], Client]:
    def play(scene: Scene) -> Client:
        scene.guard.bans[STRANGER] = Ban(STRANGER, until, "guessing")
        return scene.open(STRANGER)

    return play


def _slowed(what: str, *parts: bytes) -> Callable[[Scene], Client]:
    def play(scene: Scene) -> Client:
        scene.guard.slowed.add((STRANGER, what))
        client = scene.open(STRANGER)
        client.send(*parts)
        return client

    return play


def _enough(scene: Scene) -> Client:
    scene.service.settings = msgspec.structs.replace(
        SETTINGS, limits=SessionLimits(messages_most=1, greeting_delay_s=0)
    )
    client = scene.open(STRANGER)
    client.send(ENVELOPE, b"DATA\r\n", MESSAGE, b"MAIL FROM:<>\r\n")
    return client


def _early(scene: Scene) -> Client:
    scene.service.settings = msgspec.structs.replace(SETTINGS, limits=SessionLimits(greeting_delay_s=5))
    client = scene.open(STRANGER)
    client.send(b"EHLO bot.test\r\n")
    return client


def _slow(scene: Scene) -> Client:
    client = scene.open(STRANGER)
    client.send(ENVELOPE, b"DATA\r\n")
    scene.clock_s += 301
    client.send(b"x")
    scene.sessions.end_silent(PATIENCE)
    return client


def _stopping(scene: Scene) -> Client:
    client = scene.open()
    scene.clock_s += 3
    scene.sessions.end_idle()
    return client


def _harvest(scene: Scene) -> Client:
    client = scene.open(STRANGER)
    client.send(ENVELOPE, to(*(f"no{n}@here.test" for n in range(UNKNOWN_RECIPIENTS_MOST + 1))))
    return client


def _defect(scene: Scene) -> Client:
    scene.queue.defect = KeyError("a defect")
    return _plain(ENVELOPE, b"DATA\r\n", MESSAGE)(scene)


SCENARIOS: dict[str, Callable[[Scene], Client]] = {
    "SENDER_OK": _plain(ENVELOPE),
    "RECIPIENT_OK": _plain(ENVELOPE),
    "NO_SUCH_RECIPIENT": _plain(ENVELOPE, to("jim@here.test")),
    "RELAYING_DENIED": _relaying_denied,
    "SENDER_REFUSED": _plain(b"MAIL FROM:<bad@client.test>\r\n", to("joe@here.test")),
    "RECIPIENT_UNKNOWN_NOW": _directory_down,
    "HOLD_BEYOND": _hold(b"HOLDUNTIL=2001-01-01T00:00:00Z"),
    "HOLD_TOO_LATE": _hold(b"HOLDFOR=60 BY=30;N"),
    "LOOPING": _plain(ENVELOPE, b"DATA\r\n", b"Received: x\r\n" * HOPS_MOST + MESSAGE),
    "TRY_LATER": _put_off(storage_full=False),
    "NO_ROOM": _put_off(storage_full=True),
    "NOT_FOR_STRANGERS": lambda scene: scene.open(STRANGER, "lmtp"),
    "TIMEOUT": _silent,
    "TOO_MANY_SESSIONS": _too_many,
    "TOO_MANY_FROM_ADDRESS": _too_many_from_address,
    "TOO_MANY_UNKNOWN": _harvest,
    "TOO_MANY_FROM_NETWORK": _too_many_from_network,
    "TOO_MANY_CONNECTIONS": _slowed("connections"),
    "TOO_MANY_MESSAGES": _slowed("messages", b"MAIL FROM:<a@client.test>\r\n"),
    "TOO_MANY_RECIPIENTS": _slowed("recipients", ENVELOPE),
    "ENOUGH_MESSAGES": _enough,
    "BANNED": _banned(until=10**10),
    "BANNED_FOR_GOOD": _banned(until=0),
    "SPOKE_EARLY": _early,
    "TOO_SLOW": _slow,
    "STOPPING": _stopping,
    "INTERNAL": _defect,
}


ENDS = {"TIMEOUT": "timeout", "TOO_SLOW": "timeout", "STOPPING": "stopping", "INTERNAL": "error"}
"""Those that end a session without anything having been asked: its line says why."""


def test_every_reply_has_a_scenario() -> None:
    assert {name for name, value in vars(replies).items() if isinstance(value, Reply)} == set(SCENARIOS)


@pytest.mark.parametrize("name", SCENARIOS)
async def test_reply(scene: Scene, name: str) -> None:
    client = SCENARIOS[name](scene)
    given: Reply = getattr(replies, name)
    said = client.transport.written
    assert given.encode() in said
    if given.code == 421:
        assert said.endswith(given.encode())
        assert client.transport.closed
    if given.code >= 400 and name not in ENDS:
        is_told_together = said == given.encode() and name != "SPOKE_EARLY"
        line = scene.events("session.turned-away" if is_told_together else "message.refused")[-1]
        assert (line["code"], line["status"]) == (given.code, given.status)
        assert line["reason"]
    elif name in ENDS:
        client.leave()
        assert client.closed_line["result"] == ENDS[name]


@pytest.mark.parametrize("name", ["TOO_MANY_SESSIONS", "TOO_MANY_FROM_ADDRESS"])
async def test_client_that_is_turned_away_is_not_greeted(scene: Scene, name: str) -> None:
    client = SCENARIOS[name](scene)
    assert client.replies() == ["421 4.3.2" if name == "TOO_MANY_SESSIONS" else "421 4.7.0"]
    client.leave()
    assert not scene.events("session.closed")
    (line,) = scene.events("session.turned-away")
    assert (line["peer"], line["connections"], line["code"]) == (
        RELAY if name == "TOO_MANY_SESSIONS" else STRANGER,
        1,
        421,
    )


# LMTP.

LMTP_ENVELOPE = ENVELOPE.replace(b"EHLO", b"LHLO") + b"RCPT TO:<joe@here.test>\r\n"


async def test_lmtp_answers_for_each_recipient_when_the_message_is_durable(scene: Scene) -> None:
    scene.queue.waits = True
    client = scene.open(RELAY, "lmtp")
    client.send(LMTP_ENVELOPE, b"DATA\r\n", MESSAGE)
    assert client.replies()[-1] == "354"
    scene.queue.give_answers()
    assert client.replies() == ["250 2.6.0", "250 2.6.0"]
    (submit,) = scene.queue.taken
    assert submit.recipients == (b"joe@here.test", b"joe@here.test")
    assert submit.origin == "lmtp 127.0.0.1"
    assert b" with LMTP " in submit.trace
    client.leave()
    assert client.closed_line["recipients"] == 2


async def test_lmtp_refuses_each_recipient_that_the_queue_did_not_take(scene: Scene) -> None:
    scene.queue.answer = lambda ticket: NotAccepted(ticket, storage_full=True)
    client = scene.open(RELAY, "lmtp")
    client.send(LMTP_ENVELOPE, b"DATA\r\n", MESSAGE)
    assert client.replies()[-2:] == ["452 4.3.1", "452 4.3.1"]


async def test_lmtp_is_not_spoken_with_strangers(scene: Scene) -> None:
    client = scene.open(STRANGER, "lmtp")
    assert client.replies() == ["554 5.7.1"]
    assert client.transport.closed
    assert scene.events("session.turned-away")[0]["reason"] == "lmtp is for [relay] networks"


@pytest.mark.parametrize("trusted", [True, False])
async def test_lmtp_over_a_unix_socket_is_for_those_who_may_send_for_others(trusted: bool) -> None:
    users = frozenset([os.getuid()]) if trusted else frozenset([os.getuid() + 1])
    scene = Scene(msgspec.structs.replace(SETTINGS, trusted_users=users))
    client = scene.open("", "lmtp")
    assert client.replies() == (["220"] if trusted else ["554 5.7.1"])
    client.leave()
    (line,) = scene.events("session.closed" if trusted else "session.turned-away")
    assert line["peer"] == f"local uid {os.getuid()}"


async def test_smtp_over_a_unix_socket_relays_for_the_same(scene: Scene) -> None:
    scene = Scene(msgspec.structs.replace(SETTINGS, trusted_users=frozenset([os.getuid()])))
    client = scene.open("")
    client.send(ENVELOPE, to("far@away.test"), b"DATA\r\n", MESSAGE)
    assert client.replies()[-1] == "250 2.6.0"
    assert f"(local uid {os.getuid()})".encode() in scene.queue.taken[0].trace


async def test_defect_is_logged_and_ends_one_session(scene: Scene) -> None:
    other = scene.open()
    _defect(scene).leave()
    assert "a defect" in scene.events("process.broken")[0]["error"]
    scene.queue.defect = None
    other.send(ENVELOPE, b"DATA\r\n", MESSAGE)
    assert other.replies()[-1] == "250 2.6.0"


async def test_nothing_of_a_message_is_handed_on_after_a_defect(
    scene: Scene, client: Client, monkeypatch: pytest.MonkeyPatch
) -> None:
    def broken(*_: object) -> None:
        raise KeyError("a defect")

    monkeypatch.setattr(gatherer.Gatherer, "add", broken)
    client.send(ENVELOPE, b"DATA\r\n", MESSAGE, b"QUIT\r\n")
    assert client.replies()[-1] == "421 4.3.0"
    client.leave()
    assert not scene.queue.taken
    assert client.closed_line["result"] == "error"


# Limits for strangers.


async def test_sessions_are_counted_by_address_and_given_back(scene: Scene) -> None:
    clients = [scene.open(STRANGER) for _ in range(SETTINGS.sessions_per_address)]
    refused = scene.open(STRANGER)
    refused.leave()
    assert scene.open(STRANGER).transport.closed
    assert scene.open("192.0.2.2").replies() == ["220"]
    clients[0].leave()
    clients[0] = scene.open(STRANGER)
    assert clients[0].replies() == ["220"]
    assert scene.open(STRANGER).transport.closed
    for client in clients:
        client.leave()
    assert STRANGER not in scene.sessions._from  # addresses are forgotten


@pytest.mark.parametrize("peer", [RELAY, "::1", ""])
async def test_relay_networks_and_sockets_of_this_host_have_no_limit_of_their_own(scene: Scene, peer: str) -> None:
    clients = [scene.open(peer) for _ in range(SETTINGS.sessions_per_address + 1)]
    assert clients[-1].replies() == ["220"]


async def test_unknown_recipients_end_the_session_of_a_stranger(scene: Scene) -> None:
    client, most = scene.open(STRANGER), UNKNOWN_RECIPIENTS_MOST
    client.send(ENVELOPE, *(to(f"no{n}@here.test") for n in range(most)))
    assert client.replies() == [*SAID, *["550 5.1.1"] * most]
    client.send(to("joe@here.test"))
    assert client.replies() == ["250 2.1.5"]
    client.send(to("one-more@here.test"))
    assert client.replies() == ["421 4.7.0"]
    client.leave()
    assert client.closed_line["result"] == "unknown recipients"


async def test_unknown_recipients_are_counted_over_all_messages_of_a_session(scene: Scene) -> None:
    client = scene.open(STRANGER)
    for n in range(UNKNOWN_RECIPIENTS_MOST + 1):
        assert not client.transport.closed
        client.send(b"RSET\r\n", ENVELOPE, to(f"no{n}@here.test"))
    assert client.transport.closed


async def test_unknown_recipients_of_a_relay_network_are_only_refused(client: Client) -> None:
    client.send(ENVELOPE, to(*(f"no{n}@here.test" for n in range(100))))
    assert client.replies() == [*SAID, *["550 5.1.1"] * 100]


# Pace.


async def test_single_bytes_do_not_keep_a_session_open(scene: Scene, client: Client) -> None:
    for byte in b"NOOP" * 100:
        scene.clock_s += 1
        client.send(bytes([byte]))
    scene.sessions.end_silent(PATIENCE)
    assert client.replies() == ["220", "421 4.4.2"]
    client.leave()
    assert client.closed_line["result"] == "timeout"


async def test_content_has_to_come_at_a_pace(scene: Scene, client: Client) -> None:
    client.send(ENVELOPE, b"DATA\r\n")
    for _ in range(20):
        scene.clock_s += 299
        client.send(b"x" * 998 + b"\r\n", *[b"y" * 998 + b"\r\n"] * 66)
        scene.sessions.end_silent(PATIENCE)
    assert not client.transport.closed
    for _ in range(2):
        scene.clock_s += 299
        client.send(b"z" * 998 + b"\r\n")
        scene.sessions.end_silent(PATIENCE)
    assert client.transport.closed


async def test_each_command_gives_time_for_the_next(scene: Scene, client: Client) -> None:
    for part in (ENVELOPE, b"DATA\r\n", MESSAGE, b"NOOP\r\n", b"WHAT\r\n"):
        scene.clock_s += 299
        client.send(part)
        scene.sessions.end_silent(PATIENCE)
    assert not client.transport.closed


async def test_session_that_waits_for_us_is_not_silent(scene: Scene, client: Client) -> None:
    scene.accounts.waits = True
    client.send(ENVELOPE)
    scene.clock_s += 10_000
    scene.sessions.end_silent(PATIENCE)
    assert not client.transport.closed
    scene.accounts.give_answers()
    scene.sessions.end_silent(PATIENCE)
    assert client.replies() == SAID


# Waiting.


def reads(client: Client) -> bool:
    return client.transport.reading


async def test_reading_pauses_while_a_question_is_open(scene: Scene, client: Client) -> None:
    scene.accounts.waits = True
    client.send(ENVELOPE)
    client.send(b"NOOP\r\n" * 10_000)
    assert reads(client)
    client.send(b"NOOP\r\n" * 1_000)
    assert not reads(client)
    scene.accounts.give_answers()
    assert reads(client)
    assert client.replies() == [*SAID, *["250 2.0.0"] * 11_000]


async def test_reading_stays_paused_while_the_next_question_is_open(scene: Scene, client: Client) -> None:
    scene.accounts.waits = True
    client.send(ENVELOPE + to("jim@here.test") + b"NOOP\r\n" * 11_000)
    assert not reads(client)
    scene.accounts.give_answers()
    assert not reads(client)
    scene.accounts.give_answers()
    assert reads(client)


async def test_client_that_reads_no_replies_is_not_read_from(scene: Scene, client: Client) -> None:
    client.session.pause_writing()
    assert not reads(client)
    client.session.resume_writing()
    assert reads(client)
    scene.accounts.waits = True
    client.send(ENVELOPE + b"NOOP\r\n" * 11_000)
    client.session.pause_writing()
    client.session.resume_writing()
    assert not reads(client)  # the question is still open
    client.session.pause_writing()
    scene.accounts.give_answers()
    assert not reads(client)  # it still does not read
    client.session.resume_writing()
    assert reads(client)


async def test_client_that_reads_no_replies_is_cut_off_at_the_end(scene: Scene, client: Client) -> None:
    client.session.pause_writing()
    client.session.end(replies.TIMEOUT, "timeout")
    assert client.transport.aborted
    client.session.resume_writing()


async def test_client_that_closed_its_half_is_answered(scene: Scene, client: Client) -> None:
    scene.queue.waits = True
    client.send(ENVELOPE + b"DATA\r\n", MESSAGE)
    assert client.session.eof_received()
    assert not client.transport.closed
    scene.queue.give_answers()
    assert client.replies() == [*SAID, "354", "250 2.6.0"]
    assert client.transport.closed


async def test_client_that_closed_its_half_is_told_of_a_refusal_that_follows(scene: Scene, client: Client) -> None:
    scene.accounts.waits = True
    # BDAT is the one command that can bring content before its answer.
    content = b"Received: x\r\n" * HOPS_MOST
    client.send(ENVELOPE + b"BDAT %d LAST\r\n" % len(content) + content)
    assert client.session.eof_received()
    scene.accounts.give_answers()
    assert client.replies() == [*SAID, "554 5.4.6"]
    assert client.transport.closed


async def test_end_of_input_without_a_question_ends_the_connection(client: Client) -> None:
    client.send(ENVELOPE)
    assert not client.session.eof_received()


# Ends.


@pytest.mark.parametrize("asked", ["accounts", "queue"])
async def test_session_that_is_ended_during_a_question_ignores_the_answer(
    scene: Scene, client: Client, asked: str
) -> None:
    getattr(scene, asked).waits = True
    client.send(ENVELOPE)
    if asked == "queue":
        client.send(b"DATA\r\n", MESSAGE)
    client.session.end(replies.STOPPING, "stopping")
    assert client.replies()[-1] == "421 4.3.2"
    assert client.transport.closed
    getattr(scene, asked).give_answers()
    client.leave()
    assert client.replies() == []
    assert client.closed_line["result"] == "stopping"
    assert scene.queue.withdrawn == ([1] if asked == "queue" else [])


@pytest.mark.parametrize("message", [MESSAGE, LARGE])
async def test_client_that_goes_while_the_queue_is_asked(tmp_path: Path, message: bytes) -> None:
    scene = Scene(msgspec.structs.replace(SETTINGS, spool=str(tmp_path)))
    client = scene.open()
    scene.queue.waits = True
    client.send(ENVELOPE, b"DATA\r\n", message)
    before = open_files(tmp_path)
    assert before == (message is LARGE)
    client.transport.closed = True
    client.leave()
    assert scene.queue.withdrawn == [1]
    assert open_files(tmp_path) == 0
    scene.queue.give_answers()
    assert client.closed_line["messages"] == 0
    assert not scene.events("process.broken")


def open_files(folder: Path) -> int:
    """Return how many descriptors of this process are of files in a folder."""
    found = 0
    for link in Path("/proc/self/fd").iterdir():
        try:
            found += link.readlink().is_relative_to(folder)
        except OSError:
            pass
    return found


async def test_client_that_goes_in_the_middle_of_content(tmp_path: Path) -> None:
    scene = Scene(msgspec.structs.replace(SETTINGS, spool=str(tmp_path)))
    client = scene.open()
    client.send(ENVELOPE, b"DATA\r\n", LARGE[:-3])
    assert open_files(tmp_path) == 1
    client.leave()
    assert open_files(tmp_path) == 0
    assert not scene.queue.taken


async def test_lost_connection_says_why(scene: Scene, client: Client) -> None:
    client.session.connection_lost(ConnectionResetError(errno.ECONNRESET, "Connection reset by peer"))
    assert "reset" in client.closed_line["reason"]


async def test_draining_lets_transactions_end(scene: Scene) -> None:
    idle, sending, asking = scene.open(), scene.open(), scene.open()
    scene.clock_s += 3
    scene.queue.waits = True
    asking.send(ENVELOPE, b"DATA\r\n", MESSAGE)
    sending.send(ENVELOPE, b"DATA\r\n")
    scene.sessions.draining = True
    scene.sessions.end_idle()
    assert [one.transport.closed for one in (idle, sending, asking)] == [True, False, False]
    scene.queue.give_answers()
    assert asking.replies()[-2:] == ["250 2.6.0", "421 4.3.2"]
    assert asking.transport.closed
    scene.queue.waits = False
    sending.send(MESSAGE)
    assert sending.replies()[-2:] == ["250 2.6.0", "421 4.3.2"]
    ended = asyncio.ensure_future(scene.sessions.all_ended())
    for one in (idle, sending):
        one.leave()
    await asyncio.sleep(0)
    assert not ended.done()
    asking.leave()
    await ended


async def test_draining_lets_a_session_that_begins_bring_its_message(scene: Scene) -> None:
    silent = scene.open()
    scene.clock_s += BEGINNING_S + 0.1
    beginning, done = scene.open(), scene.open()
    done.send(ENVELOPE, b"DATA\r\n", MESSAGE)
    scene.sessions.draining = True
    scene.sessions.end_idle()
    assert [one.transport.closed for one in (silent, beginning, done)] == [True, False, True]
    beginning.send(b"EHLO client.test\r\n")
    scene.sessions.end_idle()
    beginning.send(ENVELOPE, b"DATA\r\n", MESSAGE)
    assert beginning.replies()[-2:] == ["250 2.6.0", "421 4.3.2"]
    hesitant = scene.open()
    hesitant.send(b"EHLO client.test\r\n")
    scene.clock_s += BEGINNING_S + 0.1
    scene.sessions.end_idle()
    assert hesitant.replies()[-1] == "421 4.3.2"


async def test_those_that_outlast_the_grace_are_ended(scene: Scene, client: Client) -> None:
    client.send(ENVELOPE, b"DATA\r\nhalf")
    scene.sessions.end_all()
    assert client.replies()[-1] == "421 4.3.2"
    assert client.transport.closed


# Large messages.


@pytest.fixture
async def spooling(tmp_path: Path) -> Scene:
    return Scene(msgspec.structs.replace(SETTINGS, spool=str(tmp_path)))


async def test_large_message_is_handed_on_as_a_file(spooling: Scene) -> None:
    client = spooling.open()
    client.send(ENVELOPE, b"DATA\r\n", *(LARGE[at : at + 10_000] for at in range(0, len(LARGE), 10_000)))
    assert client.replies()[-1] == "250 2.6.0"
    (submit,), content = spooling.queue.taken, LARGE[:-3].replace(b"\r\n", b"\n")
    assert (submit.attached, submit.content, submit.size) == (True, b"", len(content))
    assert spooling.queue.files == [content]


async def test_large_message_that_loops_is_refused(spooling: Scene, tmp_path: Path) -> None:
    client = spooling.open()
    client.send(ENVELOPE, b"DATA\r\n", b"Received: x\r\n" * HOPS_MOST + LARGE)
    assert client.replies()[-1] == "554 5.4.6"
    assert not spooling.queue.taken
    assert open_files(tmp_path) == 0


@pytest.mark.parametrize("failing", ["create_spool_file", "write_pieces", "read_some"])
@pytest.mark.parametrize("size", [INLINE_CONTENT_BYTES + 2000, 3 * INLINE_CONTENT_BYTES])
async def test_message_that_cannot_be_spooled_is_put_off_and_the_session_goes_on(
    spooling: Scene, monkeypatch: pytest.MonkeyPatch, failing: str, size: int
) -> None:
    def full(*_: object) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    client = spooling.open()
    client.send(ENVELOPE, b"DATA\r\n")
    with monkeypatch.context() as patch:
        patch.setattr(gatherer, failing, full)
        client.send(*[b"x" * 998 + b"\r\n"] * (size // 999 + 1), b".\r\n")
        assert client.replies()[-1] == "452 4.3.1"
        client.send(ENVELOPE, b"DATA\r\n", *[b"x" * 998 + b"\r\n"] * (size // 999 + 1), b".\r\n")
    assert [line["code"] for line in spooling.events("message.refused")] == [452, 452]
    (full_disk,) = spooling.events("storage.full")
    assert "No space" in full_disk["error"]
    client.send(ENVELOPE, b"DATA\r\n", MESSAGE)
    assert client.replies()[-1] == "250 2.6.0"
    assert len(spooling.queue.taken) == 1
