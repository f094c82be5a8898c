"""Handing messages to the queue, for whoever brings mail."""

import asyncio
import os
from collections.abc import Callable

from paperpath.process.answers import pass_on
from paperpath.process.link import Link
from paperpath.wire.intake import Accepted, FromQueue, NotAccepted, Submit

OnAnswer = Callable[[Accepted | NotAccepted], None]

_QUEUE_BACK_WITHIN_S = 10.0
"""How long a message waits for a queue that is being started again, before its bringer is told to try later."""

UNSENT_MOST_BYTES = 64 * 1024 * 1024
"""What may wait here for a queue that is away, or that takes nothing: beyond that, those who bring mail are told at
once to try later.  Two of the largest frames."""


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
        """Messages that no queue was there for, with descriptors of our own."""
        self._waiting_bytes = 0

    def next_ticket(self) -> int:
        """Return the number for the next message."""
        self._last_ticket += 1
        return self._last_ticket

    @property
    def last_ticket(self) -> int:
        """The number of the last message."""
        return self._last_ticket

    @property
    def oldest_ticket(self) -> int | None:
        """The number of the message that has waited longest for its answer."""
        return next(iter(self._open), None)

    @property
    def unsent_bytes(self) -> int:
        """What waits here for the queue."""
        return self._link.pending_bytes + self._waiting_bytes

    def submit(self, message: Submit, descriptor: int | None, on_answer: OnAnswer) -> None:
        """Hand over a message; ``on_answer`` is called once, perhaps before this returns.

        The descriptor stays the caller's, who may close it afterwards.  Raises FrameError for what is beyond every
        bound of an envelope.
        """
        ticket = message.ticket
        if self.unsent_bytes > UNSENT_MOST_BYTES:
            on_answer(NotAccepted(ticket, storage_full=False))
            return
        self._open[ticket] = on_answer
        try:
            if not self._link.send(message, descriptor):
                self._wait(message, descriptor)
        except OSError:  # no room for another descriptor
            del self._open[ticket]
            on_answer(NotAccepted(ticket, storage_full=False))
        except Exception:  # too large for a frame: what is never answered would count as a queue that is slow
            del self._open[ticket]
            raise

    def withdraw(self, ticket: int) -> None:
        """Whoever brought the message is gone: forget it if it only waits; it is then never answered."""
        if self._forget(ticket):
            del self._open[ticket]

    def close(self) -> None:
        """Hand over nothing more."""
        self._link.close()

    def _wait(self, message: Submit, descriptor: int | None) -> None:
        self._waiting[message.ticket] = message, None if descriptor is None else os.dup(descriptor)
        self._waiting_bytes += _held_bytes(message)
        asyncio.get_running_loop().call_later(_QUEUE_BACK_WITHIN_S, self._too_late, message.ticket)

    def _forget(self, ticket: int) -> bool:
        """Let go of a message that waits; tell whether it did."""
        waiting = self._waiting.pop(ticket, None)
        if waiting is None:
            return False
        message, descriptor = waiting
        self._waiting_bytes -= _held_bytes(message)
        if descriptor is not None:
            os.close(descriptor)
        return True

    def _send_waiting(self) -> None:
        for ticket, (message, descriptor) in list(self._waiting.items()):
            self._link.send(message, descriptor)
            self._forget(ticket)

    def _answered(self, answer: Accepted | NotAccepted, _descriptor: int | None) -> None:
        on_answer = self._open.pop(answer.ticket, None)
        if on_answer is None:
            raise ValueError("an answer that nobody waits for")
        pass_on(on_answer, answer)

    def _ended(self) -> None:
        under_way = [ticket for ticket in self._open if ticket not in self._waiting]
        for ticket in under_way:
            pass_on(self._open.pop(ticket), NotAccepted(ticket, storage_full=False))

    def _too_late(self, ticket: int) -> None:
        if self._forget(ticket):
            pass_on(self._open.pop(ticket), NotAccepted(ticket, storage_full=False))


def _held_bytes(message: Submit) -> int:
    return len(message.content) + sum(map(len, message.recipients))
