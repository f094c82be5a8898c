"""All that is to be delivered now: the quick together, and the rest handed back for threads that may wait.

Quick is nothing, forwards, one Maildir, or both: the Maildirs of all share one batch and its syncs.  Programs,
mboxes and several Maildirs for one message have an order to keep and others to wait for.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial

from paperpath.base.outcome import Delivered
from paperpath.delivery import maildir
from paperpath.delivery.carry_out import Tools, carry_out, quickly
from paperpath.delivery.checks import check_loop
from paperpath.delivery.errand import Done, Errand, Message, Refused
from paperpath.delivery.plan import Plan
from paperpath.wire.accounts import Account

Later = Callable[[], Done]
"""A delivery that has to be waited for: call it in a thread."""

MakePlan = Callable[[Account], Plan]
_Begun = tuple[Done | Later | Exception, maildir.Delivery | None]
_Begin = Callable[[Message], _Begun]

_ONE_MAILDIR = Done(maildir.DELIVERED)


def deliver_all(errands: Sequence[Errand], make_plan: MakePlan, tools: Tools) -> list[Done | Later | Exception]:
    """Deliver all errands that are quick; return what became of each, or how to go on with it.

    One's failure is no other's.  An exception is one that nobody expected: a fault of ours.
    """
    results: list[Done | Later | Exception] = []
    places: list[int] = []
    deliveries: list[maildir.Delivery] = []
    ways: dict[Account, _Begin] = {}
    for errand in errands:
        way = ways.get(errand.account)
        if way is None:
            way = ways[errand.account] = _way(errand.account, make_plan, tools)
        result, delivery = _begin(way, errand.message)
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


def _way(account: Account, make_plan: MakePlan, tools: Tools) -> _Begin:
    """Return what to do with each message for an account: it comes to a result, and to what must become durable
    for that to be true."""
    try:
        plan = make_plan(account)
        if folder := plan.only_maildir:
            counted = plan.counted
            return lambda message: (_ONE_MAILDIR, maildir.Delivery(folder, message, counted))
        if plan.is_quick:
            return lambda message: quickly(plan, message, tools)
        return lambda message: (partial(carry_out, plan, message, tools), None)
    except Refused as refused:
        return _Without(Done(refused.outcome))
    except Exception as error:
        return _Without(error)


@dataclass(frozen=True, slots=True)
class _Without:
    """The way of all messages for an account that there is no plan for."""

    result: Done | Exception

    def __call__(self, _message: Message) -> _Begun:
        return self.result, None


def _begin(way: _Begin, message: Message) -> _Begun:
    try:
        if not isinstance(way, _Without):
            check_loop(message)
        return way(message)
    except Refused as refused:
        return Done(refused.outcome), None
    except Exception as error:
        return error, None
