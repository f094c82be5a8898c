"""Reading mailboxes: `pop3` to `local`, `local` to a reader, and `pop3` to the one mailbox that was opened for it.

`pop3` shows `local` the pass that `auth` gave it with a login.  `local` starts, or has, a reader that runs as the
mailbox's owner, makes a pair of sockets, and gives one end to each (``Admit``, ``MailboxReady``).  What is said
there is about that one mailbox.  It is said in turns: one request, one answer, and whoever asks out of turn is hung up
on.
"""

import msgspec

from paperpath.base.limits import MAILBOX_MOST_MESSAGES, MAILBOX_PAGE_MESSAGES
from paperpath.wire.frame import Hello

MAILBOX_FRAME_MOST_BYTES = 256 * 1024
"""Of every frame here: a mark for each of ``MAILBOX_MOST_MESSAGES``, and some room."""
UNIQUE_ID_MOST_BYTES = 70
"""RFC 1939 7, UIDL."""

assert MAILBOX_MOST_MESSAGES // 8 < MAILBOX_FRAME_MOST_BYTES // 2
assert MAILBOX_PAGE_MESSAGES * (UNIQUE_ID_MOST_BYTES + 20) < MAILBOX_FRAME_MOST_BYTES // 2


class OpenMailbox(msgspec.Struct, frozen=True, array_like=True, tag="open-mailbox", gc=False):
    """Open the mailbox of this account; ``door_pass`` proves that its owner has just logged in."""

    ticket: int
    account: str
    """``local@domain`` of `paperpath account`, or the name of a system account."""
    door_pass: bytes


class MailboxReady(msgspec.Struct, frozen=True, array_like=True, tag="mailbox-ready", gc=False):
    """The descriptor that comes with this frame is the conversation with the mailbox; ``Opened`` comes there next."""

    ticket: int
    attached: bool = True


class MailboxRefused(msgspec.Struct, frozen=True, array_like=True, tag="mailbox-refused", gc=False):
    """It is not opened.  ``reason`` is for the log; strangers never see it."""

    ticket: int
    reason: str


class Admit(msgspec.Struct, frozen=True, array_like=True, tag="admit", gc=False):
    """Serve the mailbox in ``folder`` to whoever holds the other end of the descriptor that comes with this frame."""

    folder: str
    """A home, absolute and normal; the mailbox is ``Maildir`` in it."""
    attached: bool = True


class Idle(msgspec.Struct, frozen=True, array_like=True, tag="idle", gc=False):
    """No mailbox is open here, and ``admitted`` is how many ever were: I may be let go."""

    admitted: int


class Opened(msgspec.Struct, frozen=True, array_like=True, tag="opened", gc=False):
    """The mailbox as it is for this session: its messages are numbered from 1 to ``messages``, and stay so."""

    messages: int
    octets: int


class NotOpened(msgspec.Struct, frozen=True, array_like=True, tag="not-opened", gc=False):
    """It cannot be read, and the conversation is over.  ``reason`` is for the log."""

    reason: str


class Describe(msgspec.Struct, frozen=True, array_like=True, tag="describe", gc=False):
    """Describe ``MAILBOX_PAGE_MESSAGES`` messages, or as many as there are, from number ``first`` on."""

    first: int


class Description(msgspec.Struct, frozen=True, array_like=True, tag="description", gc=False):
    """Sizes (octets on disk) and unique ids of the messages from number ``first`` on."""

    first: int
    sizes: tuple[int, ...]
    unique_ids: tuple[bytes, ...]


class OpenMessage(msgspec.Struct, frozen=True, array_like=True, tag="open-message", gc=False):
    """Let me read message ``number``."""

    number: int


class MessageOpened(msgspec.Struct, frozen=True, array_like=True, tag="message-opened", gc=False):
    """The descriptor that comes with this frame is the message, to be read from its beginning."""

    number: int
    attached: bool = True


class MessageNotOpened(msgspec.Struct, frozen=True, array_like=True, tag="message-not-opened", gc=False):
    """It cannot be read: it is ``gone``, or there is trouble that may pass.  ``reason`` is for the log."""

    number: int
    gone: bool
    reason: str


class Update(msgspec.Struct, frozen=True, array_like=True, tag="update", gc=False):
    """The session ends as it should: remove what is marked, and count the rest as seen.

    Without this frame a mailbox is left as it was.
    """

    marked: bytes
    """A bit a message: number 1 is the lowest of the first byte; what is missing at the end is not marked."""


class Updated(msgspec.Struct, frozen=True, array_like=True, tag="updated", gc=False):
    """Of the marked messages ``removed`` are gone, and ``kept`` could not be removed; the conversation is over."""

    removed: int
    kept: int
    reason: str
    """Why the first of those kept was; for the log."""


FromOpener = Hello | OpenMailbox
FromDoorkeeper = MailboxReady | MailboxRefused
FromRoot = Admit
FromReader = Idle
FromSession = Describe | OpenMessage | Update
FromMailbox = Opened | NotOpened | Description | MessageOpened | MessageNotOpened | Updated
