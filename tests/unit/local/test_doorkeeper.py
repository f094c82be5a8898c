"""The door to mailboxes where this process itself is in trouble: that is temporary, and one opener's ticket only."""

import asyncio
import errno
import os
import socket
from collections.abc import AsyncIterator
from typing import Any

import pytest

from paperpath.local.doorkeeper import Doorkeeper
from paperpath.local.lookup import Accounts
from paperpath.local.readers import Readers
from paperpath.process.passes import make_pass
from paperpath.system.channel import Channel
from paperpath.wire.mailbox import FromDoorkeeper, MailboxReady, MailboxRefused, OpenMailbox
from tests.unit.queue.scene import Lines

KEY, NOW, JOE = bytes(32), 1_000_000.0, "joe@box.test"


class Opener:
    """`pop3`'s end of the conversation."""

    def __init__(self) -> None:
        ours, theirs = socket.socketpair()
        self.answers: asyncio.Queue[Any] = asyncio.Queue()
        self.channel = Channel(ours, FromDoorkeeper, self._take, lambda _: None)
        doorkeeper = Doorkeeper(Lines().log, lambda: NOW)
        doorkeeper.configure(Accounts("/mail", "vmail", frozenset({b"box.test"}), None), KEY)
        doorkeeper.connected(theirs)

    def _take(self, frame: MailboxReady | MailboxRefused, descriptor: int | None) -> None:
        if descriptor is not None:
            os.close(descriptor)
        self.answers.put_nowait(frame)

    async def open(self, ticket: int) -> Any:
        self.channel.send(OpenMailbox(ticket, JOE, make_pass(KEY, JOE, now=NOW, nonce=bytes(16))))
        return await asyncio.wait_for(self.answers.get(), 10)


@pytest.fixture
async def opener() -> AsyncIterator[Opener]:
    opener = Opener()
    yield opener
    opener.channel.close()


def admit(*_arguments: object) -> socket.socket:
    ours, theirs = socket.socketpair()
    theirs.close()
    return ours


async def test_no_room_for_a_descriptor_refuses_one_mailbox_and_the_next_is_opened(
    opener: Opener, monkeypatch: pytest.MonkeyPatch
) -> None:
    def none_left(*_arguments: object) -> socket.socket:
        raise OSError(errno.EMFILE, os.strerror(errno.EMFILE))

    monkeypatch.setattr(Readers, "admit", none_left)
    assert await opener.open(1) == MailboxRefused(1, "it cannot be handed over: Too many open files")
    monkeypatch.setattr(Readers, "admit", admit)
    assert await opener.open(2) == MailboxReady(2)


async def test_no_room_to_hand_it_over_refuses_one_mailbox(opener: Opener, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Readers, "admit", admit)
    dup = os.dup
    failed: list[int] = []

    def full_once(descriptor: int) -> int:
        if not failed:
            failed.append(descriptor)
            raise OSError(errno.EMFILE, os.strerror(errno.EMFILE))
        return dup(descriptor)

    monkeypatch.setattr("paperpath.system.channel.os.dup", full_once)
    assert await opener.open(1) == MailboxRefused(1, "it cannot be handed over: Too many open files")
    assert await opener.open(2) == MailboxReady(2)
