"""The part of `local`'s root half that opens mailboxes: for `pop3`, and only against a pass of `auth`'s.

Whose mailbox an account's is, is decided here from its name; `pop3` names no folder.  What it gets is one end of a
conversation about that mailbox with a reader that runs as the mailbox's owner.  No mail is looked at here.
"""

import os
import socket
from collections.abc import Callable

from paperpath.config.mailbox_path import mailbox_folder
from paperpath.local.lookup import MAILBOXES, Accounts, CannotTell, Identity
from paperpath.local.readers import Readers
from paperpath.process.passes import is_good_pass
from paperpath.system.channel import Channel
from paperpath.telemetry.log import Log
from paperpath.wire.frame import VERSION, Hello
from paperpath.wire.mailbox import FromOpener, MailboxReady, MailboxRefused, OpenMailbox

_FRAME_MOST_BYTES = 4096


class Doorkeeper:
    """Judges passes and admits to mailboxes."""

    def __init__(self, log: Log, now: Callable[[], float]) -> None:
        self._readers = Readers(log)
        self._now = now
        self._accounts: Accounts
        self._key = b""
        self._channels: set[Channel] = set()

    def configure(self, accounts: Accounts, key: bytes) -> None:
        """Know these accounts from now on, and take passes of this key."""
        self._accounts, self._key = accounts, key

    def connected(self, sock: socket.socket) -> None:
        """Talk with a `pop3` process."""
        channel = Channel(
            sock,
            FromOpener,
            lambda frame, _: self._asked(channel, frame),
            lambda _: self._channels.discard(channel),
            frame_most_bytes=_FRAME_MOST_BYTES,
        )
        self._channels.add(channel)

    async def end(self, grace_s: float) -> None:
        """Open nothing more, and wait until what is open is closed."""
        for channel in list(self._channels):
            channel.flush()
            channel.close()
        await self._readers.end(grace_s)

    def _asked(self, channel: Channel, frame: Hello | OpenMailbox) -> None:
        match frame:
            case OpenMailbox(ticket):
                try:
                    with self._open(frame) as ours:
                        channel.send(MailboxReady(ticket), ours.fileno())
                except CannotTell as error:
                    channel.send(MailboxRefused(ticket, str(error)))
                except OSError as error:  # no room for another descriptor, most likely: other mailboxes stay open
                    channel.send(MailboxRefused(ticket, f"it cannot be handed over: {error.strerror or error}"))
            case Hello(version=version) if version == VERSION:
                pass
            case _:
                raise ValueError("not for this socket")

    def _open(self, frame: OpenMailbox) -> socket.socket:
        if not is_good_pass(self._key, frame.account, frame.door_pass, now=self._now()):
            raise CannotTell("the pass is not good")
        return self._readers.admit(*self._mailbox(frame.account))

    def _mailbox(self, account: str) -> tuple[str, Identity, str]:
        """Return the reader that an account's mailbox belongs to, whom that runs as, and the home that the mailbox lies
        in.  Raises CannotTell.

        What workers are told is nothing to readers, so these keep their names when it changes.
        """
        if "@" not in account:
            owner = self._accounts.owner(account)
            return f"user:{account}", owner, os.path.normpath(owner.folder)
        address = account.encode("utf-8", "replace")
        folder = mailbox_folder(self._accounts.mail, address)
        if folder is None or address.lower().rpartition(b"@")[2] not in self._accounts.mailbox_domains:
            raise CannotTell("the account has no mailbox here")
        return MAILBOXES, self._accounts.identity(MAILBOXES), folder
