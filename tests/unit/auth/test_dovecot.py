"""SCRAM that Dovecot runs, with a Dovecot that a test plays: the real one is in `interop/test_login_backends.py`."""

import asyncio
import base64
import os
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

from paperpath.wire.logins import LoggedIn, LoginAnswer, LoginRefused
from tests.unit.auth.scene import Scene, Talk, scene

FIRST = b"n,,n=ann@far.test,r=abc"
HELLO = b"VERSION\t1\t2\nMECH\tPLAIN\nMECH\tSCRAM-SHA-256\nDONE\n"


class Played:
    """One connection to Dovecot, its lines without their line ends."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._reader, self._writer = reader, writer

    async def heard(self) -> bytes:
        return (await self._reader.readline()).rstrip(b"\n")

    def say(self, *lines: bytes) -> None:
        self._writer.writelines(line + b"\n" for line in lines)

    def hang_up(self) -> None:
        self._writer.close()


@asynccontextmanager
async def logging_in(folder: Path) -> AsyncIterator[tuple[Scene, Talk, Played]]:
    """Begin a login with SCRAM whose first message has reached Dovecot."""
    came: asyncio.Queue[Played] = asyncio.Queue()
    path = folder / "dovecot"
    server = await asyncio.start_unix_server(lambda r, w: came.put_nowait(Played(r, w)), path)
    more = {"backends": ("accounts", "dovecot"), "dovecot": str(path), "dovecot_mechanisms": ("SCRAM-SHA-256",)}
    async with server, scene(folder, **more) as auth:
        talk = auth.begin("SCRAM-SHA-256", FIRST)
        dovecot = await came.get()
        dovecot.say(HELLO.rstrip(b"\n"))
        assert [await dovecot.heard() for _ in range(2)] == [b"VERSION\t1\t1", b"CPID\t%d" % os.getpid()]
        sent = b"AUTH\t1\tSCRAM-SHA-256\tservice=smtp\tsecured\trip=192.0.2.1\tresp=" + base64.b64encode(FIRST)
        assert await dovecot.heard() == sent
        yield auth, talk, dovecot
        dovecot.hang_up()


def refused(answer: LoginAnswer) -> tuple[str, bool]:
    assert isinstance(answer, LoginRefused)
    return answer.reason, answer.temporary


async def test_what_both_say_is_carried_on_and_dovecot_says_who_it_was(tmp_path: Path) -> None:
    async with logging_in(tmp_path) as (auth, talk, dovecot):
        dovecot.say(b"CONT\t1\t" + base64.b64encode(b"r=abcdef,s=x,i=1"))
        assert await talk.challenge() == b"r=abcdef,s=x,i=1"
        talk.attempt.respond(b"c=biws,r=abcdef,p=xx")
        assert await dovecot.heard() == b"CONT\t1\t" + base64.b64encode(b"c=biws,r=abcdef,p=xx")
        dovecot.say(b"CONT\t1\t" + base64.b64encode(b"v=yes"))
        assert await talk.challenge() == b"v=yes"
        talk.attempt.respond(b"")
        assert await dovecot.heard() == b"CONT\t1\t"
        dovecot.say(b"OK\t1\tuser=Ann@far.test")
        answer = await talk.answer()
        assert isinstance(answer, LoggedIn)
        assert (answer.account, answer.addresses) == ("ann@far.test", (b"ann@far.test",))
        assert "user=" not in auth.lines[-1] and "account=ann@far.test mechanism=SCRAM-SHA-256" in auth.lines[-1]


async def test_no_is_no_and_not_now_is_temporary(tmp_path: Path) -> None:
    for line, said in (
        (b"FAIL\t1", ("wrong name or password", False)),
        (b"FAIL\t1\ttemp", ("Dovecot could not tell", True)),
    ):
        async with logging_in(tmp_path) as (_, talk, dovecot):
            dovecot.say(line)
            assert refused(await talk.answer()) == said
        for left in ("dovecot", "auth"):
            (tmp_path / left).unlink()


async def test_a_dovecot_that_ends_within_an_exchange_is_our_trouble(tmp_path: Path) -> None:
    async with logging_in(tmp_path) as (_, talk, dovecot):
        dovecot.say(b"CONT\t1\t")
        await talk.challenge()
        dovecot.hang_up()
        await dovecot.heard()
        assert refused(await talk.respond(b"c=biws,r=abcdef,p=xx")) == ("Dovecot hung up", True)


async def test_a_message_that_dovecot_would_hang_up_on_does_not_go_there(tmp_path: Path) -> None:
    async with logging_in(tmp_path) as (auth, talk, dovecot):
        dovecot.say(b"CONT\t1\t")
        await talk.challenge()
        assert refused(await talk.respond(b"x" * 4097)) == ("wrong name or password", False)
        assert await dovecot.heard() == b"CANCEL\t1"
        first = await auth.begin("SCRAM-SHA-256", FIRST + b",x=" + b"x" * 4096).answer()
        assert refused(first) == ("wrong name or password", False)


async def test_dovecot_is_told_that_it_took_too_long(tmp_path: Path) -> None:
    async with logging_in(tmp_path) as (auth, talk, dovecot):
        dovecot.say(b"CONT\t1\t")
        await talk.challenge()
        await auth.again(timeout_s=0)
        assert refused(await talk.respond(b"c=biws,r=abcdef,p=xx")) == ("judging it took too long", True)
        heard = [await dovecot.heard(), await dovecot.heard()]
        assert heard[0].startswith(b"CONT\t1\t") and heard[1] == b"CANCEL\t1"


async def test_dovecot_is_told_of_a_client_that_went_away(tmp_path: Path) -> None:
    async with logging_in(tmp_path) as (_, talk, dovecot):
        dovecot.say(b"CONT\t1\t")
        await talk.challenge()
        talk.attempt.abandon()
        assert await dovecot.heard() == b"CANCEL\t1"
