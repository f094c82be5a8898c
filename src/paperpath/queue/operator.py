"""`paperpath queue`: an operator looks at the queue and changes it."""

import asyncio
import socket
from collections.abc import Callable, Sequence
from functools import partial

from paperpath.base.ids import show_id
from paperpath.base.text import one_line
from paperpath.queue.delivery import Deliveries
from paperpath.queue.journal import Journal
from paperpath.queue.writer import Writer
from paperpath.store.contract import Store
from paperpath.system.channel import Channel
from paperpath.system.clock import now
from paperpath.telemetry.events import QueueOperated
from paperpath.wire import control
from paperpath.wire.frame import VERSION, Hello

_STEP = 500
"""Messages changed in one transaction where all are meant: mail that comes in meanwhile waits no longer than that."""

_CONTENT_MOST_BYTES = 16 * 1024 * 1024
_FRAME_MOST_BYTES = 1024 * 1024

Answer = control.FromQueue
Change = Callable[[Store, Sequence[int]], list[int]]
"""Does something to messages; returns those that it was done to."""
Verb = Callable[[Store, int, int, str], bool]

_VERBS: dict[str, Verb] = {
    "hold": lambda store, message, moment, who: store.hold(message, moment, f"held by {who}"),
    "release": lambda store, message, moment, who: store.release(message, moment, f"released by {who}"),
    "retry": lambda store, message, moment, who: store.retry(message, moment, f"retry asked for by {who}"),
    "remove": lambda store, message, _moment, _who: store.remove(message),
}


class Operators:
    """The conversations with operators: a request, an answer."""

    def __init__(self, deliveries: Deliveries, writer: Writer, journal: Journal) -> None:
        self._deliveries, self._writer, self._journal = deliveries, writer, journal
        self._channels: set[Channel] = set()
        self._under_way: set[asyncio.Task[None]] = set()

    def connected(self, sock: socket.socket) -> None:
        """An operator came."""

        def frame(request: control.FromOperator, _descriptor: int | None) -> None:
            if not isinstance(request, Hello):
                task = asyncio.create_task(self._asked(request, channel))
                self._under_way.add(task)
                task.add_done_callback(self._under_way.discard)
            elif request.version != VERSION:
                channel.send(control.Trouble("the server runs another version of Paperpath: restart it"))

        def closed(_reason: str) -> None:
            self._channels.discard(channel)

        channel = Channel(sock, control.FromOperator, frame, closed, frame_most_bytes=_FRAME_MOST_BYTES)
        self._channels.add(channel)

    def close(self) -> None:
        """Answer nobody any more."""
        for channel in list(self._channels):
            channel.close()

    async def _asked(self, request: control.Request, channel: Channel) -> None:
        try:
            answer = await self._answer(request)
        except Exception as error:
            self._journal.broken("answering an operator", error)
            answer = control.Trouble(one_line(str(error)))
        channel.send(answer)

    async def _answer(self, request: control.Request) -> Answer:
        match request:
            case control.ListMessages():
                return await self._writer.ask(lambda store: _page(store, request))
            case control.ShowMessage():
                return await self._writer.ask(lambda store: _show(store, request.message))
            case control.ReadContent():
                return await self._writer.ask(lambda store: _content(store, request))
            case control.ExplainWait():
                return self._explain(await self._writer.ask(lambda store: _show(store, request.message)))
            case control.Statistics():
                return await self._writer.ask(_numbers)
            case control.Operate():
                return await self._operate(request)

    async def _operate(self, request: control.Operate) -> Answer:
        verb = _VERBS.get(request.verb)
        if verb is None:
            return control.Trouble(f"unknown operation {one_line(request.verb, 40)}")
        who = one_line(request.operator, 80)

        def change(store: Store, messages: Sequence[int]) -> list[int]:
            return [message for message in messages if verb(store, message, int(now()), who)]

        if request.messages:
            changed = await self._writer.ask(lambda store: change(store, request.messages))
            touched = self._log(changed, request.verb, who)
        else:
            touched = await self._operate_on_all(change, request.verb, who)
        if request.verb == "retry":
            self._deliveries.window.forget_down()
        self._deliveries.schedule.look()
        return control.Done(touched)

    async def _operate_on_all(self, change: Change, verb: str, who: str) -> int:
        """Change every message of the queue, some in each transaction; return how many were touched."""

        def change_after(store: Store, after: int) -> tuple[list[int], list[int]]:
            messages = store.messages_after(after, _STEP)
            return messages, change(store, messages)

        touched = after = 0
        while True:
            messages, changed = await self._writer.ask(partial(change_after, after=after))
            touched += self._log(changed, verb, who)
            if len(messages) < _STEP:
                return touched
            after = messages[-1]

    def _log(self, changed: Sequence[int], verb: str, who: str) -> int:
        """Write a line for each message that was changed; return how many there are."""
        for message in changed:
            self._journal.log.emit(QueueOperated(verb=verb, message=show_id(message), operator=who))
        return len(changed)

    def _explain(self, answer: Answer) -> Answer:
        if not isinstance(answer, control.MessageView):
            return answer
        return control.Waits(tuple(self._why(answer, recipient) for recipient in answer.recipients))

    def _why(self, message: control.MessageView, recipient: control.RecipientView) -> control.Why:
        moment = int(now())
        key = (recipient.channel, recipient.destination)
        last = f"; the last attempt: {recipient.last}" if recipient.last else ""
        hold_until = 0 if message.terms is None else message.terms.hold_until
        down = self._deliveries.window.down_until(key, moment)
        if message.held:
            reason, until = "an operator holds the message", 0
        elif recipient.state == "under-way":
            reason, until = "it is being delivered now", 0
        elif hold_until > moment:
            reason, until = "its sender asked that nothing be tried before that time", hold_until
        elif recipient.due > moment:
            tried = "1 attempt" if recipient.attempts == 1 else f"{recipient.attempts:,} attempts"
            reason, until = f"it is deferred after {tried}{last}", recipient.due
        elif down:
            reason, until = f"{recipient.destination} could not be reached and is left alone for a while{last}", down
        elif self._deliveries.window.is_shut(recipient.channel):
            reason, until = (
                f"{recipient.channel} delivery is stopped: by its concurrency of 0, or no process does it",
                0,
            )
        else:
            reason, until = f"it stands in line: as many deliveries as allowed are under way{last}", 0
        return control.Why(recipient.number, recipient.address, reason, until)


def _page(store: Store, request: control.ListMessages) -> Answer:
    messages, more = store.page(
        request.after,
        control.PAGE_MOST,
        request.sender,
        request.recipient,
        request.destination,
        request.held_only,
    )
    return control.Page(tuple(messages), more)


def _show(store: Store, message: int) -> Answer:
    return store.get(message, control.PAGE_MOST) or control.NoSuchMessage(message)


def _content(store: Store, request: control.ReadContent) -> Answer:
    found = store.content(request.message, max(0, min(request.most, _CONTENT_MOST_BYTES)))
    return control.NoSuchMessage(request.message) if found is None else control.Content(*found)


def _numbers(store: Store) -> Answer:
    totals = store.totals(int(now()))
    return control.Numbers(
        messages=totals.messages,
        recipients=totals.recipients,
        held=totals.held,
        under_way=totals.under_way,
        due=totals.due,
        deferred=totals.deferred,
        oldest_birth=totals.oldest_birth,
        content_bytes=totals.content_bytes,
    )
