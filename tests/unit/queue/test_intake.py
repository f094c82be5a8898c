"""What whoever hands in mail is told when things go wrong inside the queue."""

import asyncio
import errno
import os
import socket
import tempfile
from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import suppress
from pathlib import Path
from typing import Any, cast

import pytest

from paperpath.base.ids import show_id
from paperpath.base.limits import INLINE_CONTENT_BYTES
from paperpath.base.terms import MessageTerms, RecipientTerms
from paperpath.queue.contents import Contents
from paperpath.queue.delivery import Deliveries, OnAdmitted
from paperpath.queue.intake import Intake, check
from paperpath.queue.jobs import Consignment
from paperpath.queue.journal import Journal
from paperpath.store.contract import StoreFull
from paperpath.system.channel import Channel
from paperpath.telemetry.log import Log
from paperpath.wire.intake import Accepted, FromQueue, NotAccepted, Submit
from tests.unit.queue.service import Service

SMALL = b"Subject: x\n\n"
LARGE_BYTES = INLINE_CONTENT_BYTES + 1


class Inside:
    """What is behind the door: deliveries and contents that do as a test says."""

    def __init__(self) -> None:
        self.trouble: Exception | None = None
        """What storing ends with."""
        self.defect: Exception | None = None
        """What admitting a message raises."""
        self.disk: Exception | None = None
        """What taking large content raises."""
        self.admitted: list[Consignment] = []
        self.taken: list[str] = []
        self.discarded: list[str] = []

    def new_message_id(self) -> int:
        return 1000 + len(self.admitted)

    def admit(
        self,
        consignment: Consignment,
        recipients: tuple[bytes, ...],
        origin: str,
        done: OnAdmitted,
        recipient_terms: Mapping[int, RecipientTerms],
    ) -> None:
        if self.defect is not None:
            raise self.defect
        self.admitted.append(consignment)
        self.recipient_terms = recipient_terms
        done(self.trouble)

    def take(self, name: str, descriptor: int, size: int) -> None:
        if self.disk is not None:
            raise self.disk
        assert os.fstat(descriptor).st_size == size
        self.taken.append(name)

    def discard(self, name: str) -> None:
        self.discarded.append(name)


class Door:
    """A submitter's end of a conversation with an intake."""

    def __init__(self, intake: Intake | None = None) -> None:
        self.inside = Inside()
        self.lines: list[str] = []
        journal = Journal(Log("queue", lambda data: self.lines.append(data.decode()), lambda: 0.0))
        self.intake = intake or Intake(cast(Deliveries, self.inside), cast(Contents, self.inside), journal)
        self.answers: asyncio.Queue[Any] = asyncio.Queue()
        self.ended: asyncio.Future[str] = asyncio.get_running_loop().create_future()
        ours, theirs = socket.socketpair()
        self.intake.connected(theirs)
        self.channel = Channel(ours, FromQueue, lambda frame, _: self.answers.put_nowait(frame), self.ended.set_result)
        self._ticket = 0

    async def bring(self, **changes: Any) -> Accepted | NotAccepted:
        self._ticket += 1
        values: dict[str, Any] = {
            "ticket": self._ticket,
            "sender": b"a@b.test",
            "recipients": (b"c@d.test",),
            "trace": b"",
            "content": SMALL,
            "size": len(SMALL),
            "origin": "test",
        }
        submit = Submit(**(values | changes))
        if submit.attached:
            with tempfile.TemporaryFile() as file:
                file.truncate(submit.size)
                self.channel.send(submit, file.fileno())
        else:
            self.channel.send(submit)
        answer = await self.answers.get()
        assert answer.ticket == self._ticket
        return cast(Accepted | NotAccepted, answer)

    async def bring_large(self) -> Accepted | NotAccepted:
        return await self.bring(content=b"", size=LARGE_BYTES, attached=True)


@pytest.fixture
async def door() -> AsyncIterator[Door]:
    door = Door()
    yield door
    door.channel.close()
    door.intake.close()


async def test_small_and_large_messages_are_accepted(door: Door) -> None:
    assert await door.bring() == Accepted(1, 1000)
    assert await door.bring_large() == Accepted(2, 1001)
    assert [bool(one.file) for one in door.inside.admitted] == [False, True]
    assert door.inside.taken == [door.inside.admitted[1].file]
    assert not door.inside.discarded


Bring = Callable[[Door], Any]


@pytest.mark.parametrize("bring", [Door.bring, Door.bring_large])
@pytest.mark.parametrize(
    ("trouble", "full"),
    [
        (StoreFull("full"), True),
        (OSError(errno.ENOSPC, "No space"), True),
        (OSError(errno.EIO, "I/O"), False),
        (RuntimeError("a defect"), False),
    ],
)
async def test_message_that_cannot_be_stored_is_put_off(
    door: Door, bring: Bring, trouble: Exception, full: bool
) -> None:
    door.inside.trouble = trouble
    assert await bring(door) == NotAccepted(1, full)
    assert door.inside.discarded == door.inside.taken
    assert len(door.lines) == 1
    assert await bring(door) == NotAccepted(2, full)
    assert len(door.lines) == (1 if full else 2), "a full disk is told once"


