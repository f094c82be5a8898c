"""`paperpath queue`: an operator looks at the queue and changes it."""

import socket
from collections.abc import Callable

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

    def connected(self, sock: socket.socket) -> None:
        """An operator came."""

        def frame(request: control.FromOperator, _descriptor: int | None) -> None:
            self._asked(request, channel)

        def closed(_reason: str) -> None:
            self._channels.discard(channel)

        channel = Channel(sock, control.FromOperator, frame, closed, frame_most_bytes=_FRAME_MOST_BYTES)
        self._channels.add(channel)

    def close(self) -> None:
        """Answer nobody any more."""
        for channel in list(self._channels):
            channel.close()

    def _asked(self, request: control.FromOperator, channel: Channel) -> None:
        def done(answer: Answer | Exception) -> None:
            if isinstance(answer, Exception):
                self._journal.broken("answering an operator", answer)
                answer = control.Trouble(one_line(str(answer)))
            channel.send(answer)

        match request:
            case Hello(version=version) if version != VERSION:
                channel.send(control.Trouble("the server runs another version of Paperpath: restart it"))
            case Hello():
                pass
            case control.ListMessages():
                self._writer.call(lambda store: _page(store, request), done)
            case control.ShowMessage():
                self._writer.call(lambda store: _show(store, request.message), done)
            case control.ReadContent():
                self._writer.call(lambda store: _content(store, request), done)
            case control.ExplainWait():
                self._writer.call(
                    lambda store: _show(store, request.message),
                    lambda answer: done(self._explain(answer)),
                )
            case control.Statistics():
                self._writer.call(_numbers, done)
            case control.Operate():
                self._operate(request, done)

    def _operate(self, request: control.Operate, done: Callable[[Answer | Exception], None]) -> None:
        verb = _VERBS.get(request.verb)
        if verb is None:
            done(control.Trouble(f"unknown operation {one_line(request.verb, 40)}"))
            return
        who = one_line(request.operator, 80)
        touched = 0

        def step(store: Store, messages: tuple[int, ...]) -> list[int]:
            return [message for message in messages if verb(store, message, int(now()), who)]

        def stepped(changed: list[int] | Exception, rest: Callable[[], None]) -> None:
            nonlocal touched
            if isinstance(changed, Exception):
                done(changed)
                return
            touched += len(changed)
            for message in changed:
                self._journal.log.emit(QueueOperated(verb=request.verb, message=show_id(message), operator=who))
            rest()

        def finish() -> None:
            if request.verb == "retry":
                self._deliveries.window.forget_down()
            self._deliveries.schedule.look()
            done(control.Done(touched))

        def all_after(after: int) -> None:
            def page(store: Store) -> tuple[list[int], list[int]]:
                messages = store.messages_after(after, _STEP)
                return messages, step(store, tuple(messages))

            def paged(answer: tuple[list[int], list[int]] | Exception) -> None:
                if isinstance(answer, Exception):
                    done(answer)
                    return
                messages, changed = answer
                stepped(changed, finish if len(messages) < _STEP else lambda: all_after(messages[-1]))

            self._writer.call(page, paged)

        if request.messages:
            self._writer.call(lambda store: step(store, request.messages), lambda changed: stepped(changed, finish))
        else:
            all_after(0)

    def _explain(self, answer: Answer | Exception) -> Answer | Exception:
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
