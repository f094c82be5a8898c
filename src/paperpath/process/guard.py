"""What `guard` knows, beside those who meet clients; and telling it what they see.

Nothing here waits: bans and rates that are exceeded are looked up in tables which `guard` pushes, and what was seen is
counted in place and told together, a few times a second.  Where `guard` is away everything is allowed that these
tables do not forbid: unknown is permissive, because a guard that failed must not stop the mail.
"""

import asyncio
from collections.abc import Callable, Iterable

from paperpath.base.bounded import make_room
from paperpath.process.answers import pass_on
from paperpath.process.bans import BanTable
from paperpath.process.link import Link
from paperpath.system.clock import monotonic, now
from paperpath.telemetry.events import GuardAway
from paperpath.telemetry.log import Log
from paperpath.wire.guard import (
    PAGE_MOST,
    TEXT_MOST,
    Ask,
    Ban,
    Bans,
    FromGuard,
    HeldElsewhere,
    Known,
    Lifted,
    Observed,
    Offence,
    Offended,
    Rate,
    Seen,
    Slowed,
    Verdict,
)

_TELL_EVERY_S = 0.25
"""How old what was seen may grow before it is told: so much later than at once a rate holds."""
_ANSWER_WITHIN_S = 2.0
"""A question that takes longer is answered yes."""
_PENDING_MOST_BYTES = 1024 * 1024
"""What may wait for `guard` to read it: beyond that what is seen is forgotten, as if it were away."""
_KNOWN_MOST = 20_000
_SLOWED_MOST = 20_000
_HELD_ELSEWHERE_MOST = 20_000
_UNTOLD_MOST = 20_000
"""Networks with something to tell: what is seen of more while `guard` is away is forgotten."""

OnVerdict = Callable[[bool, int], None]
"""Whether it is allowed, and where not the seconds until it may be."""


class _Counts:
    """What was seen of one network and not told yet."""

    __slots__ = ("connections", "messages", "recipients", "turned_away")

    def __init__(self) -> None:
        self.connections = self.messages = self.recipients = self.turned_away = 0


