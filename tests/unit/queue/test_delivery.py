"""The way of every recipient from the door to its end, over a real store."""

import asyncio
from collections.abc import AsyncIterator, Callable
from pathlib import Path
from typing import Any

import msgspec
import pytest

from paperpath.base.ids import parse_id
from paperpath.base.outcome import Deferred, Delivered, Failed
from paperpath.queue import delivery as delivery_module
from paperpath.queue import jobs as jobs_module
from paperpath.queue.delivery import Deliveries
from paperpath.queue.journal import Journal
from paperpath.store.contract import StoreFull
from paperpath.store.sqlite import SqliteStore
from paperpath.system.clock import now
from paperpath.wire.control import MessageView
from paperpath.wire.delivery import Forward, Job, Result
from tests.unit.queue.scene import CONTENT, ROUTING, Local, turns
from tests.unit.queue.service import Service

OK, BUSY = Delivered("ok"), Deferred("busy", code="4.1")
NO = Failed("no such user", "mail.far.test", "1.1")
FORWARD = Forward(b"alice@here.test", (b"x@other.test", b"bob@here.test"), b"Delivered-To: alice\n")


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


def until_due(view: MessageView | None, moment: float) -> float:
    assert view is not None
    return view.recipients[0].due - moment


async def test_recipient_goes_its_whole_way(scene: Service) -> None:
    await scene.bring(b"a@far.test", b"b@far.test")
    job = await scene.remote.deliver()
    assert [target.address for target in job.targets] == [b"a@far.test", b"b@far.test"]
    await scene.lines.logged("message.done")
    assert len(scene.lines.with_event("delivery.delivered")) == 2
    await scene.nothing_left()


async def test_other_settings_route_what_comes_from_then_on(scene: Service, local: Local) -> None:
    await scene.bring(b"a@far.test")
    await scene.remote.deliver()
    routing = msgspec.structs.replace(ROUTING, local=frozenset({b"far.test"}))
    scene.deliveries.configure(msgspec.structs.replace(scene.settings, routing=routing))
    await scene.bring(b"a@far.test")
    worker = await asyncio.wait_for(local.starts_next(), 10)
    assert (await worker.deliver()).targets[0].address == b"a@far.test"
    await scene.nothing_left()


async def test_what_is_deferred_stays_and_is_due_later(scene: Service) -> None:
    before = now()
    message = await scene.bring(b"a@far.test")
    await scene.remote.deliver(BUSY)
    await scene.lines.logged("delivery.deferred")
    view = await scene.view(message)
    assert view is not None and (view.recipients[0].attempts, view.recipients[0].last) == (1, "4.4.1 busy")
    assert until_due(view, before) >= 399
    await scene.idle()


async def test_sender_gets_a_report_of_failures_only(scene: Service) -> None:
    await scene.bring(b"a@far.test", b"b@far.test")
    job = await scene.remote.jobs.get()
    scene.remote.report(job, Result(0, OK), Result(1, NO))
    report = await scene.remote.deliver()
    assert (report.sender, [target.address for target in report.targets]) == (b"", [b"sender@far.test"])
    assert b"b@far.test" in report.content and b"a@far.test" not in report.content
    assert not report.smtputf8
    await scene.lines.logged("message.done", 2)
    await scene.nothing_left()


async def test_report_that_fails_is_reported_once_more_and_then_dropped(scene: Service) -> None:
    await scene.bring(b"a@far.test")
    await scene.remote.deliver(NO)
    await scene.remote.deliver(NO)
    double = await scene.remote.deliver(NO)
    assert (double.sender, double.targets[0].address) == (b"#@[]", b"postmaster@far.test")
    await scene.lines.logged("bounce.dropped")
    await scene.lines.logged("message.done", 3)
    await scene.nothing_left()


async def test_eight_bit_original_makes_no_report_that_needs_smtputf8(scene: Service) -> None:
    content = b"Subject: x\n\ncaf\xe9\n"
    await scene.bring(b"a@far.test", content=content, size=len(content))
    await scene.remote.deliver(NO)
    assert not (await scene.remote.deliver()).smtputf8
    await scene.lines.logged("message.done", 2)
    await scene.nothing_left()


