"""`local`'s root half: who is this recipient, and start me the worker that delivers as that user.

Runs as: root (or the caller, who can then deliver to its own account and the mailboxes only).  Reads: the
user database, whether homes and Maildirs exist.  Writes: nothing.  Believes: the kernel, about who is asking;
`queue`, that a worker is needed.  Whoever takes over `queue` gains workers that write mail, and no shell.
Whoever takes over this process is root: so it sees no mail, and parses addresses only.
"""

import asyncio
import os
import socket
from binascii import crc32
from functools import partial

import msgspec

from paperpath.config.cdb_file import CdbFile
from paperpath.config.users import Assignments
from paperpath.local.doorkeeper import Doorkeeper
from paperpath.local.lookup import MAILBOXES, Accounts, CannotTell
from paperpath.local.workers import Workers
from paperpath.process.child import Listeners
from paperpath.process.doors import Doors, OnConnected
from paperpath.process.settings import LocalSettings
from paperpath.system.channel import Channel
from paperpath.system.clock import now
from paperpath.system.spawn import PROGRAM_PATH
from paperpath.system.users import own_uid
from paperpath.telemetry.log import Log
from paperpath.wire.accounts import (
    Found,
    FromAsker,
    Lookup,
    NotFound,
    StartWorker,
    Unknown,
    WorkerStarted,
)
from paperpath.wire.frame import VERSION, Hello

_FRAME_MOST_BYTES = 4096
"""A question is an address; nobody needs more of a process that is root."""


class Local:
    """The role, as `process.child.run_role` drives it."""

    def __init__(self, log: Log) -> None:
        self._workers = Workers(log)
        self._doorkeeper = Doorkeeper(log, now)
        self._uid = own_uid()
        self._accounts: Accounts
        self._told: tuple[str, dict[str, str]] | None = None
        self._doors = Doors()
        self._channels: set[Channel] = set()
        self._starting: set[asyncio.Task[None]] = set()
        self._draining = False

    async def configure(self, settings: LocalSettings, listeners: Listeners) -> None:
        """Answer by these settings from now on, on these sockets."""
        # What a worker is told that obeys dot-qmail files, and what its programs are told.
        self._told = msgspec.json.encode(settings.instructions).decode(), _environment(settings)
        self._accounts = _accounts(settings, self._uid, f"{crc32(msgspec.json.encode(self._told)):08x}")
        self._doorkeeper.configure(self._accounts, settings.pass_key)
        doors: dict[str, tuple[tuple[int, ...], OnConnected]] = {
            "lookup": (settings.lookup_users, partial(self._connected, starts=False)),
            "workers": (settings.worker_users, partial(self._connected, starts=True)),
            "mailboxes": (settings.opener_users, self._doorkeeper.connected),
        }
        self._doors.serve(listeners, doors)

    async def drain(self, grace_s: float) -> None:
        """Start no more workers, and wait for those that live; questions of whoever is still there are
        answered."""
        self._draining = True
        self._doors.close()
        if self._starting:
            await asyncio.wait(self._starting)
        await asyncio.gather(self._workers.end(grace_s), self._doorkeeper.end(grace_s))
        for channel in list(self._channels):
            channel.flush()
            channel.close()

    def _connected(self, sock: socket.socket, *, starts: bool) -> None:
        channel = Channel(
            sock,
            FromAsker,
            lambda frame, _: self._asked(channel, frame, starts=starts),
            lambda _: self._channels.discard(channel),
            frame_most_bytes=_FRAME_MOST_BYTES,
        )
        self._channels.add(channel)

    def _asked(self, channel: Channel, frame: Hello | Lookup | StartWorker, *, starts: bool) -> None:
        match frame:
            case Lookup():
                channel.send(self._look_up(frame))
            case StartWorker() if starts:
                task = asyncio.create_task(self._start(channel, frame))
                self._starting.add(task)
                task.add_done_callback(self._starting.discard)
            case Hello(version=version) if version == VERSION:
                pass
            case _:
                raise ValueError("not for this socket")

    def _look_up(self, frame: Lookup) -> Found | NotFound | Unknown:
        try:
            recipient = self._accounts.find(frame.address)
        except CannotTell as error:
            return Unknown(frame.ticket, str(error))
        if recipient is None:
            return NotFound(frame.ticket)
        return Found(frame.ticket, recipient.worker, recipient.account)

    async def _start(self, channel: Channel, frame: StartWorker) -> None:
        try:
            if self._draining:
                raise CannotTell("the service is stopping")
            identity = self._accounts.identity(frame.worker)
            assert self._told is not None, "it is configured before it listens"
            told, environment = self._told
            instructions = () if frame.worker == MAILBOXES else (told,)
            ours = await self._workers.start(frame.worker, identity, instructions, environment)
        except CannotTell as error:
            channel.send(Unknown(frame.ticket, str(error)))
            return
        with ours:
            channel.send(WorkerStarted(frame.ticket), ours.fileno())


def _environment(settings: LocalSettings) -> dict[str, str]:
    # Dot-qmail files call qmail's programs by their names, as qmail's own start script lets them.
    return {"PATH": f"{settings.qmail_home}/bin:{PROGRAM_PATH}"} if settings.qmail_home else {}


def _accounts(settings: LocalSettings, uid: int, told: str) -> Accounts:
    # Workers compare folders by name, so a folder has one name only.
    mail = os.path.normpath(settings.mail)
    # Root that may not change user (a trial run) delivers to nobody's home: as root it would write anywhere.
    delivers_as = uid if settings.change_user or uid != 0 else None
    instructions = settings.instructions
    assignments = Assignments(settings.qmail_home) if settings.qmail_home else None
    return Accounts(
        mail,
        settings.mail_user,
        settings.mailbox_domains,
        delivers_as,
        assignments=assignments,
        told=told,
        delivers_into_maildir=instructions.default_delivery.strip() == "./Maildir/",
        aliases=CdbFile(instructions.aliases) if instructions.aliases else None,
        forward_files=instructions.forward_files,
    )
