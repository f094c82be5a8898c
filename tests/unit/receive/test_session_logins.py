"""Logging in within a session, and what an account may send."""

import asyncio
import base64
import os
from collections.abc import AsyncIterator
from pathlib import Path

import msgspec
import pytest

from paperpath.base.limits import INLINE_CONTENT_BYTES
from paperpath.process.settings import SessionLimits
from paperpath.receive.submission import may_send_as
from paperpath.wire.guard import Offence, Rate
from paperpath.wire.logins import Challenge, LoggedIn, LoginAnswer, LoginRefused
from tests.unit.receive.scene import RELAY, SETTINGS, STRANGER, Client, Scene

RIGHT = b"AUTH PLAIN " + base64.b64encode(b"\0joe\0right") + b"\r\n"
WRONG = b"AUTH PLAIN " + base64.b64encode(b"\0joe\0wrong") + b"\r\n"
FAR = b"MAIL FROM:<joe@here.test>\r\nRCPT TO:<ann@far.test>\r\nDATA\r\n"
OPEN = msgspec.structs.replace(SETTINGS, plain_in_clear="loopback")


@pytest.fixture
async def scene(tmp_path: Path) -> AsyncIterator[Scene]:
    yield Scene(msgspec.structs.replace(OPEN, spool=str(tmp_path)))


async def said(client: Client, *parts: bytes) -> list[str]:
    """Return the replies to these; `auth` answers in a later turn."""
    client.send(*parts)
    for _ in range(20):
        await asyncio.sleep(0)
    return client.replies()


async def logged_in(scene: Scene) -> Client:
    client = scene.open(RELAY, "submission")
    assert await said(client, b"EHLO c\r\n", RIGHT) == ["220", "250", "235 2.7.0"]
    return client


async def test_submission_takes_nothing_from_whoever_has_not_logged_in(scene: Scene) -> None:
    client = scene.open(RELAY, "submission")
    assert await said(client, b"EHLO c\r\nMAIL FROM:<joe@here.test>\r\nRCPT TO:<joe@here.test>\r\nNOOP\r\n") == [
        "220",
        "250",
        "530 5.7.0",
        "503 5.5.1",
        "250 2.0.0",
    ]


async def test_no_logins_on_port_25(scene: Scene) -> None:
    client = scene.open(RELAY, "smtp")
    assert await said(client, b"EHLO c\r\n", RIGHT) == ["220", "250", "502 5.5.1"]
    assert b"AUTH" not in client.transport.written


async def test_who_has_logged_in_sends_to_everywhere_and_is_not_named(scene: Scene) -> None:
    client = await logged_in(scene)
    assert await said(client, FAR, b"From: joe@here.test\r\nDate: x\r\nMessage-ID: <1@c>\r\n\r\nHello.\r\n.\r\n") == [
        "250 2.1.0",
        "250 2.1.5",
        "354",
        "250 2.6.0",
    ]
    (taken,) = scene.queue.taken
    assert taken.content == b"From: joe@here.test\nDate: x\nMessage-ID: <1@c>\n\nHello.\n"
    assert b" with ESMTPA (" in taken.trace and taken.trace.count(b"\n") == 3
    assert b"joe" not in taken.trace.replace(b"for <ann@far.test>", b"")
    assert taken.origin == f"submission {RELAY} joe@here.test"
    client.leave()
    assert client.closed_line["account"] == "joe@here.test"
    _, _, asked = scene.logins.asked[0]
    assert (asked["service"], asked["peer"], asked["secure"]) == ("submission", RELAY, False)


async def test_passwords_do_not_go_in_clear(scene: Scene) -> None:
    client = scene.open(STRANGER, "submission")
    assert await said(client, b"EHLO c\r\n") == ["220", "250"]
    client.send(b"EHLO c\r\n")
    assert b"AUTH SCRAM-SHA-256\r\n" in client.transport.written
    client.replies()
    assert await said(client, RIGHT, b"AUTH LOGIN\r\n") == ["538 5.7.11", "538 5.7.11"]
    assert not scene.logins.asked


