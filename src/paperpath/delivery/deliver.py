"""All that is to be delivered now: the quick together, and the rest handed back for threads that may wait.

Quick is nothing, forwards, one Maildir, or both: the Maildirs of all share one batch and its syncs.  Programs,
mboxes and several Maildirs for one message have an order to keep and others to wait for.
"""

from collections.abc import Callable, Sequence
from functools import partial

from paperpath.base.outcome import Delivered
from paperpath.delivery import maildir
from paperpath.delivery.carry_out import Tools, carry_out, quickly
from paperpath.delivery.errand import Done, Errand, Refused
from paperpath.delivery.plan import Plan

Later = Callable[[], Done]
"""A delivery that has to be waited for: call it in a thread."""


def deliver_all(
    errands: Sequence[Errand], make_plan: Callable[[Errand], Plan], tools: Tools
) -> list[Done | Later | Exception]:
    """Deliver all errands that are quick; return what became of each, or how to go on with it.

    One's failure is no other's.  An exception is one that nobody expected: a fault of ours.
    """
    results: list[Done | Later | Exception] = []
    places: list[int] = []
    deliveries: list[maildir.Delivery] = []
    for errand in errands:
        result, delivery = _begin(errand, make_plan, tools)
        if delivery is not None:
            places.append(len(results))
            deliveries.append(delivery)
        results.append(result)
    for place, outcome in zip(places, maildir.deliver(deliveries, tools.next_name), strict=True):
        if isinstance(outcome, Exception):
            results[place] = outcome
        elif not isinstance(outcome, Delivered):
            results[place] = Done(outcome)
    return results


def _begin(
    errand: Errand, make_plan: Callable[[Errand], Plan], tools: Tools
) -> tuple[Done | Later | Exception, maildir.Delivery | None]:
    """Return what an errand comes to, and what must become durable for that to be true."""
    try:
        plan = make_plan(errand)
        if not plan.is_quick:
            return partial(carry_out, plan, tools), None
        return quickly(plan, tools)
    except Refused as refused:
        return Done(refused.outcome), None
    except Exception as error:
        return error, None
