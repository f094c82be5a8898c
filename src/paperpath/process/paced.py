"""When a session reads: not while input waits behind a question, not while its replies are not read, not within a
handshake, and not while it has to wait for having done wrong.

RFC 5321 4.3.1: a client waits for the greeting.  One that does not is either not interested in replies, or speaks
something else.
"""

import asyncio
from typing import Final

REFUSALS_FREE = 3
"""Refusals after which each further one of a stranger costs a while: an honest client may have an old list."""


class Against:
    """What stands against reading, a bit each; plain numbers, since this is asked at every answer."""

    BEHIND: Final = 1
    """Input waits behind an open question."""
    CHOKED: Final = 2
    """The client does not read what it is told."""
    PUNISHED: Final = 4
    """It was refused too much."""
    SECURING: Final = 8
    """What comes belongs to the handshake, which reads for itself."""


class Paced(asyncio.Protocol):
    """A connection that is read while nothing stands against it.  One timer at a time: a greeting that waits, or a
    punishment."""

    __slots__ = ("_against", "_awaits_greeting", "_timer", "_tolerated", "_transport")

    _transport: asyncio.Transport

    def __init__(self) -> None:
        self._awaits_greeting = False
        self._against = 0
        self._timer: asyncio.TimerHandle | None = None
        self._tolerated = REFUSALS_FREE

    def pause_writing(self) -> None:
        """The client does not read its replies: read nothing more from it until it does."""
        self._stop_reading(Against.CHOKED)

    def resume_writing(self) -> None:
        """The client reads again."""
        self._read_again(Against.CHOKED)

    def _greet(self) -> None:
        """Say the greeting that waited."""
        raise NotImplementedError

    def _await_greeting(self, delay_s: float) -> None:
        """Say it in a while, and listen meanwhile."""
        self._awaits_greeting = True
        self._timer = asyncio.get_running_loop().call_later(delay_s, self._waited)

    def _waited(self) -> None:
        self._forget_timer()
        self._greet()

    def _stop_reading(self, why: int) -> None:
        if not self._against:
            self._transport.pause_reading()
        self._against |= why

    def _read_again(self, why: int) -> None:
        if not self._against & why:
            return
        self._against &= ~why
        if not self._against and not self._transport.is_closing():
            self._transport.resume_reading()

    def _punish(self, refused: int, delay_s: float) -> None:
        """Read nothing for a while where the session has been refused once more; nothing else waits for it."""
        if refused > self._tolerated:
            self._tolerated = refused
            if self._timer is None and delay_s and not self._transport.is_closing():
                self._stop_reading(Against.PUNISHED)
                self._timer = asyncio.get_running_loop().call_later(delay_s, self._forgive)

    def _forgive(self) -> None:
        self._timer = None
        self._read_again(Against.PUNISHED)

    def _forget_timer(self) -> None:
        self._awaits_greeting = False
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
