from typing import Any

import pytest

from paperpath.base.outcome import Deferred, Delivered, Failed
from paperpath.config.routing import RoutingTable, route
from paperpath.message.report import ORIGINAL_MOST_BYTES
from paperpath.queue.endings import Ending, Settlement
from paperpath.queue.jobs import Consignment
from paperpath.queue.settlement import (
    Report,
    compose_report,
    put_off,
    settle_results,
    without_follow_up,
    without_virtual_prefix,
)
from paperpath.store.contract import ClaimedRecipient, Defer, Finish
from paperpath.wire.delivery import Forward, Result
from tests.unit.queue.scene import CONTENT, HOUR, NOW, ROUTING, consignment, make_work

LIFETIME = 100 * HOUR
LATE = NOW + LIFETIME + 1
OK, BUSY, NO = Delivered("taken"), Deferred("busy", code="4.1"), Failed("no such user", code="1.1")
FORWARD = Forward(b"a@here.test", (b"c@far.test",), b"Received: x\n")


def settled(*results: Result, count: int = 1, channel: str = "remote", began: int = NOW, now: int = NOW) -> Settlement:
    return settle_results(make_work(channel, count=count), results, LIFETIME, began, now, 0)


def outcomes(settlement: Settlement) -> list[type]:
    return [type(ending.outcome) for ending in settlement.endings]


def forwards(settlement: Settlement) -> tuple[Forward, ...]:
    return tuple(forward for ending in settlement.endings for forward in ending.forwards)


def test_each_recipient_gets_its_own_outcome() -> None:
    settlement = settled(Result(2, NO), Result(0, OK), Result(1, BUSY), count=3)
    assert [ending.outcome for ending in settlement.endings] == [OK, BUSY, NO]
    assert settlement.finishes == (Finish(1, 0), Finish(1, 2))
    assert settlement.defers == (Defer(1, 1, NOW + 400, "4.4.1 busy", True),)
    assert [ending.recipient.number for ending in settlement.failures] == [2]


def test_recipient_that_is_not_mentioned_is_deferred() -> None:
    settlement = settled(Result(0, OK), count=2, began=LATE, now=LATE)
    assert outcomes(settlement) == [Delivered, Deferred]


def test_first_of_two_results_counts_and_strange_numbers_are_passed_over() -> None:
    settlement = settled(Result(0, BUSY), Result(0, OK), Result(7, NO))
    assert [ending.outcome for ending in settlement.endings] == [BUSY]


def test_last_attempt_begins_after_the_lifetime() -> None:
    assert outcomes(settled(Result(0, BUSY), began=LATE - 1, now=LATE)) == [Deferred]
    (ending,) = settled(Result(0, BUSY), began=LATE, now=LATE).endings
    assert isinstance(ending.outcome, Failed)
    assert ending.outcome.status == "5.4.7"
    assert "busy" in ending.outcome.text and "100 hours" in ending.outcome.text


def test_our_own_trouble_never_gives_mail_up() -> None:
    ours = Deferred("we cannot", code="3.0", ours=True)
    assert outcomes(settled(Result(0, ours), began=LATE, now=LATE)) == [Deferred]
    assert outcomes(settled(began=LATE, now=LATE)) == [Deferred]


def test_delivered_late_is_delivered() -> None:
    assert outcomes(settled(Result(0, OK), began=LATE, now=LATE)) == [Delivered]


def test_local_delivery_may_forward() -> None:
    settlement = settled(Result(0, OK, (FORWARD,)), channel="local")
    assert forwards(settlement) == (FORWARD,)
    assert outcomes(settlement) == [Delivered]


def test_remote_delivery_may_not_forward() -> None:
    settlement = settled(Result(0, OK, (FORWARD,)), began=LATE, now=LATE)
    assert forwards(settlement) == ()
    assert outcomes(settlement) == [Deferred]


def test_deferred_delivery_forwards_nothing() -> None:
    settlement = settled(Result(0, BUSY, (FORWARD,)), channel="local")
    assert forwards(settlement) == ()
    assert [ending.outcome for ending in settlement.endings] == [BUSY]


@pytest.mark.parametrize(
    "forward",
    [
        Forward(b"a@b.test", (), b""),
        Forward(b"a@b.test", (b"",), b""),
        Forward(b"a\0b", (b"c@far.test",), b""),
        Forward(b"a@b.test", (b"c@far.test",), b"no line end"),
        Forward(b"a@b.test", (b"x" * 901,), b""),
    ],
)
def test_forward_out_of_bounds_puts_the_delivery_off(forward: Forward) -> None:
    settlement = settled(Result(0, OK, (FORWARD, forward)), channel="local", began=LATE, now=LATE)
    assert forwards(settlement) == ()
    assert outcomes(settlement) == [Deferred]


