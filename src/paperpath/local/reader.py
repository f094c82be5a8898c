"""A reader: opens mailboxes of its one user for `pop3`, one conversation a mailbox.

Runs as: the mailboxes' owner, a system user or that of `paperpath account`.  Reads and changes: the Maildirs that
`local` names, below the one folder it was started for.  Believes: `local`, about which mailbox an end belongs to;
nobody at the other end about anything, who can read and remove what is in that mailbox and nothing else.  Parses no
mail.  Whoever takes it over can do what that user can with its mail.

A conversation is in turns: while an answer is on its way, a further request ends it.  The disk is waited for in
threads, so that one mailbox on a slow disk holds up nobody.
"""

import asyncio
import os
import socket
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import msgspec

from paperpath.base.text import describe
from paperpath.local.mailbox import Gone, Mailbox
from paperpath.system.channel import Channel
from paperpath.system.clock import now
from paperpath.system.threads import in_thread
from paperpath.telemetry.events import ProcessBroken
from paperpath.telemetry.log import Log
from paperpath.wire.mailbox import (
    MAILBOX_FRAME_MOST_BYTES,
    Admit,
    Describe,
    Description,
    FromRoot,
    FromSession,
    Idle,
    MessageNotOpened,
    MessageOpened,
    NotOpened,
    Opened,
    OpenMessage,
    Update,
    Updated,
)

_THREADS = 8
"""Mailboxes on the disk at once; others wait in line."""
CONVERSATIONS_MOST = 10_000
"""Mailboxes open at once, each with a list of its messages in memory: as many as `[pop3] sessions` may be."""

_BROKEN = "a defect of the reader"


class Reader:
    """The conversation with `local`, and the mailboxes that it admits sessions to."""

    def __init__(self, sock: socket.socket, folder: str, log: Log) -> None:
        self._folder, self._log = folder, log
        self._threads = ThreadPoolExecutor(_THREADS)
        self._open: set[Conversation] = set()
        self._admitted = 0
        self._over = asyncio.Event()
        self._channel = Channel(
            sock, FromRoot, self._admit, lambda _: self._end_if_done(), frame_most_bytes=MAILBOX_FRAME_MOST_BYTES
        )

    async def serve(self) -> None:
        """Work until `local` lets go and the last mailbox is closed."""
        await self._over.wait()
        self._threads.shutdown()

    def discard(self, conversation: "Conversation") -> None:
        """It ended."""
        self._open.discard(conversation)
        if not self._open:
            self._channel.send(Idle(self._admitted))
        self._end_if_done()

    def _admit(self, frame: Admit, descriptor: int | None) -> None:
        if descriptor is None:
            raise ValueError("a mailbox without its descriptor")
        sock = socket.socket(fileno=descriptor)
        home = frame.folder
        if os.path.normpath(home) != home or not f"{home}/".startswith(self._folder + "/") or "\0" in home:
            sock.close()
            raise ValueError("a mailbox outside the folder")
        self._admitted += 1
        if len(self._open) >= CONVERSATIONS_MOST:
            sock.close()  # `pop3` takes that for "try again later"
            return
        self._open.add(Conversation(self, sock, os.fsencode(home) + b"/Maildir", self._threads, self._log))

    def _end_if_done(self) -> None:
        if self._channel.closed and not self._open:
            self._over.set()


class Conversation:
    """One session's hold on one mailbox."""

    def __init__(self, reader: Reader, sock: socket.socket, folder: bytes, threads: ThreadPoolExecutor, log: Log):
        self._reader, self._threads, self._log = reader, threads, log
        self._mailbox: Mailbox | None = None
        self._busy = False
        self._channel = Channel(
            sock, FromSession, self._asked, lambda _: self._closed(), frame_most_bytes=MAILBOX_FRAME_MOST_BYTES
        )
        self._do(lambda: Mailbox(folder, now()), self._opened)

    def _opened(self, result: Any) -> None:
        if isinstance(result, Mailbox):
            self._mailbox = result
            self._channel.send(Opened(len(result), result.octets))
        else:
            self._answer_and_end(NotOpened(self._why(result)))

    def _asked(self, frame: Describe | OpenMessage | Update, _descriptor: int | None) -> None:
        mailbox = self._mailbox
        if self._busy or mailbox is None:
            raise ValueError("out of turn")
        match frame:
            case Describe(first):
                sizes, unique_ids = mailbox.describe(first)
                self._channel.send(Description(first, sizes, unique_ids))
            case OpenMessage(number):
                self._do(lambda: mailbox.open(number), lambda result: self._message(number, result))
            case Update(marked):
                self._do(lambda: mailbox.update(marked), self._updated)

    def _message(self, number: int, result: Any) -> None:
        if isinstance(result, int):
            self._channel.send(MessageOpened(number), result)
            os.close(result)
        else:
            self._channel.send(MessageNotOpened(number, isinstance(result, Gone), self._why(result)))

    def _updated(self, result: Any) -> None:
        if isinstance(result, Exception):
            self._answer_and_end(NotOpened(self._why(result)))
        else:
            self._answer_and_end(Updated(result.removed, result.kept, result.reason))

    def _why(self, error: Exception) -> str:
        """Return what to say of an error; one that nobody expected is logged."""
        if isinstance(error, Gone | IndexError):
            return "there is no such message"
        if isinstance(error, OSError):
            return error.strerror or str(error)
        self._log.emit(ProcessBroken(where="mailbox", error=describe(error)))
        return _BROKEN

    def _do(self, work: Callable[[], Any], done: Callable[[Any], None]) -> None:
        """Do something in a thread, then ``done`` with its result or its exception; nothing else meanwhile."""
        self._busy = True
        in_thread(self._threads, work, lambda result: self._done(result, done))

    def _done(self, result: Any, done: Callable[[Any], None]) -> None:
        self._busy = False
        if not self._channel.closed:
            done(result)
        elif isinstance(result, int):
            os.close(result)

    def _answer_and_end(self, frame: msgspec.Struct) -> None:
        self._channel.send(frame)
        self._channel.flush()
        self._channel.close()

    def _closed(self) -> None:
        self._mailbox = None
        self._reader.discard(self)
