"""Which reports beside those of failure an outcome owes the sender, and what forwards inherit.  Pure.

RFC 3461 5.2 says what follows from NOTIFY, RFC 2852 4.1 what from a time to deliver by.  Mail that is itself a report
brings forth no such reports.
"""

import msgspec

from paperpath.base.address import is_bounce_sender
from paperpath.base.outcome import Deferred, Delivered
from paperpath.base.terms import (
    NEVER,
    NOTHING_ASKED,
    MessageTerms,
    RecipientTerms,
    is_never,
    is_original,
    wants_delay,
    wants_success,
)
from paperpath.base.xtext import encode_xtext
from paperpath.queue.endings import Ending
from paperpath.queue.jobs import Work
from paperpath.wire.delivery import Forward

DELAY_AFTER_S = 4 * 3600
"""Age at which a sender who asked for it hears that a message still waits: nothing that mends itself within minutes,
such as greylisting or a restart, takes so long, and a working day is left to do something about it.  Once only."""


def is_termed(work: Work) -> bool:
    """Tell whether anybody asked for anything; if not, there is nothing to do here."""
    if work.consignment.terms is not None:
        return True
    for recipient in work.recipients:  # noqa: SIM110 - half the price of a generator, for every job
        if recipient.terms is not None:
            return True
    return False


def with_notice(work: Work, ending: Ending, now: int) -> Ending:
    """Return an ending with the report, as RFC 3464 2.3.3 calls it, that it owes beside one of failure."""
    if is_bounce_sender(work.consignment.sender):
        return ending
    if isinstance(ending.outcome, Delivered):
        return msgspec.structs.replace(ending, action=_success(work, ending, ending.outcome, now))
    if isinstance(ending.outcome, Deferred):
        return _delay(work, ending, now)
    return ending


def _success(work: Work, ending: Ending, outcome: Delivered, now: int) -> str:
    terms = ending.recipient.terms
    if work.key[0] == "remote":
        return "relayed" if _owes_relayed(work.consignment.terms, terms, outcome, now) else ""
    if not wants_success(terms):
        return ""
    if not ending.forwards or is_list(work, ending):
        return "delivered"
    return "" if _is_alias(ending) else "expanded"


def _owes_relayed(asked: MessageTerms | None, terms: RecipientTerms | None, outcome: Delivered, now: int) -> bool:
    """RFC 3461 5.2.2, for peers that do not report themselves; RFC 2852 4.1.4, for those that know no deadlines."""
    if wants_success(terms) and not outcome.takes_dsn:
        return True
    if asked is None or not asked.by_mode or is_never(terms):
        return False
    in_time = now < asked.deliver_by
    return asked.by_trace or (asked.by_mode == "N" and in_time and not outcome.takes_deliver_by)


def _delay(work: Work, ending: Ending, now: int) -> Ending:
    """Once each: it takes long (RFC 3461 5.2.5), and it is late (RFC 2852 4.1.3)."""
    asked, terms = work.consignment.terms, ending.recipient.terms or NOTHING_ASKED
    is_late = asked is not None and asked.by_mode == "N" and now >= asked.deliver_by
    if is_late and not terms.late_told and (not terms.notify or wants_delay(terms)):
        told = msgspec.structs.replace(terms, late_told=True, delay_told=True)
        return msgspec.structs.replace(ending, action="delayed", terms=told, status="4.4.7")
    if wants_delay(terms) and not terms.delay_told and now - work.consignment.released >= DELAY_AFTER_S:
        told = msgspec.structs.replace(terms, delay_told=True)
        return msgspec.structs.replace(ending, action="delayed", terms=told)
    return ending


def is_list(work: Work, ending: Ending) -> bool:
    """Tell a list from an alias (RFC 3461 5.2.7): its forwards have another sender, who gets the reports on them."""
    return any(forward.sender != work.sender for forward in ending.forwards)


def _is_alias(ending: Ending) -> bool:
    """Tell whether the message goes on to one address, and nowhere else."""
    return len(ending.forwards) == 1 and ending.forwards[0].whole and len(ending.forwards[0].recipients) == 1


def forwarded(
    work: Work, ending: Ending, forward: Forward, address: bytes
) -> tuple[MessageTerms | None, dict[int, RecipientTerms]]:
    """Return the terms that a forward inherits (RFC 3461 5.2.7, RFC 8689 4.1, RFC 6710 4.4).

    ``address`` is the recipient as its sender knows it.
    """
    asked, terms = work.consignment.terms, ending.recipient.terms
    if forward.sender != work.sender:
        return inherited(asked), {}
    if asked is not None:
        asked = msgspec.structs.replace(asked, hold="", hold_until=0)
    if terms is None:
        return asked, {}
    original = terms.original or b"rfc822;" + encode_xtext(address)
    notify = terms.notify if _is_alias(ending) else _without_success(terms.notify)
    passed_on = RecipientTerms(notify, original if is_original(original) else b"")
    return asked, dict.fromkeys(range(len(forward.recipients)), passed_on)


def inherited(asked: MessageTerms | None) -> MessageTerms | None:
    """Return what holds for a message of our own about this one: how it must travel, and how urgent it is."""
    if asked is None or not (asked.require_tls or asked.priority):
        return None
    return MessageTerms(require_tls=asked.require_tls, priority=asked.priority)


def _without_success(notify: str) -> str:
    """RFC 3461 5.2.7.3: who wanted to hear of success alone must still not hear of a failure."""
    if "SUCCESS" not in notify:
        return notify
    return ",".join(word for word in notify.split(",") if word != "SUCCESS") or NEVER
