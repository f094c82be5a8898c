"""From what an agent reported to what is written: the outcome of each recipient and all that follows from it.  Pure.

Whatever the agent left out is deferred, whatever it reported twice or out of place is passed over.  An agent that lies
can lose the mail it was given, and nothing else: it names no recipient that it does not have, and only a local
delivery brings forth mail, within the bounds of any other.
"""

from collections.abc import Sequence

import msgspec

from paperpath.base.outcome import Deferred, Failed, Outcome
from paperpath.base.terms import MessageTerms
from paperpath.config.routing import RoutingTable, route
from paperpath.message.report import Original, Reported, delivery_report, report_envelope
from paperpath.queue.endings import Ending, Settlement
from paperpath.queue.envelope import check_envelope
from paperpath.queue.jobs import Consignment, Work
from paperpath.queue.notices import is_termed, with_notice
from paperpath.queue.retry import next_attempt
from paperpath.wire.delivery import Forward, Result

_NOTHING_SAID = Deferred("the delivery agent said nothing about this recipient", code="3.0", ours=True)
_TOO_LATE = "it was to be returned if it was not delivered by a time that is past now"


def settle_results(
    work: Work, results: Sequence[Result], lifetime_s: int, began: int, now: int, chance: float
) -> Settlement:
    """Decide what one job's results come to.

    A deferral becomes a failure where the attempt ``began`` after the message's lifetime: the last try was made
    (reference 10.3).  One that is our own doing never does.
    """
    by_number = {result.number: result for result in reversed(results)}
    released = work.consignment.released
    expired = began > released + lifetime_s
    termed = is_termed(work)
    endings: list[Ending] = []
    for recipient in work.recipients:
        outcome, forwards = _believe(by_number.get(recipient.number), work.key[0])
        if expired and isinstance(outcome, Deferred) and not outcome.ours:
            text = f"{outcome.text} -- it was tried for {lifetime_s // 3600} hours and is given up now"
            outcome = Failed(text, outcome.host, "4.7")
        due = next_attempt(work.key[0], released, now, chance) if isinstance(outcome, Deferred) else 0
        ending = Ending(recipient, outcome, due, forwards)
        endings.append(with_notice(work, in_time(work, ending, now), now) if termed else ending)
    return Settlement(work.consignment.message, tuple(endings))


def in_time(work: Work, ending: Ending, now: int) -> Ending:
    """Hold a deferral to the time that the message was to be delivered by (RFC 2852 4.1.3).

    Once it is over, the recipient fails where that was asked for; until then, it is looked at again at that time.
    """
    terms, outcome = work.consignment.terms, ending.outcome
    if terms is None or not terms.by_mode or not isinstance(outcome, Deferred):
        return ending
    if now < terms.deliver_by:
        return msgspec.structs.replace(ending, due=min(ending.due, terms.deliver_by))
    if terms.by_mode == "R" and not outcome.ours:
        return msgspec.structs.replace(ending, outcome=Failed(f"{outcome.text} -- {_TOO_LATE}", outcome.host, "4.7"))
    return ending


def too_late(work: Work, now: int) -> Settlement | None:
    """Return that a job fails because it was to be delivered by now, or else returned; None where it was not."""
    terms = work.consignment.terms
    if terms is None or terms.by_mode != "R" or now < terms.deliver_by:
        return None
    outcome = Failed(_TOO_LATE, code="4.7")
    return Settlement(work.consignment.message, tuple(Ending(recipient, outcome) for recipient in work.recipients))


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
        Ending(ending.recipient, outcome, due)
        if ending.forwards or isinstance(ending.outcome, Failed)
        else msgspec.structs.replace(ending, action="", terms=None)
        for ending in settlement.endings
    )
    return Settlement(settlement.message, endings)


class Report(msgspec.Struct, frozen=True):
    """A report, ready to be admitted."""

    sender: bytes
    recipient: bytes
    content: bytes


def compose_report(
    origin: Consignment,
    content: bytes,
    endings: Sequence[Ending],
    *,
    hostname: bytes,
    reporter: bytes,
    double_to: bytes,
    table: RoutingTable,
    lifetime_s: int,
    now: int,
    token: str,
) -> Report | None:
    """Compose the report on ``endings``, all failures, all delays or all successes.

    None for the failure of a double bounce, which nobody is told about.  ``content`` is the original or at least its
    beginning with the whole header.
    """
    envelope = report_envelope(origin.sender, double_to, hostname)
    if envelope is None:
        return None
    sender, recipient = envelope
    given_up = origin.released + lifetime_s
    body = delivery_report(
        hostname=hostname,
        reporter=reporter,
        recipient=recipient,
        original=_original(origin, content),
        reported=[_reported(ending, table, given_up) for ending in endings],
        double=sender != b"",
        now=now,
        token=token,
    )
    return Report(sender, recipient, body)


def _original(origin: Consignment, content: bytes) -> Original:
    terms = origin.terms or MessageTerms()
    return Original(
        sender=origin.sender,
        trace=origin.trace,
        content=content,
        complete=len(content) == origin.size,
        birth=origin.birth,
        # RFC 8689 5: content that was to travel under TLS only does not come back.
        header_only=terms.returns == "HDRS" or terms.require_tls,
        envelope_id=terms.envelope_id,
        deliver_by=terms.deliver_by if terms.by_mode else 0,
        hold=terms.hold,
    )


def _reported(ending: Ending, table: RoutingTable, given_up: int) -> Reported:
    outcome, terms = ending.outcome, ending.recipient.terms
    return Reported(
        address=without_virtual_prefix(ending.recipient.address, table),
        action="failed" if isinstance(outcome, Failed) else ending.action,
        status=ending.status or outcome.status,
        text=outcome.text,
        host=outcome.host,
        diagnostic=outcome.text if outcome.host else "",
        original=b"" if terms is None else terms.original,
        retried_until=given_up if ending.action == "delayed" else 0,
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
