import asyncio
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from paperpath.process import directory
from paperpath.process.directory import Answer, Directory
from paperpath.wire.accounts import Account, Found, FromAsker, Lookup, NotFound, Unknown, WorkerStarted
from paperpath.wire.frame import Hello
from tests.unit.process.peer import Peer, listening

ACCOUNT = Account("user", "/home/user", b"", b"")


class Asker:
    """A directory, and the answers it gave."""

    def __init__(self, directory: Directory) -> None:
        self.directory = directory
        self.answers: asyncio.Queue[Answer] = asyncio.Queue()

    def find(self, address: bytes) -> None:
        self.directory.find(address, self.answers.put_nowait)


@pytest.fixture
async def local(tmp_path: Path) -> AsyncIterator[Peer]:
    with listening(tmp_path / "lookup", FromAsker) as peer:
        yield peer


@pytest.fixture
async def asker(local: Peer) -> AsyncIterator[Asker]:
    asker = Asker(Directory(local.path, "receive"))
    await local.channels.get()
    assert isinstance(await local.heard.get(), Hello)
    yield asker
    asker.directory.close()


async def asked(local: Peer) -> Lookup:
    lookup = await local.heard.get()
    assert isinstance(lookup, Lookup)
    return lookup


async def test_answer_that_says_yes_is_remembered(local: Peer, asker: Asker) -> None:
    asker.find(b"a@b.test")
    lookup = await asked(local)
    assert lookup.address == b"a@b.test"
    found = Found(lookup.ticket, "user", ACCOUNT)
    local.send(found)
    assert await asker.answers.get() == found
    asker.find(b"a@b.test")
    assert asker.answers.get_nowait() == found
    assert local.heard.empty()


@pytest.mark.parametrize("answer", [NotFound, lambda ticket: Unknown(ticket, "database down")])
async def test_other_answers_are_asked_for_again(local: Peer, asker: Asker, answer: type[NotFound]) -> None:
    for _ in range(2):
        asker.find(b"a@b.test")
        lookup = await asked(local)
        local.send(answer(lookup.ticket))
        assert await asker.answers.get() == answer(lookup.ticket)


async def test_question_that_many_ask_is_asked_once(local: Peer, asker: Asker) -> None:
    for _ in range(10):
        asker.find(b"a@b.test")
    asker.find(b"c@b.test")
    first, second = await asked(local), await asked(local)
    assert (first.address, second.address) == (b"a@b.test", b"c@b.test")
    local.send(NotFound(first.ticket))
    assert [await asker.answers.get() for _ in range(10)] == [NotFound(first.ticket)] * 10
    assert asker.answers.empty()


async def test_answers_may_come_in_any_order(local: Peer, asker: Asker) -> None:
    asker.find(b"a@b.test")
    asker.find(b"c@b.test")
    first, second = await asked(local), await asked(local)
    local.send(NotFound(second.ticket))
    local.send(Found(first.ticket, "user", ACCOUNT))
    assert await asker.answers.get() == NotFound(second.ticket)
    assert await asker.answers.get() == Found(first.ticket, "user", ACCOUNT)


async def test_forgotten_address_is_asked_for_again(local: Peer, asker: Asker) -> None:
    asker.find(b"a@b.test")
    local.send(Found((await asked(local)).ticket, "user", ACCOUNT))
    await asker.answers.get()
    asker.directory.forget(b"a@b.test")
    asker.directory.forget(b"never@b.test")
    asker.find(b"a@b.test")
    assert (await asked(local)).address == b"a@b.test"


async def test_open_questions_are_asked_again_after_local_came_back(local: Peer, asker: Asker) -> None:
    asker.find(b"a@b.test")
    former = await asked(local)
    local.hang_up()
    assert isinstance(await local.heard.get(), Hello)
    again = await asked(local)
    assert again.address == former.address
    assert again.ticket != former.ticket
    local.send(NotFound(again.ticket))
    assert await asker.answers.get() == NotFound(again.ticket)


async def test_question_asked_while_local_is_away_waits(local: Peer, asker: Asker) -> None:
    local.hang_up()
    asker.find(b"a@b.test")
    while not isinstance(lookup := await local.heard.get(), Lookup):
        pass
    local.send(NotFound(lookup.ticket))
    assert await asker.answers.get() == NotFound(lookup.ticket)


