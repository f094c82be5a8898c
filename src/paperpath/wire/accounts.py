"""Questions to `local`'s root half: who is this recipient, and start me a worker for that account."""

import msgspec

from paperpath.wire.frame import Hello

NOBODY = ""
"""The worker of an address whose mail is thrown away: its local part is empty, and it is no mailbox (qmail-lspawn)."""


class Account(msgspec.Struct, frozen=True, array_like=True, gc=False):
    """What an address delivers to, in qmail's terms (users/assign)."""

    user: str
    """The system account that the delivery runs as."""
    home: str
    """Absolute path of the home: of the system account, or of one mailbox under ``state/mail``."""
    dash: bytes
    extension: bytes
    """In its own spelling; any bytes, since it is part of an address."""


class Lookup(msgspec.Struct, frozen=True, array_like=True, tag="lookup", gc=False):
    """Does this address deliver here?  ``address`` is local by routing, virtual prefix already applied."""

    ticket: int
    address: bytes


class Found(msgspec.Struct, frozen=True, array_like=True, tag="found", gc=False):
    """It does.  ``worker`` names the worker that delivers for it: one a system account; or it is ``NOBODY``."""

    ticket: int
    worker: str
    account: Account


class NotFound(msgspec.Struct, frozen=True, array_like=True, tag="not-found", gc=False):
    """No such recipient, for certain."""

    ticket: int


class Unknown(msgspec.Struct, frozen=True, array_like=True, tag="unknown", gc=False):
    """Could not be told just now (a user database is down, a worker could not start): temporary."""

    ticket: int
    reason: str
    ours: bool = False
    """The trouble is this service's own, not the account's."""


class StartWorker(msgspec.Struct, frozen=True, array_like=True, tag="start-worker", gc=False):
    """Start the worker of this name (from ``Found``); taken from `queue` only."""

    ticket: int
    worker: str


class WorkerStarted(msgspec.Struct, frozen=True, array_like=True, tag="worker-started", gc=False):
    """The descriptor that comes with this frame is the conversation with the worker (`wire.delivery`)."""

    ticket: int
    attached: bool = True


FromAsker = Hello | Lookup | StartWorker
FromLocal = Found | NotFound | Unknown | WorkerStarted
