"""`queue` to a delivery agent (`remote`, or a worker of `local`): do this; and back: this came of it, a recipient."""

import msgspec

from paperpath.base.outcome import Outcome
from paperpath.base.terms import MessageTerms, RecipientTerms
from paperpath.wire.accounts import Account
from paperpath.wire.frame import Hello


class Target(msgspec.Struct, frozen=True, array_like=True, gc=False):
    """One recipient of a job."""

    number: int
    """The recipient's place in its message; reports use it."""
    address: bytes
    account: Account | None = None
    """For a local delivery, what `local` found for the address."""
    terms: RecipientTerms | None = None


class Job(msgspec.Struct, frozen=True, array_like=True, tag="job", gc=False):
    """Deliver one message to some of its recipients, all at one destination.

    The agent answers with one ``Report`` that has an outcome for every target.  If it dies first, all are
    deferred.
    """

    job: int
    message: int
    sender: bytes
    """Expanded where VERP was asked for; a job then has one target."""
    targets: tuple[Target, ...]
    trace: bytes
    content: bytes
    """Lines ending in LF; empty where ``attached``."""
    size: int
    destination: str
    """For `remote`: the domain, in lower case, whose exchangers take the mail."""
    route: str
    """For `remote`: the fixed next hop from ``[routes]`` (``smtp://host:port``), or empty for MX look-up."""
    smtputf8: bool = False
    attached: bool = False
    terms: MessageTerms | None = None
    """What the sender asked for, to be passed on to a server that takes it."""


class Forward(msgspec.Struct, frozen=True, array_like=True, gc=False):
    """A message that a delivery gives birth to, committed with the outcome: same content, new envelope and trace."""

    sender: bytes
    recipients: tuple[bytes, ...]
    trace: bytes
    """Lines to put before the content instead of the job's own."""
    whole: bool = False
    """Nothing else was done with the message: what came for the target goes on to these recipients."""


class Result(msgspec.Struct, frozen=True, array_like=True, gc=False):
    """What became of one target."""

    number: int
    outcome: Outcome
    forwards: tuple[Forward, ...] = ()


class Report(msgspec.Struct, frozen=True, array_like=True, tag="report", gc=False):
    """Answer to one job.  A target that is missing here counts as deferred; of two results for one the first counts."""

    job: int
    results: tuple[Result, ...]


FromQueue = Job
FromAgent = Hello | Report
