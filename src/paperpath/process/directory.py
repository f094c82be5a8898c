"""Asking `local` who a recipient is, with the answers of the last while remembered.

Only answers that say yes are remembered: a new account is known at once, a removed one is refused after
``_REMEMBERED_S`` at the latest, and until then its mail waits or bounces, but is not lost.
"""

import asyncio
from collections.abc import Callable

from paperpath.process.answers import pass_on
from paperpath.process.link import Link
from paperpath.system.clock import monotonic
from paperpath.wire.accounts import Found, FromLocal, Lookup, NotFound, Unknown, WorkerStarted

Answer = Found | NotFound | Unknown
OnAnswer = Callable[[Answer], None]

_REMEMBERED_S = 20.0
_REMEMBERED_MOST = 10_000
_ANSWER_WITHIN_S = 30.0
"""A user database that takes longer is as good as down."""
_UNANSWERED_MOST = 10_000
"""Questions that `local` has before it: one that hangs would be asked for every recipient that somebody tries, for as
long as it hangs, and then have all that to answer."""

_TOO_LATE = Unknown(0, "no answer about the recipient in time", ours=True)
_TOO_MANY = Unknown(0, "too many questions about recipients wait for an answer", ours=True)


class Directory:
    """What is known of local recipients."""

    def __init__(self, path: str, role: str) -> None:
        self._link = Link(path, role, FromLocal, self._answered, on_up=self._ask_again, on_down=lambda: None)
        self._known: dict[bytes, tuple[float, Found]] = {}
        self._waiting: dict[bytes, list[OnAnswer]] = {}
        self._tickets: dict[int, bytes] = {}
        self._next_ticket = 0

    def find(self, address: bytes, on_answer: OnAnswer) -> None:
        """Call ``on_answer`` with what is known of ``address``, now or later, exactly once."""
        known = self._known.get(address)
        if known is not None and known[0] > monotonic():
            on_answer(known[1])
            return
        if len(self._tickets) >= _UNANSWERED_MOST and address not in self._waiting:
            on_answer(_TOO_MANY)
            return
        waiting = self._waiting.setdefault(address, [])
        waiting.append(on_answer)
        if len(waiting) == 1:
            self._ask(address)
            asyncio.get_running_loop().call_later(_ANSWER_WITHIN_S, self._too_late, address, waiting)

    def forget(self, address: bytes) -> None:
        """What was remembered of this address turned out to be wrong."""
        self._known.pop(address, None)

    def close(self) -> None:
        """Ask nobody any more."""
        self._link.close()

    def _ask(self, address: bytes) -> None:
        self._next_ticket += 1
        if self._link.send(Lookup(self._next_ticket, address)):
            self._tickets[self._next_ticket] = address

    def _ask_again(self) -> None:
        self._tickets.clear()
        for address in self._waiting:
            self._ask(address)

    def _answered(self, frame: Answer | WorkerStarted, descriptor: int | None) -> None:
        if isinstance(frame, WorkerStarted):
            raise ValueError("a worker that nobody asked for")
        address = self._tickets.pop(frame.ticket, None)
        if address is None:
            raise ValueError("an answer that nobody asked for")
        if isinstance(frame, Found):
            if len(self._known) >= _REMEMBERED_MOST:
                self._known.clear()
            self._known[address] = (monotonic() + _REMEMBERED_S, frame)
        for on_answer in self._waiting.pop(address, ()):
            pass_on(on_answer, frame)

    def _too_late(self, address: bytes, waiting: list[OnAnswer]) -> None:
        if self._waiting.get(address) is waiting:
            del self._waiting[address]
            for on_answer in waiting:
                pass_on(on_answer, _TOO_LATE)
