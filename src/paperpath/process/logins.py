"""Asking `auth` whether a client is who it says, for whoever serves clients.

``on_answer`` is called exactly once for `Logins.begin` and once for each `Attempt.respond`, and never before they
return.  If `auth` is away when an attempt begins, it is waited for; a conversation with a mechanism that was
under way when `auth` ended cannot be gone on with, and is refused as temporary.
"""

import asyncio
from collections.abc import Callable
from functools import partial

from paperpath.process.answers import pass_on
from paperpath.process.link import Link
from paperpath.wire.logins import (
    Abandon,
    Challenge,
    FromAuth,
    Login,
    LoginAnswer,
    LoginRefused,
    Respond,
)

OnAnswer = Callable[[LoginAnswer], None]

ANSWER_WITHIN_S = 60.0
"""Longer than `auth` gives any login (``[auth] timeout`` is at most 50 s), restarts included."""

_PENDING_MOST_BYTES = 1024 * 1024
"""What may wait for `auth` to read it.  One that hangs would be sent every attempt of every client, for as long as it
hangs; beyond this they are told at once that it is our trouble."""

_LOST = "auth ended meanwhile"
_BEHIND = "auth does not read what it is asked"


class Logins:
    """The conversation with `auth`."""

    def __init__(self, path: str, role: str) -> None:
        self._link = Link(path, role, FromAuth, self._answered, on_up=self._send_waiting, on_down=self._ended)
        self._open: dict[int, Attempt] = {}
        self._waiting: dict[int, Login] = {}
        self._last_ticket = 0

    def begin(
        self,
        mechanism: str,
        initial: bytes | None,
        on_answer: OnAnswer,
        *,
        service: str,
        peer: str,
        secure: bool,
        binding_type: str = "",
        binding: bytes = b"",
    ) -> "Attempt":
        """Begin an attempt; ``on_answer`` is called with each thing that `auth` says, until it is abandoned."""
        self._last_ticket += 1
        ticket = self._last_ticket
        attempt = self._open[ticket] = Attempt(self, ticket, on_answer)
        if self._link.pending_bytes > _PENDING_MOST_BYTES:
            asyncio.get_running_loop().call_soon(partial(attempt.refuse, _BEHIND, tell=False))
            return attempt
        login = Login(ticket, mechanism, initial, service, peer, secure, binding_type, binding)
        if not self._link.send(login):
            self._waiting[ticket] = login
        return attempt

    def close(self) -> None:
        """Ask nobody any more."""
        self._link.close()

    def respond(self, ticket: int, response: bytes) -> None:
        """Pass a response on; `Attempt.respond` is what others call."""
        self._link.send(Respond(ticket, response))

    def forget(self, ticket: int, *, tell: bool) -> None:
        """The attempt is over for this side."""
        if self._open.pop(ticket, None) is None:
            return
        if self._waiting.pop(ticket, None) is None and tell:
            self._link.send(Abandon(ticket))

    def _answered(self, answer: LoginAnswer, _descriptor: int | None) -> None:
        attempt = self._open.get(answer.ticket)
        if attempt is None:
            if 0 < answer.ticket <= self._last_ticket:
                return  # it crossed our `Abandon`
            raise ValueError("an answer that nobody asked for")
        if not attempt.waits:
            raise ValueError("an answer before the question")
        attempt.answer(answer)

    def _send_waiting(self) -> None:
        for login in self._waiting.values():
            self._link.send(login)
        self._waiting.clear()

    def _ended(self) -> None:
        for ticket, attempt in list(self._open.items()):
            if ticket not in self._waiting:
                attempt.lose()


class Attempt:
    """One attempt to log in."""

    __slots__ = ("_logins", "_lost", "_on_answer", "_over", "_timer", "ticket")

    def __init__(self, logins: Logins, ticket: int, on_answer: OnAnswer) -> None:
        self._logins, self.ticket, self._on_answer = logins, ticket, on_answer
        self._lost = self._over = False
        self._timer: asyncio.TimerHandle | None = None
        self._wait()

    @property
    def waits(self) -> bool:
        """Whether it is `auth`'s turn."""
        return self._timer is not None

    def respond(self, response: bytes) -> None:
        """Bring the client's response to the last challenge.  Raises RuntimeError where there is none open."""
        if self.waits or self._over:
            raise RuntimeError("a response without a challenge")
        self._wait()
        if self._lost:
            asyncio.get_running_loop().call_soon(self.refuse, _LOST)
        else:
            self._logins.respond(self.ticket, response)

    def abandon(self) -> None:
        """Give it up: nothing is called any more."""
        self._end(tell=True)

    def answer(self, answer: LoginAnswer) -> None:
        """Take an answer: any but a challenge is the last."""
        if isinstance(answer, Challenge):
            self._stop_waiting()
        else:
            self._end(tell=False)
        pass_on(self._on_answer, answer)

    def lose(self) -> None:
        """`auth` has forgotten it; who is to say something says it, be it now or when the client has responded."""
        self._lost = True
        if self.waits:
            self.refuse(_LOST)

    def _wait(self) -> None:
        self._timer = asyncio.get_running_loop().call_later(ANSWER_WITHIN_S, self._too_late)

    def _too_late(self) -> None:
        self.refuse("no answer from auth in time")

    def refuse(self, reason: str, *, tell: bool = True) -> None:
        """End it as our own trouble, where it has not ended; ``tell``: `auth` knows of it, and is to forget it."""
        if not self._over:
            self._end(tell=tell)
            pass_on(self._on_answer, LoginRefused(self.ticket, reason, temporary=True))

    def _end(self, *, tell: bool) -> None:
        self._over = True
        self._stop_waiting()
        self._logins.forget(self.ticket, tell=tell)

    def _stop_waiting(self) -> None:
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
