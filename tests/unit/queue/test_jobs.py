from functools import partial
from typing import Any

import pytest

from paperpath.base.terms import MessageTerms
from paperpath.config.routing import Route, route
from paperpath.queue.jobs import Admission, Work, admit, first_due, of_claimed, recipients_a_job
from paperpath.queue.window import Limits, Window
from paperpath.store.contract import Claimed, ClaimedRecipient
from tests.unit.queue.scene import CONTENT, NOW, ROUTING, consignment

FAR = ("remote", "far.test")
VERP = b"list-@here.test-@[]"


@pytest.fixture
def window() -> Window:
    return Window({"remote": Limits(3, 2), "local": Limits(3, 2)})


ROUTE = partial(route, ROUTING)


def admitted(window: Window, *recipients: bytes, most: int = 2, shares: int = 0, **changes: Any) -> Admission:
    return admit(consignment(**changes), recipients, "test", ROUTE, window, most, shares=shares)


def numbers(works: tuple[Work, ...]) -> list[list[int]]:
    return [[recipient.number for recipient in work.recipients] for work in works]


def end_all(window: Window, admission: Admission) -> None:
    for work in admission.works:
        window.end(work.key)
    assert window.under_way == 0


def claimed(admission: Admission) -> list[bool]:
    return [recipient.claimed for recipient in admission.message.recipients]


def test_recipients_of_one_domain_travel_together_up_to_the_bound(window: Window) -> None:
    admission = admitted(window, b"a@far.test", b"b@other.test", b"c@FAR.test", b"d@far.test")
    assert numbers(admission.works) == [[0, 2], [3], [1]]
    assert [work.key for work in admission.works] == [FAR, FAR, ("remote", "other.test")]
    assert claimed(admission) == [True] * 4
    assert not admission.waiting
    assert window.under_way == 3
    end_all(window, admission)


def test_what_the_window_has_no_room_for_waits_in_the_store(window: Window) -> None:
    admission = admitted(window, *(b"%d@far.test" % number for number in range(5)))
    assert numbers(admission.works) == [[0, 1], [2, 3]]
    assert claimed(admission) == [True, True, True, True, False]
    assert admission.waiting == {FAR}
    end_all(window, admission)


def test_recipients_behind_one_that_waits_wait_as_well(window: Window) -> None:
    for _ in range(2):
        window.start(FAR)
    admission = admitted(window, b"a@far.test", b"b@other.test", b"c@far.test")
    assert claimed(admission) == [False, True, False]
    assert admission.waiting == {FAR}
    for _ in range(2):
        window.end(FAR)
    end_all(window, admission)


def test_new_mail_waits_behind_older(window: Window) -> None:
    window.wait(FAR, NOW)
    admission = admitted(window, b"a@far.test")
    assert not admission.works
    assert admission.waiting == {FAR}
    assert window.under_way == 0


def test_mailboxes_get_a_job_each(window: Window) -> None:
    admission = admitted(window, b"a@here.test", b"a-x@here.test", b"b@here.test")
    assert numbers(admission.works) == [[0], [1], [2]]
    assert [work.key for work in admission.works] == [("local", "a"), ("local", "a"), ("local", "b")]
    end_all(window, admission)


def test_verp_makes_a_job_and_a_sender_for_each_recipient(window: Window) -> None:
    admission = admitted(window, b"a@far.test", b"b@far.test", sender=VERP)
    assert [work.sender for work in admission.works] == [b"list-a=far.test@here.test", b"list-b=far.test@here.test"]
    assert admission.message.sender == VERP
    end_all(window, admission)


@pytest.mark.parametrize(
    ("channel", "sender", "count"), [("local", b"", 1), ("remote", VERP, 1), ("remote", b"", 7), ("remote", b"a@b", 7)]
)
def test_recipients_a_job(channel: str, sender: bytes, count: int) -> None:
    assert recipients_a_job(channel, sender, 7) == count


def test_recipients_are_stored_as_routed(window: Window) -> None:
    admission = admitted(window, b"joe@v.test", b"bare")
    stored = [(recipient.address, recipient.channel) for recipient in admission.message.recipients]
    assert stored == [(b"bob-joe@v.test", "local"), (b"bare@mx.test", "remote")]
    assert [work.recipients[0].address for work in admission.works] == [b"bob-joe@v.test", b"bare@mx.test"]
    end_all(window, admission)


@pytest.mark.parametrize("file", ["", "big"])
def test_content_that_is_shared_is_not_stored_again(window: Window, file: str) -> None:
    content = b"" if file else CONTENT
    admission = admitted(window, b"a@far.test", shares=9, file=file, content=content)
    message = admission.message
    assert (message.content, message.file, message.shares, message.size) == (b"", "", 9, len(CONTENT))
    assert (admission.works[0].consignment.content, admission.works[0].consignment.file) == (content, file)
    end_all(window, admission)


def test_content_of_its_own_is_stored(window: Window) -> None:
    admission = admitted(window, b"a@far.test", trace=b"Received: x\n", smtputf8=True)
    message = admission.message
    assert (message.content, message.trace, message.birth) == (CONTENT, b"Received: x\n", NOW)
    assert (message.smtputf8, message.shares, message.origin) == (True, 0, "test")
    end_all(window, admission)


def test_defect_in_routing_keeps_no_places(window: Window) -> None:
    def broken(recipient: bytes) -> Route:
        if recipient == b"bad@far.test":
            raise KeyError("a defect")
        return ROUTE(recipient)

    with pytest.raises(KeyError):
        admit(consignment(), (b"a@other.test", b"bad@far.test"), "test", broken, window, 2)
    assert window.under_way == 0


def test_work_from_the_store_is_as_it_was_admitted() -> None:
    recipients = (ClaimedRecipient(3, b"a@far.test", 2),)
    work = of_claimed(Claimed(1, VERP, b"T: t\n", CONTENT, 23, NOW, True, "f", "remote", "far.test", recipients))
    assert work.key == FAR
    assert work.recipients == recipients
    assert work.consignment == consignment(sender=VERP, trace=b"T: t\n", size=23, smtputf8=True, file="f")


@pytest.mark.parametrize(
    ("terms", "due"),
    [
        (None, 0),
        (MessageTerms(), NOW),
        (MessageTerms(priority=3), NOW - 1800),
        (MessageTerms(priority=-9), NOW),
        (MessageTerms(hold_until=NOW + 60), NOW + 60),
        (MessageTerms(hold_until=NOW + 60, priority=9), NOW + 60),
        (MessageTerms(hold_until=NOW - 60), NOW),
    ],
)
def test_first_attempt_is_due(terms: MessageTerms | None, due: int) -> None:
    assert first_due(consignment(terms=terms)) == due