def test_without_follow_up_keeps_only_what_needs_none() -> None:
    results = [Result(0, OK), Result(1, OK, (FORWARD,)), Result(2, NO), Result(3, BUSY)]
    work = make_work("local", count=4)
    settlement = without_follow_up(settle_results(work, results, LIFETIME, NOW, NOW, 0), NOW + 7, "internal error")
    assert outcomes(settlement) == [Delivered, Deferred, Deferred, Deferred]
    assert [(defer.number, defer.due) for defer in settlement.defers] == [(1, NOW + 7), (2, NOW + 7), (3, NOW + 100)]
    assert settlement.finishes == (Finish(1, 0),)
    assert not forwards(settlement) and not settlement.failures


def test_put_off_defers_all() -> None:
    settlement = put_off(make_work(count=2), NOW + 5, "gone")
    assert settlement.defers == tuple(Defer(1, number, NOW + 5, "4.3.0 gone") for number in range(2))
    assert not settlement.finishes
    assert all(isinstance(ending.outcome, Deferred) and ending.outcome.ours for ending in settlement.endings)


def composed(origin: Consignment, *endings: Ending, double_to: bytes = b"postmaster", **changes: Any) -> Report | None:
    return compose_report(
        origin,
        changes.get("content", origin.content),
        endings or (Ending(ClaimedRecipient(0, b"r@far.test", 0), NO),),
        hostname=b"mx.test",
        reporter=b"MAILER-DAEMON",
        double_to=double_to,
        table=changes.get("table", ROUTING),
        lifetime_s=LIFETIME,
        now=NOW,
        token="t",
    )


def test_sender_is_told() -> None:
    report = composed(consignment())
    assert report is not None
    assert (report.sender, report.recipient) == (b"", b"sender@far.test")
    assert b"r@far.test" in report.content and b"no such user" in report.content and b"Hello." in report.content


def test_verp_sender_is_told_at_its_plain_address() -> None:
    report = composed(consignment(sender=b"list-@here.test-@[]"))
    assert report is not None and report.recipient == b"list-@here.test"


def test_report_that_fails_goes_to_the_double_bounce_address() -> None:
    report = composed(consignment(sender=b""))
    assert report is not None
    assert (report.sender, report.recipient) == (b"#@[]", b"postmaster@mx.test")


def test_nobody_is_told_of_a_third_failure_or_without_an_address() -> None:
    assert composed(consignment(sender=b"#@[]")) is None
    assert composed(consignment(sender=b""), double_to=b"") is None


def test_only_what_a_server_said_is_shown_as_its_words() -> None:
    said = Ending(ClaimedRecipient(0, b"r@far.test", 0), Failed("550 go away", "mail.far.test", "1.1"))
    with_host, without = composed(consignment(), said), composed(consignment())
    assert with_host is not None and b"Diagnostic-Code: smtp; 550 go away" in with_host.content
    assert without is not None and b"Diagnostic-Code: smtp" not in without.content


def test_eight_bit_original_is_reported_without_more_than_eight_bits() -> None:
    content = b"Subject: x\nContent-Transfer-Encoding: 8bit\n\ncaf\xe9\n"
    report = composed(consignment(content=content, size=len(content)))
    assert report is not None
    assert b"caf\xe9" in report.content
    assert report.recipient.isascii()
    assert report.content.partition(b"\n\n")[0].isascii()


def test_only_the_header_of_a_large_original_returns() -> None:
    report = composed(consignment(content=b"", file="f", size=10**6), content=CONTENT + b"x" * ORIGINAL_MOST_BYTES)
    assert report is not None
    assert b"Subject: hello" in report.content and b"Hello." not in report.content


def test_recipient_is_reported_as_its_sender_knows_it() -> None:
    virtual = Ending(ClaimedRecipient(0, route(ROUTING, b"joe@v.test").address, 0), NO)
    report = composed(consignment(), virtual)
    assert report is not None
    assert b"joe@v.test" in report.content and b"bob-joe@v.test" not in report.content


TABLE = RoutingTable(
    b"mx.test",
    frozenset({b"here.test"}),
    frozenset(),
    {b"v.test": b"bob", b".v.test": b"bob", b"w.test": b"bob-list", b"joe@x.test": b"ann", b"not.v.test": b""},
    frozenset(),
    {},
)


@pytest.mark.parametrize("original", [b"joe@v.test", b"joe-x@v.test", b"joe@sub.v.test", b"a-b@w.test", b"Joe@X.test"])
def test_prefix_that_routing_put_is_removed(original: bytes) -> None:
    address = route(TABLE, original).address
    assert address != original
    assert without_virtual_prefix(address, TABLE) == original


@pytest.mark.parametrize(
    "address",
    [b"bob-joe@here.test", b"bob-joe@far.test", b"eve-joe@v.test", b"bob-joe@x.test", b"bob-", b"bob-a@not.v.test"],
)
def test_hyphen_of_the_address_itself_stays(address: bytes) -> None:
    assert without_virtual_prefix(address, TABLE) == address