async def test_report_to_an_address_beyond_ascii_needs_smtputf8(scene: Service) -> None:
    await scene.bring(b"a@far.test", sender="süß@far.test".encode())
    await scene.remote.deliver(NO)
    assert (await scene.remote.deliver()).smtputf8
    await scene.lines.logged("message.done", 2)
    await scene.nothing_left()


async def test_outcome_and_report_are_one_transaction(scene: Service) -> None:
    await scene.bring(b"a@far.test")
    await scene.remote.deliver(NO)
    await scene.remote.deliver()
    await scene.lines.logged("message.done", 2)
    done = [transaction for transaction in scene.store.transactions if transaction]
    assert done == [["accept"], ["accept", "finish"], ["finish"]]
    await scene.nothing_left()


async def test_power_cut_leaves_both_outcome_and_report_or_neither(local: Local, tmp_path: Path) -> None:
    scene = Service(tmp_path)
    await local.ready()
    message = await scene.bring(b"a@far.test")
    scene.store.breaks = True
    await scene.remote.deliver(NO)
    assert await scene.broken == "the disk lied"
    assert not scene.lines.with_event("delivery.failed")
    scene.deliveries.close()
    scene.deliveries.schedule.stop()
    scene.remote.close()
    scene.store.close()
    again = SqliteStore(scene.settings.folder)
    again.open(int(now()))
    with again.transaction():
        assert again.messages_after(0, 10) == [message]
        view = again.get(message, 10)
    assert view is not None and [to.address for to in view.recipients] == [b"a@far.test"]
    again.close()


async def test_forwards_share_content_and_take_the_place_of_their_origin(scene: Service, local: Local) -> None:
    await scene.bring(b"alice@here.test")
    alice = await local.starts_next()
    job = await alice.jobs.get()
    alice.report(job, Result(0, OK, (FORWARD,)))
    out = await scene.remote.deliver()
    at_home = await (await local.starts_next()).deliver()
    for forward in (out, at_home):
        assert (forward.sender, forward.trace, forward.content) == (FORWARD.sender, FORWARD.trace, CONTENT)
    await scene.lines.logged("message.done", 2)
    assert [one for one in scene.store.transactions if one][1] == ["accept", "finish"]
    await scene.nothing_left()


async def test_remote_process_brings_forth_no_mail(scene: Service) -> None:
    await scene.bring(b"a@far.test")
    scene.remote.report(await scene.remote.jobs.get(), Result(0, OK, (FORWARD,)))
    await scene.lines.logged("delivery.deferred")
    assert (await scene.totals()).messages == 1
    await scene.idle()


async def test_mailbox_that_is_gone_bounces(scene: Service) -> None:
    await scene.bring(b"nobody@here.test")
    report = await scene.remote.deliver()
    assert b"no mailbox here by that name" in report.content
    await scene.lines.logged("message.done", 2)
    await scene.nothing_left()


async def test_mailbox_that_cannot_be_looked_up_waits(scene: Service) -> None:
    await scene.bring(b"unknown@here.test")
    (line,) = await scene.lines.logged("delivery.deferred")
    assert "the user database is down" in line
    await scene.idle()


async def test_jobs_of_an_agent_that_died_are_tried_again_soon(scene: Service) -> None:
    before = now()
    message = await scene.bring(b"a@far.test")
    await scene.remote.jobs.get()
    scene.remote.close()
    await scene.lines.logged("agent.gone")
    await scene.lines.logged("delivery.deferred")
    assert 4 <= until_due(await scene.view(message), before) < 60
    assert scene.deliveries.window.is_shut("remote")
    await scene.idle()


