import asyncio
import contextlib
import errno
import os
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from paperpath.base.limits import FRAME_MOST_BYTES
from paperpath.process import submitter
from paperpath.process.submitter import OnAnswer, Submitter
from paperpath.wire.frame import FrameError, Hello
from paperpath.wire.intake import Accepted, FromSubmitter, NotAccepted, Submit
from tests.unit.process.peer import Peer, listening
from tests.unit.process.test_directory import broken, reports


class Bringer:
    """A submitter, and the answers it gave."""

    def __init__(self, submitter: Submitter) -> None:
        self.submitter = submitter
        self.answers: asyncio.Queue[Accepted | NotAccepted] = asyncio.Queue()

    def bring(
        self,
        descriptor: int | None = None,
        content: bytes = b"Subject: x\n\n",
        on_answer: OnAnswer | None = None,
    ) -> int:
        """Hand over a message; return its ticket."""
        ticket = self.submitter.next_ticket()
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
        self.submitter.submit(submit, descriptor, on_answer or self.answers.put_nowait)
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
    while bringer.submitter._link._channel is not None:
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


async def away(queue: Peer, bringer: Bringer) -> None:
    queue.hang_up()
    while bringer.submitter._link._channel is not None:
        await asyncio.sleep(0)


async def test_descriptor_of_a_message_that_waits_may_be_closed(queue: Peer, bringer: Bringer, tmp_path: Path) -> None:
    await away(queue, bringer)
    before = open_descriptors()
    (tmp_path / "content").write_bytes(b"Subject: x\n\n")
    with (tmp_path / "content").open("rb") as file:
        ticket = bringer.bring(file.fileno())
    with (tmp_path / "other").open("w"):
        assert await heard(queue) == ticket
    queue.send(Accepted(ticket, 9))
    assert await bringer.answers.get() == Accepted(ticket, 9)
    assert queue.attached == [str(tmp_path / "content")]
    assert not [path for path in open_descriptors() - before if path.startswith(str(tmp_path))]


def open_descriptors() -> set[str]:
    """Return what the descriptors of this process stand for."""
    found = set()
    for name in os.listdir("/proc/self/fd"):
        with contextlib.suppress(OSError):
            found.add(os.readlink(f"/proc/self/fd/{name}"))
    return found


async def test_message_that_only_waits_can_be_withdrawn(queue: Peer, bringer: Bringer, tmp_path: Path) -> None:
    await away(queue, bringer)
    with (tmp_path / "content").open("w+b") as file:
        withdrawn = bringer.bring(file.fileno())
    other = bringer.bring()
    bringer.submitter.withdraw(withdrawn)
    assert str(tmp_path / "content") not in open_descriptors()
    assert await heard(queue) == other
    bringer.submitter.withdraw(other)
    queue.send(Accepted(other, 5))
    assert await bringer.answers.get() == Accepted(other, 5)
    assert bringer.submitter._waiting_bytes == 0
    await away(queue, bringer)
    assert bringer.answers.empty()


async def test_stalled_queue_is_given_no_more_than_the_bound(
    queue: Peer, bringer: Bringer, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(submitter, "UNSENT_MOST_BYTES", 3_000_000)
    tickets = [bringer.bring(content=bytes(1_000_000)) for _ in range(3)]
    assert bringer.answers.empty()
    one_more = bringer.bring()
    assert bringer.answers.get_nowait() == NotAccepted(one_more, storage_full=False)
    assert [await heard(queue) for _ in tickets] == tickets
    last = bringer.bring()
    assert await heard(queue) == last
    assert bringer.answers.empty()


async def test_queue_that_is_away_is_kept_no_more_than_the_bound(
    queue: Peer, bringer: Bringer, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(submitter, "UNSENT_MOST_BYTES", 1_000_000)
    await away(queue, bringer)
    first = bringer.bring(content=bytes(1_000_001))
    one_more = bringer.bring()
    assert bringer.answers.get_nowait() == NotAccepted(one_more, storage_full=False)
    bringer.submitter.withdraw(first)
    last = bringer.bring()
    assert await heard(queue) == last


async def test_no_room_for_a_descriptor_puts_off_one_message(
    queue: Peer, bringer: Bringer, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(_descriptor: int) -> int:
        raise OSError(errno.EMFILE, "Too many open files")

    with monkeypatch.context() as patch:
        patch.setattr(os, "dup", full)
        refused = bringer.bring(descriptor=2)
    assert bringer.answers.get_nowait() == NotAccepted(refused, storage_full=False)
    ticket = bringer.bring()
    assert await heard(queue) == ticket
    queue.send(Accepted(ticket, 1))
    assert await bringer.answers.get() == Accepted(ticket, 1)


async def test_defect_of_one_bringer_silences_no_other(queue: Peer, bringer: Bringer) -> None:
    reported = reports()
    first, second = bringer.bring(on_answer=broken), bringer.bring()
    assert [await heard(queue), await heard(queue)] == [first, second]
    queue.send(Accepted(first, 1))
    queue.send(Accepted(second, 2))
    assert await bringer.answers.get() == Accepted(second, 2)
    assert reported == ["KeyError('a defect')"]
    assert queue.channels.empty()


async def test_defect_of_one_bringer_silences_no_other_when_the_queue_dies(queue: Peer, bringer: Bringer) -> None:
    reported = reports()
    bringer.bring(on_answer=broken)
    second = bringer.bring()
    await heard(queue)
    await heard(queue)
    queue.hang_up()
    assert await bringer.answers.get() == NotAccepted(second, storage_full=False)
    assert reported == ["KeyError('a defect')"]


async def test_defect_of_one_bringer_silences_no_other_that_waited_too_long(
    queue: Peer, bringer: Bringer, monkeypatch: pytest.MonkeyPatch
) -> None:
    reported = reports()
    monkeypatch.setattr(submitter, "_QUEUE_BACK_WITHIN_S", 0)
    await away(queue, bringer)
    queue.close()
    bringer.bring(on_answer=broken)
    second = bringer.bring()
    assert await bringer.answers.get() == NotAccepted(second, storage_full=False)
    assert reported == ["KeyError('a defect')"]


async def test_message_beyond_a_frame_is_not_waited_for(queue: Peer, bringer: Bringer) -> None:
    with pytest.raises(FrameError):
        bringer.bring(content=bytes(FRAME_MOST_BYTES + 1))
    assert bringer.submitter.oldest_ticket is None
    ticket = bringer.bring()
    assert await heard(queue) == ticket
