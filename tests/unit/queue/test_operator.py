import asyncio
import socket
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest

from paperpath.base.outcome import Deferred
from paperpath.base.terms import MessageTerms
from paperpath.queue import operator as operator_module
from paperpath.queue.journal import Journal
from paperpath.queue.operator import Operators
from paperpath.system.channel import Channel
from paperpath.system.clock import now
from paperpath.wire import control
from paperpath.wire.frame import VERSION, Hello
from tests.unit.queue.scene import CONTENT, turns
from tests.unit.queue.service import Service

ALL = ()


class Console:
    """An operator's end of the conversation."""

    def __init__(self, operators: Operators) -> None:
        self.answers: asyncio.Queue[Any] = asyncio.Queue()
        self.ended: asyncio.Future[str] = asyncio.get_running_loop().create_future()
        ours, theirs = socket.socketpair()
        operators.connected(theirs)
        self.channel = Channel(
            ours, control.FromQueue, lambda frame, _: self.answers.put_nowait(frame), self.ended.set_result
        )

    async def ask(self, request: Any) -> Any:
        self.channel.send(request)
        answer = await self.answers.get()
        assert self.answers.empty()
        return answer

    async def operate(self, verb: str, *messages: int) -> Any:
        return await self.ask(control.Operate(verb, messages, "root"))

    async def why(self, message: int) -> control.Why:
        waits = await self.ask(control.ExplainWait(message))
        assert isinstance(waits, control.Waits)
        return waits.recipients[0]


@pytest.fixture
async def service(tmp_path: Path) -> AsyncIterator[Service]:
    service = Service(tmp_path)
    service.deliveries.window.shut("remote")
    yield service
    await service.close()


@pytest.fixture
async def console(service: Service) -> AsyncIterator[Console]:
    operators = Operators(service.deliveries, service.writer, Journal(service.lines.log))
    console = Console(operators)
    yield console
    operators.close()
    console.channel.close()


async def bring_some(service: Service, count: int) -> list[int]:
    return [await service.bring(b"r%d@far.test" % number) for number in range(count)]


async def test_listing_shows_what_the_filters_leave(service: Service, console: Console) -> None:
    first, second, third = await bring_some(service, 3)
    page = await console.ask(control.ListMessages())
    assert [view.message for view in page.messages] == [first, second, third]
    assert not page.more
    page = await console.ask(control.ListMessages(after=first, recipient=b"R1@FAR"))
    assert [view.message for view in page.messages] == [second]
    await console.operate("hold", third)
    page = await console.ask(control.ListMessages(held_only=True))
    assert [view.message for view in page.messages] == [third]
    assert (await console.ask(control.ListMessages(destination="other.test"))).messages == ()