async def test_an_account_has_its_recipients_counted(scene: Scene) -> None:
    client = await logged_in(scene)
    await said(client, FAR.replace(b"DATA", b"RCPT TO:<b@far.test>\r\nDATA"), b"From: joe@here.test\r\n\r\nx\r\n.\r\n")
    assert ("allow", "account joe@here.test", 2, (Rate(500, 3600), Rate(2000, 86400))) in scene.guard.heard
    scene.guard.exhausted.add("account joe@here.test")
    assert await said(client, FAR) == ["250 2.1.0", "250 2.1.5", "450 4.7.1"]
    assert await said(client, b"RSET\r\n") == ["250 2.0.0"]


async def test_what_binds_an_account_is_announced_and_holds(tmp_path: Path) -> None:
    limits = SessionLimits(
        greeting_delay_s=60, messages_most=1, account_recipients_per_hour=0, account_recipients_per_day=3
    )
    scene = Scene(msgspec.structs.replace(OPEN, spool=str(tmp_path), relay_networks=(), limits=limits))
    client = await logged_in(scene)  # where one has to log in nobody waits for the greeting
    client.send(b"EHLO c\r\n")
    assert b"250-LIMITS MAILMAX=1 RCPTMAX=3\r\n" in client.transport.written
    client.replies()
    recipients = b"".join(b"RCPT TO:<%d@far.test>\r\n" % number for number in range(4))
    assert await said(client, b"MAIL FROM:<joe@here.test>\r\n", recipients) == [
        "250 2.1.0",
        *["250 2.1.5"] * 3,
        "452 4.5.3",
    ]
    assert await said(client, b"DATA\r\n", b"From: joe@here.test\r\n\r\nHello.\r\n.\r\n") == ["354", "250 2.6.0"]
    assert await said(client, b"MAIL FROM:<joe@here.test>\r\n") == ["421 4.7.0"]


async def test_an_account_has_as_many_commands_as_a_stranger(tmp_path: Path) -> None:
    limits = SessionLimits(greeting_delay_s=0, commands_most=10)
    scene = Scene(msgspec.structs.replace(OPEN, spool=str(tmp_path), relay_networks=(), limits=limits))
    client = await logged_in(scene)
    assert (await said(client, b"NOOP\r\n" * 11))[-1] == "421 4.7.0"


async def test_wrong_passwords_count_against_the_address_and_right_ones_for_it(scene: Scene) -> None:
    scene.logins.says = LoginRefused(1, "wrong", temporary=False)
    client = scene.open(STRANGER, "submission")
    assert await said(client, b"EHLO c\r\nAUTH SCRAM-SHA-256\r\n") == ["220", "250", "535 5.7.8"]
    offences = [heard for heard in scene.guard.heard if heard[0] == STRANGER]
    assert offences == [(STRANGER, Offence.LOGIN_FAILED, "a wrong password at submission")]
    scene.logins.says = LoggedIn(1, "joe@here.test", (), b"", b"")
    assert client.session.standing.is_stranger
    assert await said(client, b"AUTH SCRAM-SHA-256\r\n") == ["235 2.7.0"]
    assert not client.session.standing.is_stranger


async def test_a_wrong_password_counts_once_whatever_is_asked_next(scene: Scene) -> None:
    scene.logins.says = LoginRefused(1, "wrong", temporary=False)
    client = scene.open(STRANGER, "submission")
    assert await said(client, b"EHLO c\r\nAUTH SCRAM-SHA-256\r\n") == ["220", "250", "535 5.7.8"]
    scene.logins.says = Challenge(1, b"And?")
    assert await said(client, b"AUTH SCRAM-SHA-256\r\n", b"eA==\r\n", b"*\r\n") == ["334", "334", "501 5.7.0"]
    assert [heard[0] for heard in scene.guard.heard].count(STRANGER) == 1


async def test_three_wrong_passwords_end_the_session(scene: Scene) -> None:
    client = scene.open(RELAY, "submission")
    assert await said(client, b"EHLO c\r\n", WRONG, WRONG, WRONG) == [
        "220",
        "250",
        "535 5.7.8",
        "535 5.7.8",
        "421 4.7.0",
    ]
    assert client.transport.closed


