import asyncio
import os
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from paperpath.process import submitter
from paperpath.process.submitter import Submitter
from paperpath.wire.frame import Hello
from paperpath.wire.intake import Accepted, FromSubmitter, NotAccepted, Submit
from tests.unit.process.peer import Peer, listening


class Bringer:
    """A submitter, and the answers it gave."""

    def __init__(self, submitter: Submitter) -> None:
        self.submitter = submitter
        self.answers: asyncio.Queue[Accepted | NotAccepted] = asyncio.Queue()

    def bring(self, descriptor: int | None = None) -> int:
        """Hand over a message; return its ticket."""
        ticket = self.submitter.next_ticket()
        content = b"Subject: x\n\n"
        submit = Submit(
            ticket=ticket,
            sender=b"a@b.test",
            recipients=(b"c@d.test",),
            trace=b"",
            content=b"" if descriptor else content,
            size=len(content),
            origin="test",
            attached=descriptor is not None,
        )
        self.submitter.submit(submit, descriptor, self.answers.put_nowait)
        return ticket


@pytest.fixture
async def queue(tmp_path: Path) -> AsyncIterator[Peer]:
    with listening(tmp_path / "intake", FromSubmitter) as peer:
        yield peer


@pytest.fixture
async def bringer(queue: Peer) -> AsyncIterator[Bringer]:
    bringer = Bringer(Submitter(queue.path, "receive"))
    await queue.channels.get()
    assert isinstance(await queue.heard.get(), Hello)
    yield bringer
    bringer.submitter.close()


async def heard(queue: Peer) -> int:
    """Return the ticket of the next message that reaches the queue."""
    while not isinstance(frame := await queue.heard.get(), Submit):
        pass
    return frame.ticket


async def test_each_message_gets_its_own_answer(queue: Peer, bringer: Bringer) -> None:
    first, second = bringer.bring(), bringer.bring()
    assert [await heard(queue), await heard(queue)] == [first, second]
    queue.send(NotAccepted(second, storage_full=True))
    queue.send(Accepted(first, 77))
    assert await bringer.answers.get() == NotAccepted(second, storage_full=True)
    assert await bringer.answers.get() == Accepted(first, 77)


async def test_message_under_way_when_the_queue_dies_is_not_accepted(queue: Peer, bringer: Bringer) -> None:
    ticket = bringer.bring()
    assert await heard(queue) == ticket
    queue.hang_up()
    assert await bringer.answers.get() == NotAccepted(ticket, storage_full=False)
    await queue.channels.get()
    assert isinstance(await queue.heard.get(), Hello)
    assert queue.heard.empty()


async def test_message_brought_while_the_queue_is_away_waits_for_it(queue: Peer, bringer: Bringer) -> None:
    under_way = bringer.bring()
    assert await heard(queue) == under_way
    queue.hang_up()
    await bringer.answers.get()
    waiting = bringer.bring()
    assert bringer.answers.empty()
    assert await heard(queue) == waiting
    queue.send(Accepted(waiting, 5))
    assert await bringer.answers.get() == Accepted(waiting, 5)


async def test_message_that_waits_too_long_is_not_accepted(
    queue: Peer, bringer: Bringer, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(submitter, "_QUEUE_BACK_WITHIN_S", 0)
    last = bringer.bring()
    assert await heard(queue) == last
    queue.close()
    await bringer.answers.get()
    ticket = bringer.bring()
    assert await bringer.answers.get() == NotAccepted(ticket, storage_full=False)


async def test_large_message_that_waited_goes_with_its_descriptor(
    queue: Peer, bringer: Bringer, tmp_path: Path
) -> None:
    queue.hang_up()
    while bringer.submitter._link.up:
        await asyncio.sleep(0)
    with (tmp_path / "content").open("w+b") as file:
        ticket = bringer.bring(file.fileno())
        assert await heard(queue) == ticket
        queue.send(Accepted(ticket, 9))
        assert await bringer.answers.get() == Accepted(ticket, 9)
        os.fstat(file.fileno())


async def test_answer_that_nobody_waits_for_ends_the_conversation(queue: Peer, bringer: Bringer) -> None:
    ticket = bringer.bring()
    assert await heard(queue) == ticket
    queue.send(Accepted(ticket + 1, 1))
    assert await bringer.answers.get() == NotAccepted(ticket, storage_full=False)
    await queue.channels.get()
