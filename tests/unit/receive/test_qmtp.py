"""QMTP and QMQP sessions: what is answered, what is handed on, and what ends them."""

import errno
import gc
import os
from collections.abc import Callable
from pathlib import Path

import msgspec
import pytest

from paperpath.base.limits import HOPS_MOST, INLINE_CONTENT_BYTES
from paperpath.process.settings import SessionLimits
from paperpath.protocol.netstring import netstring
from paperpath.receive import gatherer, replies
from paperpath.receive.qmqp import QmqpSession
from paperpath.receive.qmtp import QmtpSession
from paperpath.receive.recipients import UNKNOWN_RECIPIENTS_MOST
from paperpath.wire.guard import Offence
from paperpath.wire.intake import NotAccepted
from tests.qmtp_client import answers, package, string
from tests.unit.receive.scene import RELAY, SETTINGS, STRANGER, Scene, Transport

MESSAGE = b"\nSubject: x\n\nHello.\n"
JOE = b"joe@here.test"


class Client:
    """The other end of one session."""

    def __init__(self, scene: Scene, peer: str, kind: type[QmqpSession | QmtpSession] = QmtpSession) -> None:
        self.scene = scene
        self.transport = Transport((peer, 4242) if peer else "")
        self.session = kind(scene.service, scene.sessions)
        self.session.connection_made(self.transport)

    def send(self, *parts: bytes) -> None:
        for part in parts:
            self.session.data_received(part)

    def leave(self) -> dict[str, object]:
        """Hang up; return the session's line."""
        self.session.connection_lost(None)
        return self.scene.events("session.closed")[-1]

    def answers(self) -> list[str]:
        """Return what was answered since the last time: the letter, and the status where there is one."""
        written, self.transport.written = self.transport.written, b""
        said = [answer.decode() for answer in answers(written)]
        return [text[0] + (text[text.rindex("(") :] if text.endswith(")") else "") for text in said]


@pytest.fixture
async def scene() -> Scene:
    return Scene()


@pytest.fixture
async def client(scene: Scene) -> Client:
    return Client(scene, RELAY)


async def test_a_package_is_answered_when_it_is_durable(scene: Scene, client: Client) -> None:
    scene.queue.waits = True
    client.send(package(MESSAGE, b"a@client.test", [JOE, b"far@away.test"]))
    assert client.transport.written == b""
    assert client.session.waits_for_us
    scene.queue.give_answers()
    said = answers(client.transport.written)
    assert len(said) == 2 and said[0] == said[1]
    assert said[0].startswith(b"Kok ") and b" qp " in said[0]
    (submit,) = scene.queue.taken
    assert (submit.sender, submit.recipients) == (b"a@client.test", (JOE, b"far@away.test"))
    assert submit.content == MESSAGE[1:]
    assert submit.size == len(MESSAGE) - 1
    assert submit.origin == f"qmtp {RELAY}"
    assert submit.trace.startswith(b"Received: from [127.0.0.1] ([127.0.0.1])\n\tby mx.test with QMTP (Paperpath)")
    line = client.leave()
    assert (line["service"], line["messages"], line["recipients"], line["refused"]) == ("qmtp", 1, 2, 0)


async def test_recipients_have_their_own_answers(scene: Scene) -> None:
    client = Client(scene, STRANGER)
    recipients = [JOE, b"jim@here.test", b"far@away.test", b"", b"x" * 901 + b"@here.test", b"j\0@here.test", JOE]
    client.send(package(MESSAGE, b"a@client.test", recipients))
    assert client.answers() == ["K", "D(#5.1.1)", "D(#5.7.1)", "D(#5.1.3)", "D(#5.1.3)", "D(#5.1.3)", "K"]
    assert scene.queue.taken[0].recipients == (JOE, JOE)
    assert b"\n\tfor " not in scene.queue.taken[0].trace
    assert [line["status"] for line in scene.events("message.refused")] == [
        "5.1.1", "5.7.1", "5.1.3", "5.1.3", "5.1.3",
    ]  # fmt: skip
    assert client.leave()["refused"] == 5


