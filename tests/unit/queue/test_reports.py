"""Reports that follow from outcomes, over a real store: what is made, what it holds, and what comes with it."""

from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from paperpath.base.outcome import Deferred, Delivered, Failed
from paperpath.base.terms import MessageTerms, RecipientTerms
from paperpath.queue import delivery as delivery_module
from paperpath.queue.notices import DELAY_AFTER_S
from paperpath.system.clock import now
from paperpath.wire.delivery import Forward, Result
from tests.unit.queue.scene import Local
from tests.unit.queue.service import Service

OK, BUSY, NO = Delivered("ok"), Deferred("busy", code="4.1"), Failed("no such user", "mail.far.test", "1.1")
ASKED = MessageTerms("HDRS", b"order+2B7")


@pytest.fixture
async def local(tmp_path: Path) -> AsyncIterator[Local]:
    local = Local(tmp_path)
    yield local
    local.close()


@pytest.fixture
async def scene(local: Local, tmp_path: Path) -> AsyncIterator[Service]:
    scene = Service(tmp_path)
    await local.ready()
    yield scene
    await scene.close()


async def test_terms_go_to_the_agent(scene: Service) -> None:
    never = RecipientTerms("NEVER")
    await scene.bring(b"a@far.test", b"b@far.test", terms=ASKED, recipient_terms={1: never})
    job = await scene.remote.deliver()
    assert job.terms == ASKED
    assert [target.terms for target in job.targets] == [None, never]
    await scene.lines.logged("message.done")


async def test_failure_that_nobody_wants_to_hear_of_ends_in_the_log(scene: Service) -> None:
    await scene.bring(b"a@far.test", recipient_terms={0: RecipientTerms("NEVER")})
    await scene.remote.deliver(NO)
    await scene.lines.logged("message.done")
    (line,) = scene.lines.with_event("report.withheld")
    assert "a@far.test" in line and "notify=NEVER" in line
    (failed,) = scene.lines.with_event("delivery.failed")
    assert 'report="none: the sender asked for no report of failure"' in failed
    await scene.nothing_left()


async def test_only_those_who_are_to_be_told_of_are_in_the_report(scene: Service) -> None:
    wishes = {0: RecipientTerms("NEVER"), 1: RecipientTerms("FAILURE", b"rfc822;B@old.test")}
    await scene.bring(b"a@far.test", b"b@far.test", terms=ASKED, recipient_terms=wishes)
    job = await scene.remote.jobs.get()
    scene.remote.report(job, Result(0, NO), Result(1, NO))
    report = await scene.remote.deliver()
    assert b"b@far.test" in report.content and b"a@far.test" not in report.content
    assert b"\nOriginal-Envelope-Id: order+7\n" in report.content
    assert b"\nOriginal-Recipient: rfc822; B@old.test\n" in report.content
    assert b"Subject: hello" in report.content and b"Hello." not in report.content
    await scene.lines.logged("message.done", 2)
    await scene.nothing_left()


async def test_success_is_reported_and_settled_in_one_transaction(scene: Service) -> None:
    await scene.bring(b"a@far.test", b"b@far.test", recipient_terms={0: RecipientTerms("SUCCESS")})
    await scene.remote.deliver(OK)
    report = await scene.remote.deliver()
    assert report.sender == b"" and [target.address for target in report.targets] == [b"sender@far.test"]
    assert b"\nAction: relayed\nStatus: 2.0.0\n" in report.content
    assert b"a@far.test" in report.content and b"b@far.test" not in report.content
    await scene.lines.logged("message.done", 2)
    done = [transaction for transaction in scene.store.transactions if transaction]
    assert done == [["accept"], ["accept", "finish", "finish"], ["finish"]]


async def test_peer_that_reports_itself_needs_no_report_of_ours(scene: Service) -> None:
    await scene.bring(b"a@far.test", recipient_terms={0: RecipientTerms("SUCCESS")})
    await scene.remote.deliver(Delivered("ok", takes_dsn=True))
    await scene.lines.logged("message.done")
    await scene.nothing_left()


async def test_delay_is_reported_once_and_stays_reported(scene: Service) -> None:
    born = int(now()) - DELAY_AFTER_S
    await scene.bring(b"a@far.test", birth=born, recipient_terms={0: RecipientTerms("DELAY")})
    await scene.remote.deliver(BUSY)
    report = await scene.remote.deliver()
    assert b"\nAction: delayed\nStatus: 4.4.1\n" in report.content and b"\nWill-Retry-Until: " in report.content
    await scene.lines.logged("message.done")
    with scene.store.transaction():
        (message,) = scene.store.messages_after(0, 9)
        assert scene.store.retry(message, int(now()), "again")
    scene.deliveries.schedule.look()
    again = await scene.remote.jobs.get()
    assert again.targets[0].terms == RecipientTerms("DELAY", delay_told=True)
    scene.remote.report(again, Result(0, BUSY))
    await scene.lines.logged("delivery.deferred", 2)
    assert len(scene.lines.with_event("message.accepted")) == 2


