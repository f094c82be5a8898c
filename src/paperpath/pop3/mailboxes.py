"""Asking `local` for mailboxes, and the conversation about one that is open.

Every question is answered exactly once, and never before the call returns: with a frame, or with the reason why there
is none, as text for the log.
"""

import asyncio
import os
import socket
from collections.abc import Callable

from paperpath.process.answers import pass_on
from paperpath.process.link import Link
from paperpath.system.channel import Channel
from paperpath.wire.mailbox import (
    MAILBOX_FRAME_MOST_BYTES,
    Describe,
    Description,
    FromDoorkeeper,
    FromMailbox,
    FromSession,
    MailboxReady,
    MailboxRefused,
    MessageNotOpened,
    MessageOpened,
    NotOpened,
    Opened,
    OpenMailbox,
    OpenMessage,
    Update,
    Updated,
)

ANSWER_WITHIN_S = 60.0
"""A mailbox that takes longer is on a disk that hangs."""
UPDATE_WITHIN_S = 600.0
"""Removing 100,000 messages takes a while on a slow disk."""

_READ_BYTES = 64 * 1024

_ANSWERS: dict[type[FromSession], tuple[type[FromMailbox], ...]] = {
    Describe: (Description,),
    OpenMessage: (MessageOpened, MessageNotOpened),
    Update: (Updated, NotOpened),
}


class Source:
    """A message to be read, whose descriptor is ours to close."""

    def __init__(self, descriptor: int) -> None:
        self._descriptor = descriptor

    @property
    def size(self) -> int:
        """Its size on disk.  Raises OSError."""
        return os.fstat(self._descriptor).st_size

    def read(self) -> bytes:
        """Return the next piece; nothing at the end.  Raises OSError."""
        return os.read(self._descriptor, _READ_BYTES)

    def close(self) -> None:
        """Let go of it."""
        os.close(self._descriptor)


Answer = FromMailbox | Source | str
OnAnswer = Callable[[Answer], None]
OnBox = Callable[["Box | str"], None]


class Mailboxes:
    """The conversation with `local`."""

    def __init__(self, path: str, role: str) -> None:
        self._link = Link(path, role, FromDoorkeeper, self._answered, on_down=self._down)
        self._waiting: dict[int, OnBox] = {}
        self._last_ticket = 0

    def open(self, account: str, door_pass: bytes, on_box: OnBox) -> int:
        """Ask for a mailbox; return what ``withdraw`` takes."""
        self._last_ticket += 1
        ticket = self._last_ticket
        self._waiting[ticket] = on_box
        loop = asyncio.get_running_loop()
        if self._link.send(OpenMailbox(ticket, account, door_pass)):
            loop.call_later(ANSWER_WITHIN_S, self._answer, ticket, "no answer from local in time")
        else:
            loop.call_soon(self._answer, ticket, "local is away")
        return ticket

    def withdraw(self, ticket: int) -> None:
        """Do not want an answer any more."""
        self._waiting.pop(ticket, None)

    def close(self) -> None:
        """Ask nobody any more."""
        self._link.close()

    def _answered(self, frame: MailboxReady | MailboxRefused, descriptor: int | None) -> None:
        if not 0 < frame.ticket <= self._last_ticket:
            raise ValueError("an answer that nobody asked for")
        if isinstance(frame, MailboxRefused):
            self._answer(frame.ticket, frame.reason)
            return
        if descriptor is None:
            raise ValueError("a mailbox without its descriptor")
        sock = socket.socket(fileno=descriptor)
        on_box = self._waiting.pop(frame.ticket, None)
        if on_box is None:
            sock.close()
        else:
            Box(sock, on_box)

    def _answer(self, ticket: int, reason: str) -> None:
        on_box = self._waiting.pop(ticket, None)
        if on_box is not None:
            pass_on(on_box, reason)

    def _down(self) -> None:
        for ticket in list(self._waiting):
            self._answer(ticket, "local ended meanwhile")


class Box:
    """One mailbox.  ``on_box`` is called when it is open, with itself, or with the reason why it is not."""

    def __init__(self, sock: socket.socket, on_box: OnBox) -> None:
        self.opened = Opened(0, 0)
        self._timer: asyncio.TimerHandle | None = None
        self._expected: tuple[type[FromMailbox], ...] = ()
        self._on_answer: OnAnswer | None = None
        self._channel = Channel(
            sock, FromMailbox, self._answered, self._ended, frame_most_bytes=MAILBOX_FRAME_MOST_BYTES
        )
        self._expect((Opened, NotOpened), lambda answer: self._opened(answer, on_box), ANSWER_WITHIN_S)

    def ask(self, question: FromSession, on_answer: OnAnswer) -> None:
        """Ask something, when what was asked before is answered."""
        assert self._on_answer is None, "a question out of turn"
        within_s = UPDATE_WITHIN_S if isinstance(question, Update) else ANSWER_WITHIN_S
        self._expect(_ANSWERS[type(question)], on_answer, within_s)
        if self._channel.closed:
            asyncio.get_running_loop().call_soon(self._answer, "the reader is gone")
        else:
            self._channel.send(question)

    def close(self) -> None:
        """Let go of the mailbox; nothing is answered any more.  What was not asked to be removed stays."""
        self._on_answer = None
        self._stop_waiting()
        self._channel.close()

    def _expect(self, expected: tuple[type[FromMailbox], ...], on_answer: OnAnswer, within_s: float) -> None:
        self._expected, self._on_answer = expected, on_answer
        self._timer = asyncio.get_running_loop().call_later(within_s, self._too_late)

    def _opened(self, answer: Answer, on_box: OnBox) -> None:
        if isinstance(answer, Opened):
            self.opened = answer
            on_box(self)
        else:
            self._channel.close()
            on_box(answer.reason if isinstance(answer, NotOpened) else str(answer))

    def _answered(self, frame: FromMailbox, descriptor: int | None) -> None:
        source = None if descriptor is None else Source(descriptor)
        if self._on_answer is None or not isinstance(frame, self._expected):
            if source is not None:
                source.close()
            raise ValueError("an answer that nobody asked for")
        if isinstance(frame, MessageOpened):
            if source is None:
                raise ValueError("a message without its descriptor")
            self._answer(source)
        else:
            self._answer(frame)

    def _ended(self, _reason: str) -> None:
        self._answer("the reader is gone")

    def _too_late(self) -> None:
        self._channel.close()  # which answers

    def _answer(self, answer: Answer) -> None:
        self._stop_waiting()
        on_answer, self._on_answer = self._on_answer, None
        if on_answer is not None:
            pass_on(on_answer, answer)

    def _stop_waiting(self) -> None:
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