@pytest.mark.parametrize("bring", [Door.bring, Door.bring_large])
async def test_defect_in_routing_puts_off_one_message_and_is_logged(door: Door, bring: Bring) -> None:
    door.inside.defect = KeyError("a rule that is no rule")
    assert await bring(door) == NotAccepted(1, False)
    assert door.inside.discarded == door.inside.taken
    (line,) = door.lines
    assert "process.broken" in line and "a rule that is no rule" in line
    door.inside.defect = None
    assert isinstance(await bring(door), Accepted)


@pytest.mark.parametrize(
    ("disk", "full"),
    [(OSError(errno.ENOSPC, "No space"), True), (OSError(errno.EIO, "I/O"), False), (ValueError("a defect"), False)],
)
async def test_content_that_cannot_be_copied_is_put_off(door: Door, disk: Exception, full: bool) -> None:
    door.inside.disk = disk
    assert await door.bring_large() == NotAccepted(1, full)
    assert not door.inside.admitted
    door.inside.disk = None
    assert isinstance(await door.bring_large(), Accepted)


def submission(**changes: Any) -> Submit:
    values: dict[str, Any] = {"size": len(SMALL), "content": SMALL} | changes
    return Submit(1, b"a@b.test", (b"c@d.test",), trace=b"", origin="test", **values)


@pytest.mark.parametrize(
    "changes",
    [
        {},
        {"content": b"", "size": 0},
        {"content": b"x" * INLINE_CONTENT_BYTES, "size": INLINE_CONTENT_BYTES},
        {"content": b"", "size": LARGE_BYTES, "attached": True},
        {"recipient_terms": {0: RecipientTerms("NEVER")}},
    ],
)
def test_submission_that_can_be(changes: dict[str, Any]) -> None:
    check(submission(**changes))


@pytest.mark.parametrize(
    "changes",
    [
        {"size": len(SMALL) - 1},
        {"size": len(SMALL) + 1},
        {"size": -1},
        {"content": b"", "size": LARGE_BYTES},
        {"content": b"x" * LARGE_BYTES, "size": LARGE_BYTES},
        {"content": b"x", "size": LARGE_BYTES, "attached": True},
        {"content": b"", "size": INLINE_CONTENT_BYTES, "attached": True},
        {"content": b"", "size": -1, "attached": True},
    ],
)
def test_content_that_cannot_be(changes: dict[str, Any]) -> None:
    with pytest.raises(ValueError, match="content size"):
        check(submission(**changes))


@pytest.mark.parametrize(
    "changes",
    [
        {"recipients": ()},
        {"recipients": (b"",)},
        {"recipients": (b"a\0b",)},
        {"sender": b"x" * 901},
        {"terms": MessageTerms(returns="full")},
        {"terms": MessageTerms(envelope_id=b"a=b")},
        {"terms": MessageTerms(envelope_id=b"x" * 101)},
        {"terms": MessageTerms(by_mode="T")},
        {"terms": MessageTerms(hold="for;60\nX: y")},
        {"terms": MessageTerms(priority=10)},
        {"recipient_terms": {1: RecipientTerms("NEVER")}},
        {"recipient_terms": {-1: RecipientTerms("NEVER")}},
        {"recipient_terms": {0: RecipientTerms("NEVER,SUCCESS")}},
        {"recipient_terms": {0: RecipientTerms(original=b"c@d.test")}},
        {"recipient_terms": {0: RecipientTerms(original=b"rfc822;a b")}},
        {"trace": b"no line end"},
        {"size": 1},
        {"content": b"", "size": INLINE_CONTENT_BYTES, "attached": True},
    ],
)
async def test_submission_that_breaks_a_bound_ends_the_conversation(door: Door, changes: dict[str, Any]) -> None:
    bringing = asyncio.create_task(door.bring(**changes))
    await door.ended
    bringing.cancel()
    assert not door.inside.admitted


async def test_content_of_a_submission_that_breaks_a_bound_is_let_go(door: Door) -> None:
    def files() -> list[str]:
        return [link for link in map(_named, os.listdir("/proc/self/fd")) if "(deleted)" in link]

    before = files()
    bringing = asyncio.create_task(door.bring(content=b"", size=LARGE_BYTES, attached=True, sender=b"x" * 901))
    await door.ended
    bringing.cancel()
    await asyncio.wait({bringing})
    assert files() == before


def _named(descriptor: str) -> str:
    with suppress(FileNotFoundError):  # that of the folder itself
        return os.readlink(f"/proc/self/fd/{descriptor}")
    return ""


async def test_large_content_of_a_message_that_finds_no_room_is_removed(tmp_path: Path) -> None:
    service = Service(tmp_path)
    service.deliveries.window.unshut("remote")
    intake = Intake(service.deliveries, service.contents, Journal(service.lines.log))
    door = Door(intake)
    folder = Path(service.store.content_folder)
    service.store.full = 1
    assert await door.bring_large() == NotAccepted(1, True)
    assert not list(folder.iterdir())
    assert service.deliveries.window.under_way == 0
    accepted = await door.bring_large()
    assert isinstance(accepted, Accepted)
    assert [file.name for file in folder.iterdir()] == [show_id(accepted.message)]
    await service.remote.deliver()
    await service.lines.logged("message.done")
    await service.nothing_left()
    door.channel.close()
    intake.close()
    await service.close()
