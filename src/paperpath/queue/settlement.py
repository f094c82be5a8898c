"""From what an agent reported to what is written: the outcome of each recipient and all that follows from it.  Pure.

Whatever the agent left out is deferred, whatever it reported twice or out of place is passed over: an agent can delay
mail by lying, and nothing else.
"""

from collections.abc import Iterable, Sequence

import msgspec

from paperpath.base.address import split
from paperpath.base.domains import suffixes
from paperpath.base.outcome import Deferred, Failed, Outcome
from paperpath.config.routing import RoutingTable
from paperpath.message.report import Failure, Original, failure_report, report_envelope
from paperpath.queue.jobs import Consignment, Work
from paperpath.queue.retry import next_attempt
from paperpath.store.contract import ClaimedRecipient, Defer, Finish
from paperpath.wire.delivery import Forward, Result

_NOTHING_SAID = Deferred("the delivery agent said nothing about this recipient", code="3.0")


class Ending(msgspec.Struct, frozen=True):
    """One recipient's outcome with the follow-up that was decided."""

    recipient: ClaimedRecipient
    outcome: Outcome
    due: int = 0
    """Where deferred: when it is tried again."""


class Settlement(msgspec.Struct, frozen=True):
    """What one report comes to."""

    endings: tuple[Ending, ...]
    forwards: tuple[Forward, ...] = ()
    defers: tuple[Defer, ...] = ()
    finishes: tuple[Finish, ...] = ()
    failures: tuple[Ending, ...] = ()
    """Those of ``endings`` that the sender is told about."""


def settle_results(
    work: Work, results: Sequence[Result], lifetime_s: int, began: int, now: int, chance: float
) -> Settlement:
    """Decide what one job's results come to.

    A deferral becomes a failure where the attempt ``began`` after the message's lifetime: the last try was made
    (reference 10.3).
    """
    by_number = {result.number: result for result in reversed(results)}
    expired = began > work.consignment.birth + lifetime_s
    endings: list[Ending] = []
    forwards: list[Forward] = []
    for recipient in work.recipients:
        result = by_number.get(recipient.number)
        outcome = _NOTHING_SAID if result is None else result.outcome
        if result is not None and not isinstance(outcome, Deferred):
            forwards.extend(result.forwards)
        if isinstance(outcome, Deferred) and expired:
            text = f"{outcome.text} -- it was tried for {lifetime_s // 3600} hours and is given up now"
            outcome = Failed(text, outcome.host, "4.7")
        due = next_attempt(work.key[0], work.consignment.birth, now, chance) if isinstance(outcome, Deferred) else 0
        endings.append(Ending(recipient, outcome, due))
    return _settlement(work.consignment.message, endings, forwards)


def put_off(work: Work, due: int, reason: str, *, counts: bool) -> Settlement:
    """Decide that a whole job is tried again at ``due``; ``counts`` tells whether an attempt may have been made."""
    outcome = Deferred(reason, code="3.0")
    endings = [Ending(recipient, outcome, due) for recipient in work.recipients]
    return _settlement(work.consignment.message, endings, (), counts=counts)


def _settlement(
    message: int, endings: Sequence[Ending], forwards: Iterable[Forward], *, counts: bool = True
) -> Settlement:
    defers = tuple(
        Defer(message, ending.recipient.number, ending.due, f"{ending.outcome.status} {ending.outcome.text}", counts)
        for ending in endings
        if isinstance(ending.outcome, Deferred)
    )
    finishes = tuple(
        Finish(message, ending.recipient.number) for ending in endings if not isinstance(ending.outcome, Deferred)
    )
    failures = tuple(ending for ending in endings if isinstance(ending.outcome, Failed))
    return Settlement(tuple(endings), tuple(forwards), defers, finishes, failures)


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
    """Return a recipient as its sender knows it: the prefix that a virtual domain put before it removed (11.1)."""
    domain = split(address)[1].lower()
    for key in (*suffixes(domain), b""):
        account = table.virtual.get(key)
        if account and address.startswith(account + b"-"):
            return address[len(account) + 1 :]
    return address
