"""From what an agent reported to what is written: the outcome of each recipient and all that follows from it.  Pure.

Whatever the agent left out is deferred, whatever it reported twice or out of place is passed over.  An agent that lies
can lose the mail it was given, and nothing else: it names no recipient that it does not have, and only a local
delivery brings forth mail, within the bounds of any other.
"""

from collections.abc import Sequence

import msgspec

from paperpath.base.outcome import Deferred, Failed, Outcome
from paperpath.config.routing import RoutingTable, route
from paperpath.message.report import Failure, Original, failure_report, report_envelope
from paperpath.queue.envelope import check_envelope
from paperpath.queue.jobs import Consignment, Work
from paperpath.queue.retry import next_attempt
from paperpath.store.contract import ClaimedRecipient, Defer, Finish
from paperpath.wire.delivery import Forward, Result

_NOTHING_SAID = Deferred("the delivery agent said nothing about this recipient", code="3.0", ours=True)


class Ending(msgspec.Struct, frozen=True):
    """One recipient's outcome with what was decided about it."""

    recipient: ClaimedRecipient
    outcome: Outcome
    due: int = 0
    """Where deferred: when it is tried again."""
    forwards: tuple[Forward, ...] = ()


class Settlement(msgspec.Struct, frozen=True):
    """What one report comes to."""

    message: int
    endings: tuple[Ending, ...]

    @property
    def forwards(self) -> tuple[Forward, ...]:
        """The messages that the deliveries bring forth."""
        return tuple(forward for ending in self.endings for forward in ending.forwards)

    @property
    def failures(self) -> tuple[Ending, ...]:
        """Those that the sender is told about."""
        return tuple(ending for ending in self.endings if isinstance(ending.outcome, Failed))

    @property
    def defers(self) -> tuple[Defer, ...]:
        """What the store is told of those that wait."""
        return tuple(
            Defer(self.message, ending.recipient.number, ending.due, f"{ending.outcome.status} {ending.outcome.text}")
            for ending in self.endings
            if isinstance(ending.outcome, Deferred)
        )

    @property
    def finishes(self) -> tuple[Finish, ...]:
        """What the store is told of those that have ended."""
        return tuple(
            Finish(self.message, ending.recipient.number)
            for ending in self.endings
            if not isinstance(ending.outcome, Deferred)
        )


def settle_results(
    work: Work, results: Sequence[Result], lifetime_s: int, began: int, now: int, chance: float
) -> Settlement:
    """Decide what one job's results come to.

    A deferral becomes a failure where the attempt ``began`` after the message's lifetime: the last try was made
    (reference 10.3).  One that is our own doing never does.
    """
    by_number = {result.number: result for result in reversed(results)}
    birth = work.consignment.birth
    expired = began > birth + lifetime_s
    endings: list[Ending] = []
    for recipient in work.recipients:
        outcome, forwards = _believe(by_number.get(recipient.number), work.key[0])
        if expired and isinstance(outcome, Deferred) and not outcome.ours:
            text = f"{outcome.text} -- it was tried for {lifetime_s // 3600} hours and is given up now"
            outcome = Failed(text, outcome.host, "4.7")
        due = next_attempt(work.key[0], birth, now, chance) if isinstance(outcome, Deferred) else 0
        endings.append(Ending(recipient, outcome, due, forwards))
    return Settlement(work.consignment.message, tuple(endings))


def _believe(result: Result | None, channel: str) -> tuple[Outcome, tuple[Forward, ...]]:
    """Return what an agent says of one recipient, as far as it is possible: only a local delivery forwards."""
    if result is None:
        return _NOTHING_SAID, ()
    if isinstance(result.outcome, Deferred) or not result.forwards:
        return result.outcome, ()
    try:
        if channel != "local":
            raise ValueError("this agent has nothing to forward")
        for forward in result.forwards:
            check_envelope(forward.sender, forward.recipients, forward.trace)
    except ValueError as error:
        return Deferred(f"the delivery agent forwards what cannot be: {error}", code="3.0", ours=True), ()
    return result.outcome, result.forwards


def put_off(work: Work, due: int, reason: str) -> Settlement:
    """Decide that a whole job is tried again at ``due``, because of us: whether it was delivered is not known."""
    outcome = Deferred(reason, code="3.0", ours=True)
    endings = tuple(Ending(recipient, outcome, due) for recipient in work.recipients)
    return Settlement(work.consignment.message, endings)


def without_follow_up(settlement: Settlement, due: int, reason: str) -> Settlement:
    """Keep what needs nothing to follow; put off the rest, because what should follow could not be made."""
    outcome = Deferred(reason, code="3.0", ours=True)
    endings = tuple(
        Ending(ending.recipient, outcome, due) if ending.forwards or isinstance(ending.outcome, Failed) else ending
        for ending in settlement.endings
    )
    return Settlement(settlement.message, endings)


class Report(msgspec.Struct, frozen=True):
    """A failure report, ready to be admitted."""

    sender: bytes
    recipient: bytes
    content: bytes


def compose_report(
    origin: Consignment,
    content: bytes,
    failures: Sequence[Ending],
    *,
    hostname: bytes,
    reporter: bytes,
    double_to: bytes,
    table: RoutingTable,
    now: int,
    token: str,
) -> Report | None:
    """Compose the report on ``failures``; None for the failure of a double bounce, which nobody is told about.

    ``content`` is the original or at least its beginning with the whole header.
    """
    envelope = report_envelope(origin.sender, double_to, hostname)
    if envelope is None:
        return None
    sender, recipient = envelope
    body = failure_report(
        hostname=hostname,
        reporter=reporter,
        recipient=recipient,
        original=Original(
            sender=origin.sender,
            trace=origin.trace,
            content=content,
            complete=len(content) == origin.size,
            birth=origin.birth,
        ),
        failures=[_failure(ending, table) for ending in failures],
        double=sender != b"",
        now=now,
        token=token,
    )
    return Report(sender, recipient, body)


def _failure(ending: Ending, table: RoutingTable) -> Failure:
    outcome = ending.outcome
    assert isinstance(outcome, Failed)
    return Failure(
        address=without_virtual_prefix(ending.recipient.address, table),
        status=outcome.status,
        text=outcome.text,
        host=outcome.host,
        diagnostic=outcome.text if outcome.host else "",
    )


def without_virtual_prefix(address: bytes, table: RoutingTable) -> bytes:
    """Return a recipient as its sender knows it: without the prefix that routing put before it (reference 11.1)."""
    at = address.find(b"-")
    while at >= 0:
        original = address[at + 1 :]
        found = route(table, original) if original else None
        if found is not None and found.address == address:
            return original
        at = address.find(b"-", at + 1)
    return address
