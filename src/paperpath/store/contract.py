"""What the queue asks of its store, whatever engine keeps it.

The law, which every engine keeps and `tests/conformance` checks:

1.  Nothing done inside a transaction is visible or durable before ``commit`` returns; after it returns, all
    of it is on stable storage.
2.  A recipient row exists from the commit that accepts its message to the commit that settles it.
3.  A settled recipient never comes back, and is never claimed again.
4.  What follows from an outcome (a report, forwards) is accepted in the transaction that settles it.
5.  A claim belongs to this opening of the store.  ``open`` voids the claims of the one before and counts
    them: each is a delivery that may have happened without our knowing.
6.  Content is stored once however many messages share it, and lives exactly as long as one message needs it.
7.  A claim takes what is due, oldest due first, and never more groups than it is asked for.
8.  A held message is not claimed; what is under way when it is held may still settle.
9.  After an error from ``commit`` that says the disk lied (`StoreBroken`), the engine refuses everything.

An engine is synchronous and used from one thread; `paperpath.queue.writer` is its only user.
Times are whole seconds since the epoch.
"""

from collections.abc import Sequence
from contextlib import AbstractContextManager
from typing import Protocol

import msgspec

from paperpath.base.terms import MessageTerms, RecipientTerms
from paperpath.wire.control import MessageView


class StoreFull(Exception):
    """No room: the transaction was rolled back, nothing of it is stored, the store is sound."""


class StoreBroken(Exception):
    """The disk or the database failed us; nothing may be acknowledged any more.  Open the store anew."""


class StoreUnusable(Exception):
    """The store cannot be opened (in use, another format, no right to it); the text says what to do."""


class ContentGone(LookupError):
    """A new message was to share the content of one that is not in the queue: removed, perhaps."""


class NewRecipient(msgspec.Struct, frozen=True, array_like=True, gc=False):
    """A recipient as routed."""

    address: bytes
    channel: str
    """``local`` or ``remote``."""
    destination: str
    """What deliveries are counted and limited by: a domain for `remote`, an account's name for `local`."""
    claimed: bool
    """Handed to a delivery agent as soon as this commit is done; a row so marked is born under way."""
    terms: RecipientTerms | None = None


class NewMessage(msgspec.Struct, frozen=True, array_like=True, gc=False):
    """A message to accept."""

    message: int
    """Its id, chosen by the caller, never used before."""
    sender: bytes
    trace: bytes
    content: bytes
    """The content where it is small; empty where ``file`` or ``shares`` is given."""
    size: int
    birth: int
    origin: str
    smtputf8: bool
    recipients: tuple[NewRecipient, ...]
    """Numbered from 0 in this order; at least one."""
    file: str = ""
    """Name, in the store's own content folder, of a synced file that holds the content."""
    shares: int = 0
    """Id of a message, unfinished in this very transaction's view, whose content this one shares.

    That message's content may itself be shared, and may be a file.
    """
    terms: MessageTerms | None = None
    due: int = 0
    """When its recipients become due; 0: at its birth."""


class Claimed(msgspec.Struct, frozen=True, array_like=True, gc=False):
    """Recipients of one message at one destination, now under way."""

    message: int
    sender: bytes
    trace: bytes
    content: bytes
    size: int
    birth: int
    smtputf8: bool
    file: str
    channel: str
    destination: str
    recipients: tuple["ClaimedRecipient", ...]
    terms: MessageTerms | None = None


class ClaimedRecipient(msgspec.Struct, frozen=True, array_like=True, gc=False):
    """One of them."""

    number: int
    address: bytes
    attempts: int
    """Attempts already made that were deferred."""
    terms: RecipientTerms | None = None


class Defer(msgspec.Struct, frozen=True, array_like=True, gc=False):
    """Settle to wait: the recipient becomes due again at ``due``."""

    message: int
    number: int
    due: int
    last: str
    """What the attempt came to, for `paperpath queue why`."""
    counts: bool = True
    """False where no attempt was made (the agent was not there): the attempt counter stays."""
    terms: RecipientTerms | None = None
    """Where given, the recipient's terms from now on."""


class Finish(msgspec.Struct, frozen=True, array_like=True, gc=False):
    """Settle for good: delivered, failed or discarded; the row goes, and with the last row the message."""

    message: int
    number: int


class DestinationDue(msgspec.Struct, frozen=True, array_like=True, gc=False):
    """A destination with unclaimed recipients, and when the first of them is due."""

    channel: str
    destination: str
    due: int


class Interrupted(msgspec.Struct, frozen=True, array_like=True, gc=False):
    """A delivery that was under way when the process before this one ended."""

    message: int
    number: int
    address: bytes
    destination: str