@pytest.mark.parametrize(
    ("answer", "code"),
    [
        (LoginRefused(1, "the database is down", temporary=True), "454 4.7.0"),
        (LoginRefused(1, "bad PLAIN message", temporary=False, malformed=True), "501 5.5.2"),
    ],
)
async def test_what_says_nothing_of_the_password_does_not_count(scene: Scene, answer: LoginAnswer, code: str) -> None:
    scene.logins.says = answer
    client = scene.open(RELAY, "submission")
    assert await said(client, b"EHLO c\r\n", *[WRONG] * 5) == ["220", "250", *[code] * 5]
    scene.logins.says = None
    assert await said(client, RIGHT) == ["235 2.7.0"]


async def test_an_exchange_and_its_end(scene: Scene) -> None:
    client = scene.open(RELAY, "submission")
    await said(client, b"EHLO c\r\n")
    assert await said(client, b"AUTH LOGIN\r\n", b"*\r\n") == ["334", "501 5.7.0"]
    assert scene.logins.abandoned == 1
    assert await said(client, b"AUTH LOGIN\r\nam9l\r\ncmlnaHQ=\r\nNOOP\r\n") == ["334", "334", "235 2.7.0", "250 2.0.0"]


async def test_a_client_that_leaves_is_not_waited_for(scene: Scene) -> None:
    scene.logins.silent = True
    client = scene.open(RELAY, "submission")
    assert await said(client, b"EHLO c\r\n", RIGHT) == ["220", "250"]
    assert client.session.waits_for_us
    client.leave()
    assert scene.logins.abandoned == 1


async def test_who_logged_in_before_xclient_is_forgotten(tmp_path: Path) -> None:
    scene = Scene(msgspec.structs.replace(OPEN, xclient_networks=("127.0.0.1/32",), spool=str(tmp_path)))
    client = await logged_in(scene)
    assert await said(client, b"XCLIENT ADDR=192.0.2.77\r\nEHLO c\r\n" + FAR) == [
        "220",
        "250",
        "530 5.7.0",
        "503 5.5.1",
        "503 5.5.1",
    ]


@pytest.mark.parametrize("sender", [b"ann@here.test", b"joe@far.test", b"joe", b"@here.test"])
async def test_envelope_senders_that_are_not_ones_own(scene: Scene, sender: bytes) -> None:
    client = await logged_in(scene)
    replies = await said(client, b"MAIL FROM:<%b>\r\n" % sender)
    assert replies[0][:3] in ("553", "501")


@pytest.mark.parametrize("sender", [b"", b"JOE@HERE.test", b"anybody@client.test"])
async def test_envelope_senders_that_are(scene: Scene, sender: bytes) -> None:
    client = await logged_in(scene)
    assert await said(client, b"MAIL FROM:<%b>\r\n" % sender) == ["250 2.1.0"]


@pytest.mark.parametrize(
    ("header", "code"),
    [
        (b"From: Joe <joe@here.test>", "250 2.6.0"),
        (b"From: a@client.test, Joe <joe@here.test>\r\nSender: a@client.test", "250 2.6.0"),
        (b"From: ann@here.test", "550 5.7.1"),
        (b"From: joe@here.test, ann@here.test", "550 5.7.1"),
        (b"From: joe@here.test <ann@here.test>", "550 5.7.1"),
        (b"From: joe@here.test\r\nfrom : ann@here.test", "550 5.6.0"),
        (b"From: joe@here.test\r\n (a\r\n ann@here.test", "550 5.6.0"),
        (b"From: (nobody)", "550 5.6.0"),
        (b"From:", "550 5.6.0"),
        (b"From: joe", "550 5.7.1"),
        (b"From: Joe", "550 5.7.1"),
    ],
)
async def test_from_is_judged(scene: Scene, header: bytes, code: str) -> None:
    client = await logged_in(scene)
    assert (await said(client, FAR, header + b"\r\n\r\nx\r\n.\r\n"))[-1] == code
    assert len(scene.queue.taken) == (code[0] == "2")
    if code[0] == "5":
        assert scene.events("message.refused")[-1]["code"] == int(code[:3])