async def test_answer_that_takes_too_long_is_unknown(
    local: Peer, asker: Asker, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(directory, "_ANSWER_WITHIN_S", 0)
    asker.find(b"a@b.test")
    lookup = await asked(local)
    assert isinstance(await asker.answers.get(), Unknown)
    local.send(NotFound(lookup.ticket))
    asker.find(b"c@b.test")
    assert (await asked(local)).address == b"c@b.test"


def broken(_answer: object) -> None:
    raise KeyError("a defect")


def reports() -> list[str]:
    """Return what is reported to the running loop from now on."""
    reported: list[str] = []
    asyncio.get_running_loop().set_exception_handler(lambda _, context: reported.append(repr(context["exception"])))
    return reported


async def test_defect_of_one_asker_silences_no_other(local: Peer, asker: Asker) -> None:
    reported = reports()
    asker.directory.find(b"a@b.test", broken)
    asker.find(b"a@b.test")
    asker.find(b"c@b.test")
    first, second = await asked(local), await asked(local)
    local.send(NotFound(first.ticket))
    local.send(NotFound(second.ticket))
    assert [await asker.answers.get(), await asker.answers.get()] == [NotFound(first.ticket), NotFound(second.ticket)]
    assert reported == ["KeyError('a defect')"]
    assert local.channels.empty()


async def test_defect_of_one_asker_silences_no_other_that_waited_too_long(
    local: Peer, asker: Asker, monkeypatch: pytest.MonkeyPatch
) -> None:
    reported = reports()
    monkeypatch.setattr(directory, "_ANSWER_WITHIN_S", 0)
    asker.directory.find(b"a@b.test", broken)
    asker.find(b"a@b.test")
    assert isinstance(await asker.answers.get(), Unknown)
    assert reported == ["KeyError('a defect')"]


@pytest.mark.parametrize("frame", [NotFound(999), WorkerStarted(1)])
async def test_answer_that_nobody_asked_for_ends_the_conversation(
    local: Peer, asker: Asker, frame: NotFound | WorkerStarted
) -> None:
    with open("/dev/null") as null:
        local.send(frame, null.fileno() if isinstance(frame, WorkerStarted) else None)
        await local.channels.get()


async def test_memory_is_bounded(local: Peer, asker: Asker, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(directory, "_REMEMBERED_MOST", 2)
    for address in (b"1@b.test", b"2@b.test", b"3@b.test"):
        asker.find(address)
        local.send(Found((await asked(local)).ticket, "user", ACCOUNT))
        await asker.answers.get()
    asker.find(b"3@b.test")
    await asker.answers.get()
    assert local.heard.empty()
    asker.find(b"1@b.test")
    assert (await asked(local)).address == b"1@b.test"


async def test_questions_are_bounded_while_local_answers_none(
    local: Peer, asker: Asker, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(directory, "_UNANSWERED_MOST", 2)
    monkeypatch.setattr(directory, "_ANSWER_WITHIN_S", 0)
    for address in (b"1@b.test", b"2@b.test"):
        asker.find(address)
        assert isinstance(await asker.answers.get(), Unknown)
    asker.find(b"3@b.test")
    refused = asker.answers.get_nowait()
    assert isinstance(refused, Unknown) and refused.ours
    first, second = await asked(local), await asked(local)
    assert local.heard.empty()
    monkeypatch.setattr(directory, "_ANSWER_WITHIN_S", 30)
    local.send(NotFound(first.ticket))
    local.send(NotFound(second.ticket))
    while not isinstance(answer := await tried(asker, b"4@b.test", local), NotFound):
        assert isinstance(answer, Unknown)


async def tried(asker: Asker, address: bytes, local: Peer) -> Answer:
    """Ask, and answer that there is no such recipient where the question comes through."""
    asker.find(address)
    await asyncio.sleep(0)
    if asker.answers.empty():
        local.send(NotFound((await asked(local)).ticket))
    return await asker.answers.get()


async def test_questions_while_local_is_away_do_not_count_as_unanswered(
    local: Peer, asker: Asker, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(directory, "_UNANSWERED_MOST", 1)
    local.hang_up()
    while asker.directory._link._channel is not None:
        await asyncio.sleep(0)
    for address in (b"1@b.test", b"2@b.test"):
        asker.find(address)
    heard: set[bytes] = set()
    while len(heard) < 2:
        if isinstance(lookup := await local.heard.get(), Lookup):
            heard.add(lookup.address)
            local.send(NotFound(lookup.ticket))
    assert [type(await asker.answers.get()) for _ in range(2)] == [NotFound, NotFound]
    assert asker.answers.empty()