async def test_mail_waits_for_a_remote_process_and_goes_when_one_comes(scene: Service) -> None:
    scene.remote.close()
    while not scene.deliveries.window.is_shut("remote"):
        await asyncio.sleep(0)
    await scene.bring(b"a@far.test")
    await scene.idle()
    scene.remote = scene.connect()
    await scene.remote.deliver()
    await scene.lines.logged("message.done")
    await scene.nothing_left()
    assert not scene.lines.with_event("agent.gone")  # the one that went had nothing under way


async def test_content_that_cannot_be_read_defers(scene: Service) -> None:
    message = await scene.bring(b"a@far.test", file="gone", content=b"")
    await scene.lines.logged("delivery.deferred")
    assert (await scene.view(message)) is not None
    await scene.idle()


async def test_large_content_returns_by_its_header(scene: Service) -> None:
    folder = Path(scene.store.content_folder)
    (folder / "big").write_bytes(CONTENT + b"x" * 200_000)
    await scene.bring(b"a@far.test", file="big", content=b"", size=len(CONTENT) + 200_000)
    job = await scene.remote.deliver(NO)
    assert job.attached
    report = await scene.remote.deliver()
    assert b"Subject: hello" in report.content and b"xxxx" not in report.content
    await scene.lines.logged("message.done", 2)
    await scene.nothing_left()
    assert not list(folder.iterdir())


# Our own trouble


def broken(*_: object, **__: object) -> Any:
    raise OSError(24, "Too many open files")


async def test_report_that_cannot_be_composed_repeats_nothing_that_was_delivered(
    scene: Service, monkeypatch: pytest.MonkeyPatch
) -> None:
    before = now()
    message = await scene.bring(b"a@far.test", b"b@far.test", b"c@far.test")
    monkeypatch.setattr(delivery_module, "compose_report", broken)
    job = await scene.remote.jobs.get()
    scene.remote.report(job, Result(0, OK), Result(1, NO), Result(2, OK))
    await scene.lines.logged("delivery.deferred")
    assert len(scene.lines.with_event("delivery.delivered")) == 2
    assert len(scene.lines.with_event("process.broken")) == 1
    assert not scene.lines.with_event("delivery.failed")
    view = await scene.view(message)
    assert view is not None and [to.address for to in view.recipients] == [b"b@far.test"]
    assert until_due(view, before) >= 3599
    await scene.idle()