class Totals(msgspec.Struct, frozen=True, array_like=True, gc=False):
    """Counts over the whole store."""

    messages: int
    recipients: int
    held: int
    """Messages held."""
    under_way: int
    """Recipients claimed."""
    due: int
    """Recipients that could be claimed now."""
    deferred: int
    """Recipients that wait for a later moment."""
    oldest_birth: int
    """Birth of the message with the lowest id; 0 where the store is empty."""
    content_bytes: int


class Store(Protocol):
    """The contract.  Every method but ``open``, ``close``, ``transaction`` is called inside a transaction."""

    content_folder: str
    """Where files named by ``NewMessage.file`` and ``Claimed.file`` lie."""

    interrupted: int
    """How many claims the last ``open`` voided."""

    def open(self, now: int = 0) -> tuple[Interrupted, ...]:
        """Open or create; void the claims of the opening before, due again at once; return at most 1,000.

        Each voided claim adds a line to its message's history, dated ``now``.  Files in the content folder
        that no message names are removed.  Raises StoreUnusable, StoreFull, StoreBroken.
        """

    def close(self) -> None:
        """Close in order; claims that are still open count as interrupted at the next ``open``."""

    def transaction(self) -> AbstractContextManager[None]:
        """Group what is done inside into one commit; an exception inside rolls all of it back and goes on.

        Raises StoreFull or StoreBroken from its end.
        """

    def rest(self) -> bool:
        """Use a moment without work for what need not be done while others wait; called outside transactions.

        Return whether another such moment could be used.  Raises StoreBroken.
        """

    def accept(self, messages: Sequence[NewMessage]) -> None:
        """Store messages with their recipients, due at their birth or at the time that they name.

        A message may share the content of another in the same call that stands before it.  A file named here
        belongs to the store once the commit has returned, and to the caller until then.  Raises ContentGone.
        """

    def claim(self, channel: str, destination: str, now: int, most: int, per_group: int) -> list[Claimed]:
        """Take due recipients of one destination, oldest due first, as up to ``most`` groups.

        A group holds recipients of one message, ``per_group`` at most, and a single one where the sender asks
        for VERP; a message with more comes as several groups.  Fewer than ``most`` groups mean that nothing else
        is due there.
        """

    def due_destinations(
        self, now: int, most: int, channels: frozenset[str], skip: frozenset[tuple[str, str]]
    ) -> list[DestinationDue]:
        """Return up to ``most`` destinations of ``channels``, less ``skip``, that have something due, longest first."""

    def next_due(self, now: int) -> int | None:
        """Return when the next destination with nothing due at ``now`` will have; None where there is none.

        Destinations that have something due are `due_destinations`' to name.
        """

    def settle(self, defers: Sequence[Defer], finishes: Sequence[Finish], now: int = 0) -> list[int]:
        """Settle claimed recipients; return the ids of messages that this finished.

        Deferrals go into the history, dated ``now``; recipients of one message with the same ``last`` share a
        line. A row that is gone (removed by the operator meanwhile) is passed over.  Whatever the outcomes
        bring forth is accepted *before* this call in the same transaction, so that shared content lives on.
        """

    def hold(self, message: int, now: int, note: str) -> bool:
        """Keep a message from being claimed; False where there is none."""

    def release(self, message: int, now: int, note: str) -> bool:
        """Undo ``hold``."""

    def retry(self, message: int, now: int, note: str) -> bool:
        """Make every waiting recipient of a message due now (of a held one: as soon as it is released).

        One that its sender has held until later (``MessageTerms.hold_until``) is due then.
        """

    def remove(self, message: int) -> bool:
        """Take a message out for good, whatever its state."""

    def last_id(self) -> int:
        """Return the highest id of a message here; 0 where there is none."""

    def get(self, message: int, recipients: int) -> MessageView | None:
        """Look at one message with up to so many of its recipients, and its history."""

    def content(self, message: int, most: int) -> tuple[bytes, bytes, int] | None:
        """Return trace, the first ``most`` bytes of content, and its whole size; None: no such message."""

    def page(
        self, after: int, most: int, sender: bytes, recipient: bytes, destination: str, held_only: bool
    ) -> tuple[list[MessageView], bool]:
        """List messages with ids above ``after``, oldest first; the flag tells whether more follow.

        ``recipient`` and ``destination`` must be found in the same recipient.  An empty filter matches all.
        """

    def messages_after(self, after: int, most: int) -> list[int]:
        """Return ids above ``after`` in order: for operations on the whole queue, step by step."""

    def totals(self, now: int) -> Totals:
        """Count everything."""
