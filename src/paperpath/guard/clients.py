"""The conversations with those who meet clients: what they see is counted, what follows from it is told to all."""

import socket
from collections import Counter
from collections.abc import Callable, Iterable
from functools import lru_cache
from typing import TypeVar

import msgspec

from paperpath.base.bounded import make_room
from paperpath.base.networks import Networks, networks_of, parse_network
from paperpath.base.text import one_line
from paperpath.guard.book import Book
from paperpath.guard.rates import Rates
from paperpath.process.settings import GuardSettings
from paperpath.system.channel import Channel
from paperpath.system.clock import monotonic, now
from paperpath.system.privileges import FILES_MOST
from paperpath.telemetry.events import RateExceeded
from paperpath.telemetry.log import Log
from paperpath.wire import guard as wire
from paperpath.wire.frame import VERSION, Hello

T = TypeVar("T")

_COUNTERS_MOST = 50_000
_ACCOUNTS_MOST = 20_000
_KNOWN_MOST = 20_000
_HELD_MOST = 2 * FILES_MOST
"""Networks that one process has sessions with, near and wide ones: two for each descriptor that it may have."""
_RATES_MOST = 8
"""In one question."""
_MINUTE_S = 60
_TELL_FROM = 4
"""Sessions of a network are told to other processes from this part of their limit on."""
_PENDING_MOST_BYTES = 4 * 1024 * 1024
"""What may wait for a process to read it; one that reads nothing is hung up on, and begins anew."""
_FRAME_MOST_BYTES = 256 * 1024


class _Client:
    """One process that meets clients."""

    def __init__(self) -> None:
        self.held: Counter[str] = Counter()
        """Sessions it has now, by network, near and wide."""
        self.told: dict[str, int] = {}
        """How many it was told that others have."""


