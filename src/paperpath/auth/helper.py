"""Asking a helper process, for `auth`: each question is answered within its time, or with `Unknown`."""

import asyncio
from collections.abc import Callable

import msgspec

from paperpath.auth.verdict import Identity, Unknown, Verdict
from paperpath.process.link import Link
from paperpath.wire.outside import Checked, FromHelper


class Helper:
    """The conversation with one helper."""

    def __init__(self, path: str) -> None:
        self._link = Link(path, "auth", FromHelper, self._answered, on_down=self._ended)
        self._open: dict[int, asyncio.Future[Verdict]] = {}
        self._last_ticket = 0

    async def ask(self, question: Callable[[int], msgspec.Struct]) -> Verdict:
        """Send what ``question`` makes of a ticket; return the verdict."""
        self._last_ticket += 1
        ticket = self._last_ticket
        answer: asyncio.Future[Verdict] = asyncio.get_running_loop().create_future()
        if not self._link.send(question(ticket)):
            return Unknown("the helper of auth is away")
        self._open[ticket] = answer
        try:
            return await answer
        finally:
            self._open.pop(ticket, None)

    def close(self) -> None:
        """Ask nothing more."""
        self._link.close()

    def _answered(self, frame: Checked, _descriptor: int | None) -> None:
        if not 0 < frame.ticket <= self._last_ticket:
            raise ValueError("an answer that nobody asked for")
        answer = self._open.get(frame.ticket)
        if answer is not None and not answer.done():  # nobody waits where the time was over
            answer.set_result(_verdict(frame))

    def _ended(self) -> None:
        for answer in self._open.values():
            if not answer.done():
                answer.set_result(Unknown("the helper of auth ended meanwhile"))


def _verdict(frame: Checked) -> Verdict:
    if frame.verdict == "yes" and frame.account:
        return Identity(frame.account)
    return None if frame.verdict == "no" else Unknown(frame.reason)