async def test_look_ups_that_wait(scene: Scene, client: Client) -> None:
    scene.accounts.waits = True
    client.send(package(MESSAGE, b"a@client.test", [b"far@away.test", JOE, b"jim@here.test"]))
    assert client.session.waits_for_us
    scene.accounts.give_answers()
    assert client.transport.written == b""
    scene.accounts.give_answers()
    assert client.answers() == ["K", "K", "D(#5.1.1)"]


@pytest.mark.parametrize(
    ("prepare", "expected"),
    [
        (lambda scene: setattr(scene.queue, "answer", lambda t: NotAccepted(t, storage_full=False)), "Z(#4.3.0)"),
        (lambda scene: setattr(scene.queue, "answer", lambda t: NotAccepted(t, storage_full=True)), "Z(#4.3.1)"),
        (lambda scene: setattr(scene.accounts, "down", True), "Z(#4.3.0)"),
    ],
)
async def test_our_troubles_are_temporary(scene: Scene, prepare: Callable[[Scene], None], expected: str) -> None:
    prepare(scene)
    client = Client(scene, STRANGER)
    client.send(package(MESSAGE, b"a@client.test", [JOE]))
    assert client.answers() == [expected]
    assert scene.events("message.refused")[0]["status"] == expected[3:-1]
    assert not client.transport.closed


async def test_defect_ends_the_session_without_an_answer(scene: Scene, client: Client) -> None:
    scene.queue.defect = KeyError("a defect")
    client.send(package(MESSAGE, b"a@client.test", [JOE]))
    assert client.transport.written == b""
    assert client.transport.closed
    assert "a defect" in scene.events("process.broken")[0]["error"]
    assert client.leave()["result"] == "error"


@pytest.mark.parametrize(
    ("data", "expected"),
    [
        (package(b"\n" + b"Received: x\n" * HOPS_MOST, b"a@client.test", [JOE]), ["D(#5.4.6)"]),
        (package(MESSAGE, b"bad@client.test", [JOE]), ["D(#5.7.1)"]),
        (package(MESSAGE, b"a\0@client.test", [JOE, JOE]), ["D(#5.1.7)", "D(#5.1.7)"]),
        (package(b"\n" + b"x" * 10_000_001, b"a@client.test", [JOE, b"nobody"]), ["D(#5.3.4)", "D(#5.3.4)"]),
        (package(MESSAGE, b"a@client.test", []), []),
    ],
)
async def test_packages_that_are_not_taken(scene: Scene, data: bytes, expected: list[str], tmp_path: Path) -> None:
    scene = Scene(msgspec.structs.replace(SETTINGS, spool=str(tmp_path)))
    client = Client(scene, STRANGER)
    client.send(data, package(MESSAGE, b"", [JOE]))
    assert client.answers() == [*expected, "K"]
    assert len(scene.queue.taken) == 1


async def test_packages_in_one_piece_are_answered_in_order(scene: Scene, client: Client) -> None:
    many = 3000
    client.send(
        package(MESSAGE, b"", [JOE]) + package(b"\n", b"", []) * many + package(MESSAGE, b"", [b"jim@here.test"])
    )
    assert client.answers() == ["K", "D(#5.1.1)"]


async def test_large_message_is_spooled(tmp_path: Path) -> None:
    scene = Scene(msgspec.structs.replace(SETTINGS, spool=str(tmp_path)))
    client = Client(scene, RELAY)
    message = b"Subject: x\n\n" + b"0123456789\n" * 50_000
    assert len(message) > INLINE_CONTENT_BYTES
    data = package(b"\r" + message.replace(b"\n", b"\r\n"), b"", [JOE])
    client.send(*(data[at : at + 65536] for at in range(0, len(data), 65536)))
    assert client.answers() == ["K"]
    assert scene.queue.files == [message]
    assert (scene.queue.taken[0].attached, scene.queue.taken[0].size) == (True, len(message))