class Clients:
    """All of them."""

    def __init__(
        self,
        book: Book,
        log: Log,
        on_bans: Callable[[Iterable[wire.BanView]], None],
        on_taken: Callable[[], None],
    ) -> None:
        """``on_bans`` gets the bans that offences bring on; ``on_taken`` is told when ``asked`` has changed."""
        self._book, self._log, self._on_bans, self._on_taken = book, log, on_bans, on_taken
        self.asked = Rates(_ACCOUNTS_MOST)
        """What was asked for before it was done: by the time of day, as it outlives this process."""
        self._rates = Rates(_COUNTERS_MOST)
        self._clients: dict[Channel, _Client] = {}
        self._held: Counter[str] = Counter()
        self._known: dict[str, None] = {}
        self._slowed: dict[tuple[str, str], float] = {}
        self._settings: GuardSettings | None = None

    def configure(self, settings: GuardSettings) -> None:
        """Go over to these settings."""
        self._settings = settings

    def connected(self, sock: socket.socket) -> None:
        """A process came: tell it what is in force."""

        def take(frame: wire.FromClient, _descriptor: int | None) -> None:
            self._take(channel, frame)

        channel = Channel(
            sock, wire.FromClient, take, lambda _: self._left(channel), frame_most_bytes=_FRAME_MOST_BYTES
        )
        self._clients[channel] = _Client()
        bans = [wire.Ban(one.network, one.until, one.reason) for one in self._book.bans()]
        for number, page in enumerate(_pages(bans) or [()]):
            channel.send(wire.Bans(page, first=not number))
        for known in _pages(list(self._known)):
            channel.send(wire.Known(known))

    def tell(self, frame: msgspec.Struct) -> None:
        """Tell all."""
        for channel in list(self._clients):
            _send(channel, frame)

    def close(self) -> None:
        """Talk to nobody any more."""
        for channel in list(self._clients):
            channel.close()

    def _take(self, channel: Channel, frame: wire.FromClient) -> None:
        match frame:
            case wire.Observed():
                for seen in frame.seen:
                    if not channel.closed:  # it may be hung up on over what follows from the one before
                        self._saw(channel, seen)
            case wire.Offended():
                detail = one_line(frame.detail, wire.TEXT_MOST)
                self._on_bans(self._book.offend(frame.address, frame.offence, detail, int(now())))
            case wire.Ask():
                _send(channel, self._judged(frame))
                self._on_taken()
            case Hello(version=version) if version != VERSION:
                raise ValueError("it runs another version")

    def _judged(self, question: wire.Ask) -> wire.Verdict:
        rates = question.rates
        if question.amount < 0 or len(rates) > _RATES_MOST or any(rate.period_s < 1 for rate in rates):
            raise ValueError("a question that means nothing")
        again_s = self.asked.take(question.key[: wire.TEXT_MOST], question.amount, rates, now())
        return wire.Verdict(question.ticket, allowed=not again_s, again_s=again_s)

    def _saw(self, channel: Channel, seen: wire.Seen) -> None:
        if min(seen.connections, seen.messages, seen.recipients, seen.held, seen.turned_away) < 0:
            raise ValueError("counts are not below zero")
        near, wide = _networks(seen.network)
        if near != seen.network:
            raise ValueError("not a network that clients are counted by")
        held = self._clients[channel].held
        change = seen.held - held[near]
        if change > 0 and len(held) >= _HELD_MOST:
            raise ValueError("sessions with more networks than a process can have sessions")
        if change:
            self._hold(channel, near, change)
            self._hold(channel, wide, change)
        for what, count in (
            ("connections", seen.connections),
            ("messages", seen.messages),
            ("recipients", seen.recipients),
        ):
            if count:
                self._count(near, what, count)
        if seen.turned_away:
            self._book.turned_away(near, seen.turned_away)
        if seen.messages:
            self._praise(near)

    def _count(self, near: str, what: str, count: int) -> None:
        assert self._settings is not None
        most = self._settings.rates.get(what, 0)
        if not most:
            return
        moment = monotonic()
        for_s = self._rates.count(f"{what} {near}", count, wire.Rate(most, _MINUTE_S), moment)
        if for_s and self._slowed.get((near, what), 0) <= moment:
            make_room(self._slowed, _COUNTERS_MOST)
            self._slowed[near, what] = moment + for_s
            self.tell(wire.Slowed(near, what, for_s))
            self._log.emit(RateExceeded(network=near, what=what, for_s=for_s))

    def _praise(self, near: str) -> None:
        if near not in self._known:
            make_room(self._known, _KNOWN_MOST)
            self._known[near] = None
            self.tell(wire.Known((near,)))

    def _hold(self, channel: Channel, network: str, change: int) -> None:
        held = self._clients[channel].held
        held[network] += change
        self._held[network] += change
        for counter in (held, self._held):
            if not counter[network]:
                del counter[network]
        for other, client in list(self._clients.items()):
            if other is not channel:
                self._tell_held(other, client, network)

    def _tell_held(self, channel: Channel, client: _Client, network: str) -> None:
        assert self._settings is not None
        is_wide = network.endswith(("/24", "/48"))
        most = self._settings.sessions_per_network if is_wide else self._settings.sessions_per_address
        sessions = self._held[network] - client.held[network]
        if sessions * _TELL_FROM < most:
            sessions = 0
        if sessions != client.told.get(network, 0):
            client.told[network] = sessions
            if not sessions:
                del client.told[network]
            _send(channel, wire.HeldElsewhere(network, sessions))

    def _left(self, channel: Channel) -> None:
        for network, count in list(self._clients[channel].held.items()):
            self._hold(channel, network, -count)
        del self._clients[channel]


def _send(channel: Channel, frame: msgspec.Struct) -> None:
    if channel.pending_bytes > _PENDING_MOST_BYTES:
        channel.close("it does not read")
    else:
        channel.send(frame)


@lru_cache(maxsize=_COUNTERS_MOST)
def _networks(network: str) -> Networks:
    return networks_of(parse_network(network).network_address)


def _pages(items: list[T]) -> list[tuple[T, ...]]:
    return [tuple(items[at : at + wire.PAGE_MOST]) for at in range(0, len(items), wire.PAGE_MOST)]
