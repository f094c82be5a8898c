"""Handing messages to the queue, for whoever brings mail: `receive` now, the local injector later."""

import asyncio
from collections.abc import Callable

from paperpath.process.link import Link
from paperpath.wire.intake import Accepted, FromQueue, NotAccepted, Submit

OnAnswer = Callable[[Accepted | NotAccepted], None]

_QUEUE_BACK_WITHIN_S = 10.0
"""How long a message waits for a queue that is being started again, before its bringer is told to try later."""


class Submitter:
    """The conversation with `queue`.

    A message handed over when the queue is not there waits for it a while.  One that was under way when the
    conversation ended is answered `NotAccepted`: it may be in the queue, which is a duplicate at worst, or not.
    """

    def __init__(self, path: str, role: str) -> None:
        self._link = Link(path, role, FromQueue, self._answered, on_up=self._send_waiting, on_down=self._ended)
        self._last_ticket = 0
        self._open: dict[int, OnAnswer] = {}
        self._waiting: dict[int, tuple[Submit, int | None]] = {}

    def next_ticket(self) -> int:
        """Return the number for the next message."""
        self._last_ticket += 1
        return self._last_ticket

    def submit(self, message: Submit, descriptor: int | None, on_answer: OnAnswer) -> None:
        """Hand over a message; ``on_answer`` is called once.  The caller closes the descriptor then, not before."""
        self._open[message.ticket] = on_answer
        if not self._link.send(message, descriptor):
            self._waiting[message.ticket] = (message, descriptor)
            asyncio.get_running_loop().call_later(_QUEUE_BACK_WITHIN_S, self._too_late, message.ticket)

    def close(self) -> None:
        """Hand over nothing more."""
        self._link.close()

    def _send_waiting(self) -> None:
        waiting, self._waiting = self._waiting, {}
        for message, descriptor in waiting.values():
            self._link.send(message, descriptor)

    def _answered(self, answer: Accepted | NotAccepted, _descriptor: int | None) -> None:
        on_answer = self._open.pop(answer.ticket, None)
        if on_answer is None:
            raise ValueError("an answer that nobody waits for")
        on_answer(answer)

    def _ended(self) -> None:
        under_way = [ticket for ticket in self._open if ticket not in self._waiting]
        for ticket in under_way:
            self._open.pop(ticket)(NotAccepted(ticket, storage_full=False))

    def _too_late(self, ticket: int) -> None:
        if self._waiting.pop(ticket, None) is not None:
            self._open.pop(ticket)(NotAccepted(ticket, storage_full=False))