async def test_listing_comes_in_pages(service: Service, console: Console, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(control, "PAGE_MOST", 2)
    messages = await bring_some(service, 3)
    page = await console.ask(control.ListMessages())
    assert ([view.message for view in page.messages], page.more) == (messages[:2], True)


async def test_one_message_with_its_recipients_and_content(service: Service, console: Console) -> None:
    message = await service.bring(b"a@far.test", b"b@far.test", trace=b"Received: x\n")
    view = await console.ask(control.ShowMessage(message))
    assert [recipient.address for recipient in view.recipients] == [b"a@far.test", b"b@far.test"]
    content = await console.ask(control.ReadContent(message, 7))
    assert content == control.Content(b"Received: x\n", CONTENT[:7], len(CONTENT))
    assert (await console.ask(control.ReadContent(message, -1))).content == b""


@pytest.mark.parametrize("request_type", [control.ShowMessage, control.ExplainWait])
async def test_message_that_is_not_there(console: Console, request_type: type) -> None:
    assert await console.ask(request_type(7)) == control.NoSuchMessage(7)
    assert await console.ask(control.ReadContent(7, 1)) == control.NoSuchMessage(7)


async def test_numbers(service: Service, console: Console) -> None:
    first, _ = await bring_some(service, 2)
    await console.operate("hold", first)
    numbers = await console.ask(control.Statistics())
    assert (numbers.messages, numbers.recipients, numbers.held) == (2, 2, 1)
    assert numbers.content_bytes == 2 * len(CONTENT)


async def test_verbs_do_what_they_say(service: Service, console: Console) -> None:
    message, other = await bring_some(service, 2)
    assert await console.operate("hold", message) == control.Done(1)
    view = await service.view(message)
    assert view is not None and view.held
    assert await console.operate("release", message) == control.Done(1)
    assert await console.operate("retry", message) == control.Done(1)
    view = await service.view(message)
    assert view is not None and not view.held
    noted = [entry.text for entry in view.history]
    assert [text for text in noted if text.endswith("by root")] == [
        "held by root",
        "released by root",
        "retry asked for by root",
    ]
    assert await console.operate("remove", message, 7) == control.Done(1)
    assert await service.view(message) is None
    assert await service.view(other) is not None
    lines = service.lines.with_event("queue.operated")
    assert [line.partition(" verb=")[2].split()[0] for line in lines] == ["hold", "release", "retry", "remove"]


async def test_released_mail_goes_out_at_once(service: Service, console: Console) -> None:
    (message,) = await bring_some(service, 1)
    await console.operate("hold", message)
    service.deliveries.window.unshut("remote")
    service.deliveries.schedule.look()
    await service.totals()
    await turns()
    assert service.remote.jobs.empty()
    await console.operate("release", message)
    assert (await service.remote.deliver()).message == message
    await service.lines.logged("message.done")
    await service.nothing_left()


async def test_retry_tries_destinations_again_that_were_down(service: Service, console: Console) -> None:
    (message,) = await bring_some(service, 1)
    service.deliveries.window.mark_down(("remote", "far.test"), int(now()))
    service.deliveries.window.unshut("remote")
    await console.operate("hold", message)
    await console.operate("release", message)
    await service.totals()
    assert service.remote.jobs.empty()
    await console.operate("retry", message)
    await service.remote.deliver()
    await service.lines.logged("message.done")
    await service.nothing_left()


async def test_mail_that_its_sender_holds_until_later_says_so_and_is_not_hurried(
    service: Service, console: Console
) -> None:
    until = int(now()) + 3600
    terms = MessageTerms(hold="for;3600", hold_until=until)
    message = await service.bring(b"r@far.test", terms=terms)
    service.deliveries.window.unshut("remote")
    await console.operate("retry")
    why = await console.why(message)
    assert (why.reason, why.until) == ("its sender asked that nothing be tried before that time", until)
    await service.totals()
    await turns()
    assert service.remote.jobs.empty()


@pytest.mark.parametrize("count", [0, 2, 4, 5])
async def test_all_messages_are_changed_in_steps(
    service: Service, console: Console, monkeypatch: pytest.MonkeyPatch, count: int
) -> None:
    monkeypatch.setattr(operator_module, "_STEP", 2)
    await bring_some(service, count)
    steps: list[int] = []
    whole = service.store.messages_after

    def messages_after(after: int, most: int) -> list[int]:
        found = whole(after, most)
        steps.append(len(found))
        return found

    monkeypatch.setattr(service.store, "messages_after", messages_after)
    before = len(service.store.transactions)
    assert await console.operate("remove", *ALL) == control.Done(count)
    assert steps == [2] * (count // 2) + [count % 2]
    assert len(service.store.transactions) >= before + len(steps)
    await service.nothing_left()


async def test_unknown_verb_changes_nothing(service: Service, console: Console) -> None:
    (message,) = await bring_some(service, 1)
    answer = await console.operate("explode", message)
    assert isinstance(answer, control.Trouble) and "explode" in answer.reason
    assert await service.view(message) is not None
    assert not service.lines.with_event("queue.operated")


async def test_operator_is_shown_on_one_line(service: Service, console: Console) -> None:
    (message,) = await bring_some(service, 1)
    await console.ask(control.Operate("hold", (message,), "root\nx" + "y" * 200))
    (line,) = service.lines.with_event("queue.operated")
    assert len(line) < 250


async def test_programs_of_another_version_are_told(console: Console) -> None:
    answer = await console.ask(Hello(VERSION + 1, "cli"))
    assert isinstance(answer, control.Trouble) and "another version" in answer.reason


async def test_programs_of_this_version_are_not_answered(console: Console) -> None:
    console.channel.send(Hello(VERSION, "cli"))
    assert isinstance(await console.ask(control.Statistics()), control.Numbers)


async def test_defect_is_an_answer(service: Service, console: Console, monkeypatch: pytest.MonkeyPatch) -> None:
    def broken(*_: object) -> None:
        raise RuntimeError("a defect")

    for name in ("totals", "messages_after", "hold"):
        monkeypatch.setattr(service.store, name, broken)
    for request in (control.Statistics(), control.Operate("hold", (), "root"), control.Operate("hold", (1,), "root")):
        assert await console.ask(request) == control.Trouble("a defect")
    assert len(service.lines.with_event("process.broken")) == 3
    monkeypatch.undo()


async def test_frame_that_is_too_long_ends_the_conversation(service: Service, console: Console) -> None:
    console.channel.send(control.Operate("hold", tuple(range(10**9, 10**9 + 300_000)), "root"))
    await console.ended


# Why


async def test_why_it_waits_for_an_operator(service: Service, console: Console) -> None:
    (message,) = await bring_some(service, 1)
    await console.operate("hold", message)
    why = await console.why(message)
    assert (why.reason, why.until) == ("an operator holds the message", 0)


async def test_why_it_waits_while_it_is_delivered_and_after(service: Service, console: Console) -> None:
    service.deliveries.window.unshut("remote")
    message = await service.bring(b"a@far.test")
    assert (await console.why(message)).reason == "it is being delivered now"
    await service.remote.deliver(Deferred("busy", code="4.1"))
    await service.lines.logged("delivery.deferred")
    why = await console.why(message)
    assert why.reason == "it is deferred after 1 attempt; the last attempt: 4.4.1 busy"
    view = await service.view(message)
    assert view is not None and why.until == view.recipients[0].due


async def test_why_it_waits_for_a_channel_a_destination_or_a_place(service: Service, console: Console) -> None:
    (message,) = await bring_some(service, 1)
    assert (await console.why(message)).reason.startswith("remote delivery is stopped")
    window = service.deliveries.window
    window.unshut("remote")
    assert (await console.why(message)).reason.startswith("it stands in line")
    until = window.mark_down(("remote", "far.test"), int(now()))
    why = await console.why(message)
    assert why.until == until and why.reason.startswith("far.test could not be reached")