async def test_no_room_to_spool(scene: Scene, client: Client, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(*_: object) -> int:
        raise OSError(errno.ENOSPC, "no room")

    monkeypatch.setattr(gatherer, "create_spool_file", full)
    client.send(package(b"\n" + b"x" * 500_000, b"", [JOE]), package(MESSAGE, b"", [JOE]))
    assert client.answers() == ["Z(#4.3.1)", "K"]
    assert len(scene.events("storage.full")) == 1


async def test_other_languages_end_the_session_unanswered(scene: Scene) -> None:
    client = Client(scene, STRANGER)
    client.send(b"EHLO client.test\r\n")
    assert (client.transport.written, client.transport.closed) == (b"", True)
    assert scene.events("message.refused")[0]["reason"] == "a length that is no number"
    assert client.leave()["result"] == "a length that is no number"


# Limits.


async def test_who_tries_names_learns_of_twenty(scene: Scene) -> None:
    client = Client(scene, STRANGER)
    names = [b"no%d@here.test" % n for n in range(100)]
    client.send(package(MESSAGE, b"", [JOE, *names, JOE]) + package(MESSAGE, b"", [JOE]))
    assert client.answers() == ["Z(#4.7.0)"] + ["D(#5.1.1)"] * UNKNOWN_RECIPIENTS_MOST + ["Z(#4.7.0)"] * 81
    assert client.transport.closed
    assert not scene.queue.taken
    assert client.leave()["result"] == "unknown recipients"


async def test_relay_networks_may_have_many_dead_recipients(scene: Scene, client: Client) -> None:
    client.send(package(MESSAGE, b"", [b"no%d@here.test" % n for n in range(100)]))
    assert client.answers() == ["D(#5.1.1)"] * 100
    assert not client.transport.closed


@pytest.mark.parametrize("peer", [STRANGER, RELAY])
async def test_recipients_beyond_the_limit_are_put_off(peer: str) -> None:
    scene = Scene(msgspec.structs.replace(SETTINGS, recipients_most=100, relay_recipients_most=100))
    client = Client(scene, peer)
    client.send(package(MESSAGE, b"", [JOE] * 102))
    assert client.answers() == ["K"] * 100 + ["Z(#4.5.3)"] * 2
    assert len(scene.queue.taken[0].recipients) == 100


async def test_sessions_are_counted_by_address(scene: Scene) -> None:
    for _ in range(SETTINGS.sessions_per_address):
        Client(scene, STRANGER)
    turned_away = Client(scene, STRANGER)
    assert (turned_away.transport.written, turned_away.transport.closed) == (b"", True)
    assert scene.events("session.turned-away")[0]["reason"] == "[receive] sessions_per_address"


async def test_an_address_that_brings_too_much_is_put_off(scene: Scene) -> None:
    scene.guard.slowed.add((STRANGER, "messages"))
    client = Client(scene, STRANGER)
    client.send(package(MESSAGE, b"", [JOE, JOE]))
    assert client.answers() == ["Z(#4.7.0)", "Z(#4.7.0)"]
    assert not scene.queue.taken and not client.transport.closed
    scene.guard.slowed = {(STRANGER, "recipients")}
    client.send(package(MESSAGE, b"", [JOE]))
    assert client.answers()[0][0] == "Z"


async def test_a_session_takes_so_many_messages(scene: Scene) -> None:
    limits = SessionLimits(messages_most=1, greeting_delay_s=0, error_delay_s=0)
    scene = Scene(msgspec.structs.replace(SETTINGS, limits=limits))
    client = Client(scene, STRANGER)
    client.send(package(MESSAGE, b"", [JOE]) + package(MESSAGE, b"", [JOE, JOE]) + package(MESSAGE, b"", [JOE]))
    assert client.answers() == ["K", "Z(#4.7.0)", "Z(#4.7.0)"]
    assert client.transport.closed
    assert client.leave()["result"] == "enough messages"
    relay = Client(scene, RELAY)
    relay.send(package(MESSAGE, b"", [JOE]) * 3)
    assert relay.answers() == ["K"] * 3


async def test_refusals_cost_a_stranger_time(scene: Scene) -> None:
    limits = SessionLimits(greeting_delay_s=0, error_delay_s=1)
    scene = Scene(msgspec.structs.replace(SETTINGS, limits=limits))
    client, relay = Client(scene, STRANGER), Client(scene, RELAY)
    for one in (client, relay):
        one.send(package(MESSAGE, b"", [b"no@here.test"] * 5))
    assert (client.transport.reading, relay.transport.reading) == (False, True)
    client.leave()  # which takes its timer away


async def test_what_is_no_qmtp_counts_against_the_address(scene: Scene) -> None:
    Client(scene, STRANGER).send(b"GET / HTTP/1.1\r\n")
    assert (STRANGER, Offence.OTHER_PROTOCOL, "a length that is no number") in scene.guard.heard


async def test_reading_pauses_while_a_package_waits(scene: Scene, client: Client) -> None:
    scene.queue.waits = True
    one = package(b"\n" + b"x" * 70_000, b"", [JOE])
    client.send(one, one)
    reading = [client.transport.reading]
    for _ in range(2):
        scene.queue.give_answers()
        assert client.answers() == ["K"]
        reading.append(client.transport.reading)
    assert reading == [False, False, True]


async def test_who_reads_no_answers_is_not_read_from(scene: Scene, client: Client) -> None:
    reading = []
    for step in (client.session.pause_writing, client.session.resume_writing):
        step()
        reading.append(client.transport.reading)
    assert reading == [False, True]
    client.session.pause_writing()
    client.session.end(replies.TIMEOUT, "timeout")
    assert client.transport.aborted


async def test_half_closed_connection_is_answered(scene: Scene, client: Client) -> None:
    scene.queue.waits = True
    client.send(package(MESSAGE, b"", [JOE]))
    assert client.session.eof_received()
    scene.queue.give_answers()
    assert client.answers() == ["K"]
    assert client.transport.closed
    assert not Client(scene, RELAY).session.eof_received()


async def test_client_that_goes_while_the_queue_is_asked(scene: Scene, client: Client) -> None:
    scene.queue.waits = True
    client.send(package(MESSAGE, b"", [JOE]))
    line = client.leave()
    assert scene.queue.withdrawn == [1]
    scene.queue.give_answers()
    assert (line["messages"], client.transport.written) == (0, b"")


async def test_client_that_goes_while_a_recipient_is_looked_up(scene: Scene, client: Client) -> None:
    scene.accounts.waits = True
    client.send(package(MESSAGE, b"", [JOE]))
    client.leave()
    scene.accounts.give_answers()
    assert not scene.queue.taken


async def test_draining_lets_packages_end(scene: Scene, client: Client) -> None:
    idle, begun = Client(scene, RELAY), Client(scene, RELAY)
    scene.clock_s += 3
    scene.queue.waits = True
    client.send(package(MESSAGE, b"", [JOE]))
    begun.send(b"7:\n")
    scene.sessions.draining = True
    scene.sessions.end_idle()
    assert [one.transport.closed for one in (idle, client, begun)] == [True, False, False]
    scene.queue.give_answers()
    assert client.answers() == ["K"]
    assert client.transport.closed
    assert client.leave()["result"] == "stopping"


async def test_content_has_to_come_at_a_pace(scene: Scene, client: Client) -> None:
    client.send(b"1000000:\n")
    before = client.session.last_input
    scene.clock_s += 100
    client.send(b"x" * 1000)
    assert client.session.last_input == before
    client.send(b"x" * 65_000)
    assert client.session.last_input == scene.clock_s


# QMQP.


def request(message: bytes, sender: bytes, recipients: list[bytes]) -> bytes:
    return string(b"".join(map(string, [message, sender, *recipients])))


@pytest.mark.parametrize("kind", [QmtpSession, QmqpSession])
async def test_a_session_that_is_over_does_not_wait_for_the_collector(
    scene: Scene, kind: type[QmqpSession | QmtpSession]
) -> None:
    def those_there() -> set[int]:
        return {id(one) for one in gc.get_objects() if isinstance(one, QmtpSession | QmqpSession)}

    gc.collect()
    gc.disable()
    known = those_there()  # other tests left them
    try:
        for given in (b"", b"9:no"):
            client = Client(scene, RELAY, kind)
            client.send(given or package(MESSAGE, b"a@client.test", [JOE]))
            client.leave()
            del client
            assert those_there() <= known
    finally:
        gc.enable()


async def test_qmqp_takes_the_whole_or_nothing(scene: Scene) -> None:
    scene.queue.waits = True
    client = Client(scene, RELAY, QmqpSession)
    client.send(request(MESSAGE[1:], b"anybody@away.test", [JOE, b"jim@here.test", b"far@away.test"]))
    assert client.transport.written == b""
    scene.queue.give_answers()
    (answer,) = answers(client.transport.written)
    assert answer.startswith(b"Kok ")
    assert client.transport.closed
    (submit,) = scene.queue.taken
    assert submit.sender == b"anybody@away.test"
    assert len(submit.recipients) == 3
    assert submit.origin == f"qmqp {RELAY}"
    assert b"(" + b"[127.0.0.1])\n\tby mx.test with QMQP " in submit.trace
    line = client.leave()
    assert (line["service"], line["peer"], line["messages"], line["recipients"]) == ("qmqp", RELAY, 1, 3)


async def test_qmqp_is_not_for_strangers(scene: Scene) -> None:
    client = Client(scene, STRANGER, QmqpSession)
    assert (client.transport.written, client.transport.closed) == (b"", True)
    client.send(request(MESSAGE, b"a@client.test", [JOE]))
    assert not scene.queue.taken
    assert scene.events("session.turned-away")[0]["reason"] == "qmqp is for [relay] networks"


@pytest.mark.parametrize("trusted", [True, False])
async def test_qmqp_over_a_unix_socket_is_for_those_who_may_send_for_others(trusted: bool) -> None:
    users = frozenset([os.getuid()] if trusted else [])
    scene = Scene(msgspec.structs.replace(SETTINGS, trusted_users=users))
    client = Client(scene, "", QmqpSession)
    client.send(request(MESSAGE, b"a@client.test", [JOE]))
    assert bool(scene.queue.taken) is trusted
    if not trusted:
        assert scene.events("session.turned-away")[0]["reason"] == "qmqp is for [inject] trusted_users"


@pytest.mark.parametrize(
    ("data", "answer"),
    [
        (request(MESSAGE, b"a\0@client.test", [JOE]), ["D(#5.1.3)"]),
        (request(MESSAGE, b"", [JOE, b"x" * 901]), ["D(#5.1.3)"]),
        (request(MESSAGE, b"", [JOE, b""]), ["D(#5.1.3)"]),
        (request(b"Received: x\n" * HOPS_MOST, b"", [JOE]), ["D(#5.4.6)"]),
        (request(b"x" * 10_000_001, b"", [JOE]), ["D(#5.3.4)"]),
        (netstring(b"x" * 20), []),
    ],
)
async def test_qmqp_refuses_the_whole(data: bytes, answer: list[str]) -> None:
    scene = Scene()
    client = Client(scene, RELAY, QmqpSession)
    client.send(data)
    assert client.answers() == answer
    assert client.transport.closed
    assert not scene.queue.taken


async def test_qmqp_puts_off_what_the_queue_did_not_take(scene: Scene) -> None:
    scene.queue.answer = lambda ticket: NotAccepted(ticket, storage_full=False)
    client = Client(scene, RELAY, QmqpSession)
    client.send(request(MESSAGE, b"", [JOE]))
    assert client.answers() == ["Z(#4.3.0)"]
    line = client.leave()
    assert (line["messages"], line["refused"]) == (0, 1)