async def test_what_is_missing_is_put_beside_the_content(scene: Scene) -> None:
    client = await logged_in(scene)
    await said(client, FAR, b"Subject: x\r\n\r\nx\r\n.\r\n")
    (taken,) = scene.queue.taken
    assert taken.content == b"Subject: x\n\nx\n"
    received, date, message_id, author = taken.trace.replace(b"\n\t", b" ").splitlines()
    assert received.startswith(b"Received: ") and date.startswith(b"Date: ")
    assert message_id.startswith(b"Message-ID: <") and message_id.endswith(b"@mx.test>")
    assert author == b"From: joe@here.test"


async def test_the_author_of_a_report_is_the_accounts_first_address(scene: Scene) -> None:
    client = await logged_in(scene)
    await said(client, FAR.replace(b"joe@here.test", b""), b"Subject: x\r\n\r\nx\r\n.\r\n")
    assert scene.queue.taken[0].sender == b""
    assert b"\nFrom: joe@here.test\n" in scene.queue.taken[0].trace


@pytest.mark.parametrize(("content", "prefixed"), [(b"just text\r\n", True), (b"\r\njust text\r\n", False)])
async def test_text_without_a_header_does_not_become_one(scene: Scene, content: bytes, prefixed: bool) -> None:
    client = await logged_in(scene)
    await said(client, FAR, content + b".\r\n")
    (taken,) = scene.queue.taken
    assert taken.trace.endswith(b"\n\n") is prefixed
    assert taken.content == content.replace(b"\r\n", b"\n")


HEADER = b"Date: x\r\nMessage-ID: <1@c>\r\nFrom: a@client.test\r\nTo: ann, Bob <bob>, c@far.test\r\nX: ann\r\n"
WHOLE = b"Date: x\nMessage-ID: <1@c>\nFrom: a@client.test\nTo: ann@mx.test, Bob <bob@mx.test>, c@far.test\nX: ann\n"


async def test_domains_of_the_header_are_completed(scene: Scene) -> None:
    client = await logged_in(scene)
    await said(client, FAR, HEADER + b"\r\nTo: ann\r\n.\r\n")
    (taken,) = scene.queue.taken
    assert taken.content == WHOLE + b"\nTo: ann\n"
    assert taken.size == len(taken.content)


async def test_a_large_message_is_completed_in_its_file(scene: Scene) -> None:
    client = await logged_in(scene)
    line = b"x" * 998 + b"\r\n"
    count = 2 * INLINE_CONTENT_BYTES // len(line)
    before = len(os.listdir("/proc/self/fd"))
    assert (await said(client, FAR, HEADER + b"\r\n" + line * count + b".\r\n"))[-1] == "250 2.6.0"
    assert scene.queue.files == [WHOLE + b"\n" + line.replace(b"\r\n", b"\n") * count]
    assert scene.queue.taken[0].size == len(scene.queue.files[0])
    assert len(os.listdir("/proc/self/fd")) == before


async def test_a_header_without_end_is_refused(scene: Scene) -> None:
    client = await logged_in(scene)
    assert (await said(client, FAR, b"X: y\r\n" * 60_000 + b".\r\n"))[-1] == "552 5.3.4"


async def test_an_envelope_sender_gets_its_domain(tmp_path: Path) -> None:
    routing = msgspec.structs.replace(OPEN.routing, default_domain=b"here.test")
    scene = Scene(msgspec.structs.replace(OPEN, routing=routing, spool=str(tmp_path)))
    client = await logged_in(scene)
    assert (await said(client, FAR.replace(b"<joe@here.test>", b"<joe>"), b"From: joe\r\n\r\nx\r\n.\r\n"))[-1][0] == "2"
    assert scene.queue.taken[0].sender == b"joe@here.test"
    assert scene.queue.taken[0].content == b"From: joe@here.test\n\nx\n"


@pytest.mark.parametrize(
    ("address", "owned"),
    [
        (b"ann@x.test", True),
        (b"Ann@X.Test", True),
        (b"ann-list@x.test", True),
        (b"ann-@x.test", True),
        (b"annlist@x.test", False),
        (b"ann-list@y.test", False),
        (b"any@all.test", True),
        (b"any@sub.all.test", False),
        (b"ann@x.test@y.test", False),
        (b"*@x.test", False),
        (b"@x.test", False),
    ],
)
def test_who_owns_what(address: bytes, owned: bool) -> None:
    assert may_send_as((b"ann@x.test", b"ann-*@x.test", b"@all.test"), address) is owned