async def test_success_report_that_cannot_be_composed_repeats_no_delivery(
    scene: Service, monkeypatch: pytest.MonkeyPatch
) -> None:
    def broken(*_values: object, **_more: object) -> None:
        raise OSError(24, "Too many open files")

    monkeypatch.setattr(delivery_module, "compose_report", broken)
    await scene.bring(b"a@far.test", recipient_terms={0: RecipientTerms("SUCCESS")})
    await scene.remote.deliver(OK)
    await scene.lines.logged("message.done")
    assert len(scene.lines.with_event("process.broken")) == 1
    await scene.nothing_left()


async def test_delay_report_that_cannot_be_composed_is_still_owed(
    scene: Service, monkeypatch: pytest.MonkeyPatch
) -> None:
    def broken(*_values: object, **_more: object) -> None:
        raise OSError(24, "Too many open files")

    monkeypatch.setattr(delivery_module, "compose_report", broken)
    born = int(now()) - DELAY_AFTER_S
    message = await scene.bring(b"a@far.test", birth=born, recipient_terms={0: RecipientTerms("DELAY")})
    await scene.remote.deliver(BUSY)
    await scene.lines.logged("delivery.deferred")
    view = await scene.view(message)
    assert view is not None and view.recipients[0].terms == RecipientTerms("DELAY")
    await scene.idle()


async def test_lateness_has_a_status_of_its_own(scene: Service) -> None:
    """RFC 2852 4.1.3: whatever it was that the attempt came to."""
    late = MessageTerms(deliver_by=int(now()) - 1, by_mode="N")
    await scene.bring(b"a@far.test", terms=late)
    await scene.remote.deliver(BUSY)
    report = await scene.remote.deliver()
    assert b"\nAction: delayed\nStatus: 4.4.7\n" in report.content and b"busy" in report.content
    await scene.lines.logged("message.done")


async def test_what_must_travel_under_tls_is_reported_under_tls_and_without_content(scene: Service) -> None:
    terms = MessageTerms("FULL", require_tls=True, priority=5, deliver_by=7, by_mode="N")
    await scene.bring(b"a@far.test", terms=terms)
    await scene.remote.deliver(NO)
    report = await scene.remote.deliver()
    assert report.terms == MessageTerms(require_tls=True, priority=5)
    assert b"Hello." not in report.content and b"Deliver-By-Date: Thu, 1 Jan 1970 00:00:07 +0000" in report.content
    await scene.lines.logged("message.done", 2)


async def test_message_for_later_is_not_touched_before(scene: Service, monkeypatch: pytest.MonkeyPatch) -> None:
    later = int(now()) + 3600
    wakings: list[int] = []
    monkeypatch.setattr(scene.deliveries.schedule, "wake", wakings.append)
    message = await scene.bring(b"a@far.test", terms=MessageTerms(hold="for;3600", hold_until=later))
    view = await scene.view(message)
    assert view is not None and (view.recipients[0].state, view.recipients[0].due) == ("waiting", later)
    await scene.idle()
    assert scene.remote.jobs.empty()
    assert wakings == [later]


async def test_message_whose_time_is_over_is_not_tried(scene: Service) -> None:
    await scene.bring(b"a@far.test", terms=MessageTerms(deliver_by=int(now()), by_mode="R"))
    report = await scene.remote.deliver()
    assert b"\nStatus: 5.4.7\n" in report.content
    await scene.lines.logged("message.done", 2)
    await scene.nothing_left()


async def test_alias_hands_its_terms_on(scene: Service, local: Local) -> None:
    asked = RecipientTerms("SUCCESS", b"rfc822;a@old.test")
    await scene.bring(b"alice@here.test", terms=ASKED, recipient_terms={0: asked})
    alice = await local.starts_next()
    alias = Forward(b"sender@far.test", (b"x@far.test",), b"Delivered-To: alice\n", True)
    alice.report(await alice.jobs.get(), Result(0, OK, (alias,)))
    job = await scene.remote.jobs.get()
    assert (job.terms, job.targets[0].terms) == (ASKED, asked)
    scene.remote.report(job, Result(0, Delivered("ok", takes_dsn=True)))
    await scene.lines.logged("message.done", 2)
    await scene.nothing_left()
