"""Which reports follow from an outcome, by what the sender asked for: the tables of RFC 3461 5.2 and RFC 2852 4.1."""

from typing import Any

import pytest

from paperpath.base.outcome import Deferred, Delivered, Failed, Outcome
from paperpath.base.terms import NOTIFY_VALUES, MessageTerms, RecipientTerms
from paperpath.queue.endings import Ending
from paperpath.queue.jobs import Work
from paperpath.queue.notices import DELAY_AFTER_S, forwarded
from paperpath.queue.settlement import settle_results, too_late
from paperpath.store.contract import ClaimedRecipient
from paperpath.wire.delivery import Forward, Result
from tests.unit.queue.scene import HOUR, NOW, consignment

LIFETIME = 100 * HOUR
OK, BUSY, NO = Delivered("taken"), Deferred("busy", code="4.1"), Failed("no such user", code="1.1")
SENDER, OTHER = b"sender@far.test", b"list-owner@here.test"


def work(notify: str | None = None, channel: str = "remote", **changes: Any) -> Work:
    terms = None if notify is None else RecipientTerms(notify)
    recipient = ClaimedRecipient(0, b"joe@v.test", 0, changes.pop("recipient_terms", terms))
    return Work(consignment(**changes), (channel, "far.test"), (recipient,))


def ending(work: Work, outcome: Outcome, *forwards: Forward, now: int = NOW) -> Ending:
    (one,) = settle_results(work, [Result(0, outcome, forwards)], LIFETIME, now, now, 0).endings
    return one


def forward(*recipients: bytes, sender: bytes = SENDER, whole: bool = True) -> Forward:
    return Forward(sender, recipients or (b"x@other.test",), b"D: d\n", whole)


@pytest.mark.parametrize("notify", [None, *sorted(NOTIFY_VALUES)])
@pytest.mark.parametrize("channel", ["local", "remote"])
@pytest.mark.parametrize("takes_dsn", [False, True])
def test_success_is_told_to_who_asked_by_whoever_is_last(notify: str | None, channel: str, takes_dsn: bool) -> None:
    action = ending(work(notify, channel), Delivered("taken", takes_dsn=takes_dsn)).action
    wanted = notify is not None and "SUCCESS" in notify
    if channel == "local":
        assert action == ("delivered" if wanted else "")
    else:
        assert action == ("relayed" if wanted and not takes_dsn else "")


@pytest.mark.parametrize("notify", [None, *sorted(NOTIFY_VALUES)])
def test_failure_is_told_unless_something_else_was_asked_for(notify: str | None) -> None:
    settlement = settle_results(work(notify), [Result(0, NO)], LIFETIME, NOW, NOW, 0)
    (one,) = settlement.endings
    wanted = not notify or "FAILURE" in notify
    assert one.is_withheld is not wanted
    assert settlement.failures == ((one,) if wanted else ())
    assert settlement.finishes  # it has ended either way


@pytest.mark.parametrize("notify", [None, *sorted(NOTIFY_VALUES)])
def test_delay_is_told_to_who_asked(notify: str | None) -> None:
    wanted = notify is not None and "DELAY" in notify
    assert ending(work(notify), BUSY, now=NOW + DELAY_AFTER_S - 1).action == ""
    one = ending(work(notify), BUSY, now=NOW + DELAY_AFTER_S)
    assert one.action == ("delayed" if wanted else "")
    assert one.terms == (RecipientTerms(notify, delay_told=True) if wanted and notify else None)


def test_delay_is_told_once() -> None:
    told = RecipientTerms("DELAY", delay_told=True)
    one = ending(work(recipient_terms=told), BUSY, now=NOW + 2 * DELAY_AFTER_S)
    assert (one.action, one.terms) == ("", None)


def test_delay_counts_from_the_release() -> None:
    held = MessageTerms(hold="for;1", hold_until=NOW + HOUR)
    assert ending(work("DELAY", terms=held), BUSY, now=NOW + DELAY_AFTER_S).action == ""
    assert ending(work("DELAY", terms=held), BUSY, now=NOW + HOUR + DELAY_AFTER_S).action == "delayed"


@pytest.mark.parametrize("sender", [b"", b"#@[]"])
def test_reports_bring_forth_no_reports_but_of_failure(sender: bytes) -> None:
    assert ending(work("SUCCESS,DELAY", "local", sender=sender), OK).action == ""
    assert ending(work("SUCCESS,DELAY", sender=sender), BUSY, now=NOW + DELAY_AFTER_S).action == ""


# Forwards: RFC 3461 5.2.7.


