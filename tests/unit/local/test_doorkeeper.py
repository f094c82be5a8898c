"""The door to mailboxes where this process itself is in trouble: that is temporary, and one opener's ticket only."""

import asyncio
import errno
import os
import socket
from collections.abc import AsyncIterator
from typing import Any

import pytest

from paperpath.local.doorkeeper import Doorkeeper
from paperpath.local.lookup import Accounts, Identity
from paperpath.local.readers import Readers
from paperpath.process.passes import make_pass
from paperpath.system.channel import Channel
from paperpath.system.users import User
from paperpath.wire.mailbox import FromDoorkeeper, MailboxReady, MailboxRefused, OpenMailbox
from tests.unit.queue.scene import Lines

KEY, NOW, JOE = bytes(32), 1_000_000.0, "joe@box.test"
JOE_USER = User("joe", 1000, 1000, "/home/joe")


class Opener:
    """`pop3`'s end of the conversation."""

    def __init__(self) -> None:
        ours, theirs = socket.socketpair()
        self.answers: asyncio.Queue[Any] = asyncio.Queue()
        self.channel = Channel(ours, FromDoorkeeper, self._take, lambda _: None)
        self.doorkeeper = Doorkeeper(Lines().log, lambda: NOW)
        self.doorkeeper.configure(Accounts("/mail", "vmail", frozenset({b"box.test"}), None), KEY)
        self.doorkeeper.connected(theirs)

    def _take(self, frame: MailboxReady | MailboxRefused, descriptor: int | None) -> None:
        if descriptor is not None:
            os.close(descriptor)
        self.answers.put_nowait(frame)

    async def open(self, ticket: int, account: str = JOE) -> Any:
        self.channel.send(OpenMailbox(ticket, account, make_pass(KEY, account, now=NOW, nonce=bytes(16))))
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


async def test_what_workers_are_told_is_nothing_to_readers(monkeypatch: pytest.MonkeyPatch) -> None:
    """The mailbox of a system user is opened by the same reader before and after it changed."""
    admitted: list[object] = []

    def noted(_readers: Readers, name: str, identity: Identity, home: str) -> socket.socket:
        admitted.append((name, identity, home))
        return admit()

    monkeypatch.setattr(Readers, "admit", noted)
    home = os.stat_result((0o40700, 0, 0, 0, 1000, 1000, 0, 0, 0, 0))
    for told in ("", "2f"):
        opener = Opener()
        accounts = Accounts("/mail", "vmail", frozenset(), 0, lambda _: JOE_USER, lambda _: home, told=told)
        opener.doorkeeper.configure(accounts, KEY)
        assert await opener.open(1, "joe") == MailboxReady(1)
        assert await opener.open(2, "JOE") == MailboxRefused(2, "no worker has this name")
        opener.channel.close()
    assert admitted == [("user:joe", Identity("joe", "/home/joe", become=True), "/home/joe")] * 2
