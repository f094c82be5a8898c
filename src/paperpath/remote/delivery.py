"""One job under way: the message, the recipients, and the one report that is owed."""

import os
from collections.abc import Callable, Sequence

from paperpath.base.outcome import Outcome
from paperpath.base.terms import RecipientTerms
from paperpath.protocol.smtp_client_events import Transaction
from paperpath.system.clock import now
from paperpath.wire.delivery import Job, Report, Result, Target

TLS_REQUIRED = "tls! "
"""Begins the key of what goes only over TLS that is proven; no domain and no route does."""

BLOCK_BYTES = 128 * 1024
"""Read and sent at a time: large enough that calls do not matter, small enough to hold one a connection."""


class ContentError(Exception):
    """The content that came with the job cannot be read in full: our own trouble, never the recipient's."""


def _terms_of(targets: Sequence[Target]) -> tuple[RecipientTerms | None, ...]:
    """Return what is asked for recipients; nothing where nobody asks, which is the rule."""
    terms = tuple([target.terms for target in targets])
    return terms if any(terms) else ()


class Delivery:
    """Owns the job's descriptor until ``finish`` or ``drop``; one of them is called, once."""

    __slots__ = ("_descriptor", "_offset", "_report", "job")

    def __init__(self, job: Job, descriptor: int | None, report: Callable[[Report], None]) -> None:
        self.job = job
        self._descriptor = descriptor
        self._offset = 0
        self._report = report

    @property
    def key(self) -> str:
        """What connections may be shared by: the fixed next hop, else the domain; and whether TLS must be proven."""
        place = self.job.route or self.job.destination
        return TLS_REQUIRED + place if self._is_tls_required else place

    @property
    def _is_tls_required(self) -> bool:
        """RFC 8689 4.2.1, 5: a report on such a message is no reason to lose the report."""
        return self.job.terms is not None and self.job.terms.require_tls and bool(self.job.sender)

    def transaction(self) -> Transaction:
        """Return what to send."""
        job = self.job
        whole = None if self._descriptor is not None else job.trace + job.content
        return Transaction(
            sender=job.sender,
            recipients=tuple([target.address for target in job.targets]),
            content=whole,
            size=len(job.trace) + job.size,
            # A file is not read twice only to learn that it is ASCII; declaring 8BITMIME then is allowed (RFC 6152).
            eight_bit=whole is None or not whole.isascii(),
            smtputf8=job.smtputf8,
            terms=job.terms,
            recipient_terms=_terms_of(job.targets),
            left_s=job.terms.deliver_by - int(now()) if job.terms is not None else 0,
        )

    def read_block(self) -> bytes:
        """Return the next block of the content, nothing at its end.  Raises ContentError."""
        assert self._descriptor is not None
        try:
            # By offset: the queue may have given the same open file to another job too.
            block = os.pread(self._descriptor, BLOCK_BYTES, self._offset)
        except OSError as error:
            raise ContentError(f"the content cannot be read: {error.strerror}") from None
        self._offset += len(block)
        if not block and self._offset != self.job.size:
            raise ContentError(f"the content has {self._offset} bytes instead of {self.job.size}")
        return block

    def rewind(self) -> None:
        """Begin the content again."""
        self._offset = 0

    def finish(self, outcomes: Sequence[Outcome]) -> None:
        """Report one outcome for each target, in their order."""
        self._close()
        numbers = [target.number for target in self.job.targets]
        results = tuple([Result(number, outcome) for number, outcome in zip(numbers, outcomes, strict=True)])
        self._report(Report(self.job.job, results))

    def drop(self) -> None:
        """Report nothing: the queue defers what it has no report of."""
        self._close()

    def _close(self) -> None:
        if self._descriptor is not None:
            os.close(self._descriptor)
            self._descriptor = None