def test_a_list_is_the_last_stop_for_its_sender() -> None:
    asked = work("SUCCESS", "local", terms=MessageTerms("FULL", b"id", require_tls=True, priority=4))
    one = ending(asked, OK, forward(sender=OTHER))
    assert one.action == "delivered"
    terms, recipients = forwarded(asked, one, one.forwards[0], b"joe@v.test")
    assert terms == MessageTerms(require_tls=True, priority=4)
    assert recipients == {}


def test_an_alias_hands_all_of_it_on() -> None:
    asked = work("SUCCESS,DELAY", "local", terms=MessageTerms("HDRS", b"id", hold="for;9", hold_until=NOW - 1))
    one = ending(asked, OK, forward())
    assert one.action == ""
    terms, recipients = forwarded(asked, one, one.forwards[0], b"j+e@v.test")
    assert terms == MessageTerms("HDRS", b"id")
    assert recipients == {0: RecipientTerms("SUCCESS,DELAY", b"rfc822;j+2Be@v.test")}


@pytest.mark.parametrize("several", [forward(b"x@other.test", b"y@other.test"), forward(whole=False)])
@pytest.mark.parametrize(
    ("notify", "left"),
    [("SUCCESS", "NEVER"), ("SUCCESS,FAILURE", "FAILURE"), ("FAILURE", "FAILURE"), ("NEVER", "NEVER"), ("", "")],
)
def test_an_alias_of_several_expands(several: Forward, notify: str, left: str) -> None:
    asked = work(channel="local", recipient_terms=RecipientTerms(notify, b"rfc822;old@v.test", delay_told=True))
    one = ending(asked, OK, several)
    assert one.action == ("expanded" if "SUCCESS" in notify else "")
    terms, recipients = forwarded(asked, one, several, b"joe@v.test")
    assert terms is None
    assert recipients == {
        number: RecipientTerms(left, b"rfc822;old@v.test") for number in range(len(several.recipients))
    }


def test_an_address_too_long_for_orcpt_is_left_out() -> None:
    asked = work("FAILURE", "local")
    one = ending(asked, OK, forward())
    assert forwarded(asked, one, one.forwards[0], b"x" * 600)[1] == {0: RecipientTerms("FAILURE")}


# A time to deliver by: RFC 2852 4.1.


def by(mode: str, seconds: int = 600, trace: bool = False) -> MessageTerms:
    return MessageTerms(deliver_by=NOW + seconds, by_mode=mode, by_trace=trace)


def test_who_asked_for_return_gets_it_back_when_the_time_is_over() -> None:
    asked = work(terms=by("R"))
    assert ending(asked, BUSY, now=NOW + 300).due == NOW + 600  # not at NOW + 1,369, where the schedule has it
    late = ending(asked, BUSY, now=NOW + 600)
    assert isinstance(late.outcome, Failed) and late.outcome.status == "5.4.7"
    assert too_late(asked, NOW + 599) is None
    settlement = too_late(asked, NOW + 600)
    assert settlement is not None and [one.outcome.status for one in settlement.failures] == ["5.4.7"]


def test_our_own_trouble_is_never_a_reason_to_return_it() -> None:
    ours = Deferred("we cannot", code="3.0", ours=True)
    assert isinstance(ending(work(terms=by("R")), ours, now=NOW + 700).outcome, Deferred)


@pytest.mark.parametrize(("notify", "told"), [(None, True), ("DELAY", True), ("FAILURE", False), ("NEVER", False)])
def test_who_asked_for_notice_gets_that_when_the_time_is_over(notify: str | None, told: bool) -> None:
    asked = work(notify, terms=by("N"))
    assert too_late(asked, NOW + 700) is None
    assert ending(asked, BUSY, now=NOW + 599).action == ""
    late = ending(asked, BUSY, now=NOW + 600)
    assert isinstance(late.outcome, Deferred)
    assert (late.action, late.status) == (("delayed", "4.4.7") if told else ("", ""))
    if told:
        again = work(recipient_terms=late.terms, terms=by("N"))
        assert ending(again, BUSY, now=NOW + DELAY_AFTER_S).action == ""


@pytest.mark.parametrize("notify", [None, "FAILURE", "NEVER"])
def test_peer_that_knows_no_deadlines_ends_what_we_can_promise(notify: str | None) -> None:
    expected = "" if notify == "NEVER" else "relayed"
    assert ending(work(notify, terms=by("N")), OK).action == expected
    assert ending(work(notify, terms=by("N")), Delivered("ok", takes_deliver_by=True)).action == ""
    assert ending(work(notify, terms=by("N", -1)), OK).action == ""
    traced = work(notify, terms=by("R", trace=True))
    assert ending(traced, Delivered("ok", takes_dsn=True, takes_deliver_by=True)).action == expected