class Guard:
    """One process's view of `guard`.  With an empty path there is no such process, and everything is allowed."""

    def __init__(self, path: str, role: str, log: Log | None = None) -> None:
        self._log = log
        self._bans = BanTable()
        self._untold: dict[str, _Counts] = {}
        self._held: dict[str, int] = {}
        self._elsewhere: dict[str, int] = {}
        self._slowed: dict[tuple[str, str], float] = {}
        self._known: dict[str, None] = {}
        self._open: dict[int, OnVerdict] = {}
        self._last_ticket = 0
        self._timer: asyncio.TimerHandle | None = None
        self._link = Link(path, role, FromGuard, self._told, on_up=self._up, on_down=self._down) if path else None

    def banned(self, address: str) -> str | None:
        """Return why this address is banned, None where it is not."""
        ban = self.ban_of(address)
        return None if ban is None else ban.reason

    def ban_of(self, address: str) -> Ban | None:
        """Return the ban of this address, None where there is none."""
        return self._bans.ban_of(address, now()) if self._bans else None

    def is_slowed(self, network: str, what: str) -> bool:
        """Tell whether an address's network has done too much of ``what`` lately, over all processes."""
        if not self._slowed:
            return False
        until = self._slowed.get((network, what))
        if until is None:
            return False
        if until > monotonic():
            return True
        del self._slowed[network, what]
        return False

    def is_known(self, network: str) -> bool:
        """Tell whether mail came from there before, and nothing wrong."""
        return network in self._known

    def held_elsewhere(self, network: str) -> int:
        """Return how many sessions of a network other processes have, as far as that comes near a limit."""
        return self._elsewhere.get(network, 0) if self._elsewhere else 0

    def opened(self, network: str) -> None:
        """A session with a stranger began, from this address or IPv6 /64."""
        self._held[network] = self._held.get(network, 0) + 1
        self.connected(network)

    def connected(self, network: str) -> None:
        """Somebody came from there, to one whose sessions are counted by nobody else."""
        self._count(network).connections += 1

    def closed(self, network: str) -> None:
        """It ended."""
        left = self._held.get(network, 0) - 1
        if left > 0:
            self._held[network] = left
        else:
            self._held.pop(network, None)
        self._count(network)

    def turned_away(self, network: str) -> None:
        """A connection was refused because of a ban."""
        self._count(network).turned_away += 1

    def took(self, network: str, recipients: int) -> None:
        """A stranger's message with so many recipients was accepted."""
        counts = self._count(network)
        counts.messages += 1
        counts.recipients += recipients

    def report(self, address: str, offence: Offence, detail: str) -> None:
        """Tell of something that counts against an address; where `guard` is away it counts for nothing."""
        if self._link is not None and self._link.pending_bytes < _PENDING_MOST_BYTES:
            self._link.send(Offended(address, offence, detail[:TEXT_MOST]))

    def allow(self, key: str, amount: int, rates: tuple[Rate, ...], on_answer: OnVerdict) -> None:
        """Ask whether ``amount`` more of ``key`` stays within all rates, and count it if so, over all processes.

        ``on_answer`` is called once, perhaps before this returns: allowed where no answer is to be had.
        """
        self._last_ticket += 1
        ticket = self._last_ticket
        if not self._asked(Ask(ticket, key[:TEXT_MOST], amount, rates)):
            on_answer(True, 0)
            return
        self._open[ticket] = on_answer
        asyncio.get_running_loop().call_later(_ANSWER_WITHIN_S, self._answer, ticket, True, 0)

    def _asked(self, question: Ask) -> bool:
        link = self._link
        return link is not None and link.pending_bytes < _PENDING_MOST_BYTES and link.send(question)

    def close(self) -> None:
        """Talk to `guard` no more."""
        self._log = None
        if self._timer is not None:
            self._timer.cancel()
        if self._link is not None:
            self._link.close()

    def _count(self, network: str) -> _Counts:
        counts = self._untold.get(network)
        if counts is None:
            if len(self._untold) >= _UNTOLD_MOST:
                self._untold.clear()
            counts = self._untold[network] = _Counts()
            if self._timer is None and self._link is not None:
                self._timer = asyncio.get_running_loop().call_later(_TELL_EVERY_S, self._tell)
        return counts

    def _tell(self) -> None:
        self._timer = None
        untold, self._untold = self._untold, {}
        self._send_seen(
            Seen(name, one.connections, one.messages, one.recipients, self._held.get(name, 0), one.turned_away)
            for name, one in untold.items()
        )

    def _send_seen(self, seen: Iterable[Seen]) -> None:
        assert self._link is not None
        rest = tuple(seen)
        while rest and self._link.pending_bytes < _PENDING_MOST_BYTES:
            self._link.send(Observed(rest[:PAGE_MOST]))
            rest = rest[PAGE_MOST:]

    def _up(self) -> None:
        """Whoever answers now may know nothing: tell which sessions there are."""
        self._elsewhere.clear()
        self._send_seen(Seen(network, 0, 0, 0, held, 0) for network, held in self._held.items())

    def _down(self) -> None:
        self._elsewhere.clear()
        if self._log is not None:
            self._log.emit(GuardAway())
        for ticket in list(self._open):
            self._answer(ticket, True, 0)

    def _told(self, frame: FromGuard, _descriptor: int | None) -> None:
        match frame:
            case Bans():
                self._bans.take(frame.bans, first=frame.first)
            case Lifted():
                self._bans.lift(frame.networks)
            case Slowed():
                make_room(self._slowed, _SLOWED_MOST)
                self._slowed[frame.network, frame.what] = monotonic() + frame.for_s
            case HeldElsewhere(sessions=0):
                self._elsewhere.pop(frame.network, None)
            case HeldElsewhere():
                make_room(self._elsewhere, _HELD_ELSEWHERE_MOST)
                self._elsewhere[frame.network] = frame.sessions
            case Known():
                for network in frame.networks:
                    make_room(self._known, _KNOWN_MOST)
                    self._known[network] = None
            case Verdict():
                self._answer(frame.ticket, frame.allowed, frame.again_s)

    def _answer(self, ticket: int, allowed: bool, again_s: int) -> None:
        on_answer = self._open.pop(ticket, None)
        if on_answer is not None:
            pass_on(lambda answer: on_answer(*answer), (allowed, again_s))