async def test_report_that_cannot_be_composed_takes_no_forward_along(
    scene: Service, local: Local, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The first forward is routed and has its places when the second cannot be."""
    await scene.bring(b"alice@here.test")
    whole = jobs_module.admit

    def admit(*values: Any, **more: Any) -> Any:
        return broken() if values[0].sender == b"second@here.test" else whole(*values, **more)

    monkeypatch.setattr(delivery_module, "admit", admit)
    alice = await local.starts_next()
    second = Forward(b"second@here.test", (b"y@other.test",), b"")
    alice.report(await alice.jobs.get(), Result(0, OK, (FORWARD, second)))
    await scene.lines.logged("delivery.deferred")
    assert (await scene.totals()).messages == 1
    assert scene.remote.jobs.empty()
    await scene.idle()


async def test_outcome_that_finds_no_room_is_kept(scene: Service, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(delivery_module, "_SETTLE_AGAIN_S", 0)
    await scene.bring(b"a@far.test")
    scene.store.full = 2
    await scene.remote.deliver(NO)
    await scene.remote.deliver()
    await scene.lines.logged("message.done", 2)
    assert len(scene.lines.with_event("storage.full")) == 1
    assert len(scene.lines.with_event("delivery.failed")) == 1
    await scene.nothing_left()


async def test_message_that_finds_no_room_leaves_its_places(scene: Service) -> None:
    scene.store.full = 1
    with pytest.raises(StoreFull):
        await scene.bring(b"a@far.test", b"b@here.test")
    await scene.idle()
    assert not scene.lines.with_event("message.accepted")
    assert scene.remote.jobs.empty()


async def test_forward_of_a_message_that_was_removed_goes_nowhere(scene: Service, local: Local) -> None:
    message = await scene.bring(b"alice@here.test")
    alice = await local.starts_next()
    job = await alice.jobs.get()
    await scene.writer.ask(lambda store: store.remove(message))
    alice.report(job, Result(0, OK, (FORWARD,)))
    await scene.lines.logged("process.broken")
    await scene.nothing_left()


# Room


async def test_what_has_no_room_goes_when_a_place_is_free(local: Local, tmp_path: Path) -> None:
    scene = Service(tmp_path, remote_concurrency=1)
    await local.ready()
    for number in range(4):
        await scene.bring(b"a@d%d.test" % number)
    jobs: list[Job] = []
    for _ in range(4):
        jobs.append(await scene.remote.jobs.get())
        await turns()
        assert scene.remote.jobs.empty()
        assert scene.deliveries.window.under_way == 1
        scene.remote.report_all(jobs[-1], OK)
    await scene.lines.logged("message.done", 4)
    assert {job.destination for job in jobs} == {f"d{number}.test" for number in range(4)}
    await scene.nothing_left()
    await scene.close()


async def test_verp_message_from_the_store_has_a_sender_for_each(local: Local, tmp_path: Path) -> None:
    scene = Service(tmp_path, remote_concurrency=1)
    await local.ready()
    await scene.bring(*(b"%d@far.test" % number for number in range(3)), sender=b"l-@here.test-@[]")
    senders = {(await scene.remote.deliver()).sender for _ in range(3)}
    assert senders == {b"l-%d=far.test@here.test" % number for number in range(3)}
    await scene.lines.logged("message.done")
    await scene.nothing_left()
    await scene.close()


async def test_destination_that_is_down_is_left_alone(scene: Service) -> None:
    await scene.bring(b"a@far.test")
    await scene.remote.deliver(Deferred("no connection", destination_down=True))
    await scene.lines.logged("delivery.deferred")
    message = await scene.bring(b"b@far.test")
    view = await scene.view(message)
    assert view is not None and view.recipients[0].state == "waiting"
    assert scene.remote.jobs.empty()
    assert scene.deliveries.window.down_until(("remote", "far.test"), int(now()))
    await scene.bring(b"c@other.test")
    await scene.remote.deliver()
    await scene.lines.logged("message.done")
    await scene.idle()


async def test_drain_waits_for_what_is_under_way_and_starts_nothing(scene: Service) -> None:
    await scene.bring(b"a@far.test")
    job = await scene.remote.jobs.get()
    draining = asyncio.create_task(scene.deliveries.drain(600))
    await turns()
    assert not draining.done()
    await scene.bring(b"b@other.test")
    scene.remote.report_all(job, NO)
    await draining
    await scene.lines.logged("message.done")
    assert scene.remote.jobs.empty()
    assert (await scene.totals()).messages == 2
    await scene.idle()


# Ids


def at(microseconds: int) -> Callable[[], int]:
    return lambda: microseconds


async def test_ids_only_grow(scene: Service, monkeypatch: pytest.MonkeyPatch) -> None:
    ids: list[int] = []
    for moment in (5000, 5000, 4000, 6000, 0):
        monkeypatch.setattr(delivery_module, "now_microseconds", at(moment))
        ids.append(scene.deliveries.new_message_id())
    assert ids == [5000, 5001, 5002, 6000, 6001]


async def test_ids_grow_across_a_restart_under_a_clock_that_went_back(
    local: Local, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    scene = Service(tmp_path)
    await local.ready()
    scene.deliveries.window.shut("remote")
    first = await scene.bring(b"a@far.test")
    (line,) = scene.lines.with_event("message.accepted")
    assert parse_id(line.partition(" message=")[2].split()[0]) == first
    last = await scene.writer.ask(lambda store: store.last_id())
    again = Deliveries(scene.settings, scene.writer, scene.contents, Journal(scene.lines.log), last)
    monkeypatch.setattr(delivery_module, "now_microseconds", at(1))
    assert again.new_message_id() == first + 1
    again.close()
    await scene.close()
