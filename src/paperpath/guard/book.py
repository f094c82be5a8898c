"""The book of offences and bans.  Pure: the time, in seconds since the epoch, is an argument.

What a client does counts points, which fade evenly: as many as ban take the window to be gone.  A ban lasts longer each
time.  Where several addresses of one network are banned at once, the network is.  Trusted networks are never banned,
whoever asks.  The book is bounded: who offended longest ago is forgotten first, and of the bans beyond the bound the
oldest one that is not an operator's.
"""

import ipaddress
from collections import Counter
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import TypeVar

from paperpath.base.bounded import make_room
from paperpath.base.networks import networks_of, parse_address, parse_network, show_network
from paperpath.wire.guard import BanView, Evidence, Offence

K = TypeVar("K")

GUARD = "guard"
"""By whom a ban is that no operator made."""
WIDE_AFTER = 4
"""Addresses of one network that are banned at once before the network is."""
_GROWTH = 4
_EVIDENCE_MOST = 10
_SUSPECTS_MOST = 20_000
_BANS_MOST = 10_000

POINTS = {
    Offence.LOGIN_FAILED: 1,
    Offence.UNKNOWN_RECIPIENT: 1,
    Offence.EARLY_TALK: 5,
    Offence.TOO_MANY_ERRORS: 5,
    Offence.TOO_SLOW: 2,
    Offence.OTHER_PROTOCOL: 10,
}
_WORDS = {
    Offence.LOGIN_FAILED: "failed logins",
    Offence.UNKNOWN_RECIPIENT: "recipients that do not exist",
    Offence.EARLY_TALK: "speaking before the greeting",
    Offence.TOO_MANY_ERRORS: "too many errors",
    Offence.TOO_SLOW: "holding sessions open",
    Offence.OTHER_PROTOCOL: "speaking another protocol",
}


class Trusted(ValueError):
    """A trusted network is never banned."""


@dataclass(frozen=True, slots=True)
class Rules:
    """The settings."""

    points: int
    """0: no ban but an operator's."""
    window_s: int
    first_s: int
    most_s: int
    trusted: tuple[ipaddress.IPv4Network | ipaddress.IPv6Network, ...]


class Record:
    """What is known against one network.  It is banned where ``since`` is not 0; else ``until`` is when it last was."""

    __slots__ = ("by", "evidence", "network", "reason", "score", "scored_at", "since", "times", "turned_away", "until")

    def __init__(self, network: str) -> None:
        self.network = network
        self.score = 0.0
        self.scored_at = self.since = self.until = self.times = self.turned_away = 0
        self.reason = self.by = ""
        self.evidence: list[Evidence] = []

    def view(self) -> BanView:
        """Return it as it is shown and kept."""
        return BanView(
            self.network,
            self.since,
            self.until,
            self.reason,
            self.by,
            self.times,
            self.turned_away,
            tuple(self.evidence),
        )


class Book:
    """Offences and bans of all networks."""

    def __init__(self, rules: Rules) -> None:
        self.rules = rules
        self._suspects: dict[str, Record] = {}
        self._banned: dict[str, Record] = {}
        self._banned_in: Counter[str] = Counter()
        """Banned addresses by the wider network that they are in."""
        self._lengths: Counter[int] = Counter()
        """Lengths of the prefixes that are banned: those that a look-up has to try."""

    def offend(self, address: str, offence: Offence, detail: str, now: int) -> list[BanView]:
        """Count an offence; return the bans that it brought on, mostly none.  Raises ValueError for what is no address.

        An address in a trusted network or under a ban already is not counted.
        """
        parsed = parse_address(address)
        near, wide = networks_of(parsed)
        if not self.rules.points or self._is_trusted(near) or near in self._banned or wide in self._banned:
            return []
        record = self._suspect(near)
        faded = (now - record.scored_at) * self.rules.points / self.rules.window_s
        record.score = max(0.0, record.score - faded) + POINTS[offence]
        record.scored_at = now
        record.evidence = [*record.evidence[1 - _EVIDENCE_MOST :], Evidence(now, offence, detail)]
        # Part of a point counts as one: or as many offences as ban would not, where they come in more than one second.
        if record.score <= self.rules.points - 1:
            return []
        record.reason = _WORDS[offence]
        return [self._ban(record, self._length(record), GUARD, now).view(), *self._widened(wide, near, now)]

    def ban(self, network: str, for_s: int, reason: str, by: str, now: int) -> BanView:
        """Ban a network for an operator, for ever where ``for_s`` is 0.  Raises ValueError, Trusted."""
        name = show_network(parse_network(network))
        if self._is_trusted(name):
            raise Trusted(f"{name} is, or is part of, or contains a trusted network; those are never banned")
        record = self._suspect(name)
        record.reason = reason or "no reason given"
        return self._ban(record, for_s, by, now).view()

    def lift(self, network: str) -> BanView | None:
        """End the ban of exactly this network and forget it all; None where nothing is known.  Raises ValueError."""
        name = show_network(parse_network(network))
        record = self._unbanned(name) or self._suspects.pop(name, None)
        return None if record is None else record.view()

    def expire(self, now: int) -> list[BanView]:
        """End the bans whose time is over, and those of what is trusted by now; return them."""
        over = [
            one for one in self._banned.values() if (one.until and one.until <= now) or self._is_trusted(one.network)
        ]
        views = [record.view() for record in over]
        for record in over:
            self._unbanned(record.network)
            record.since, record.score = 0, 0.0
            self._suspects[record.network] = record
        for record in [one for one in self._suspects.values() if one.until and one.until + self.rules.most_s <= now]:
            del self._suspects[record.network]
        return views

    def turned_away(self, near: str, count: int) -> None:
        """Note connections that a ban refused."""
        if self._banned:
            record = self._covering(near)
            if record is not None:
                record.turned_away += count

    def explain(self, network: str) -> BanView | None:
        """Return the ban that covers an address or network, else what counts against it.  Raises ValueError."""
        parsed = parse_network(network)
        name = show_network(parsed)
        near = networks_of(parsed.network_address).near if parsed.prefixlen == parsed.max_prefixlen else name
        record = self._banned.get(name) or self._covering(near) or self._suspects.get(near)
        return None if record is None else record.view()

    def bans(self) -> Iterator[BanView]:
        """Yield the bans in force, in the order of their networks' text."""
        return (self._banned[network].view() for network in sorted(self._banned))

    def kept(self) -> tuple[BanView, ...]:
        """Return what outlives this process: the bans, and who was banned before."""
        former = [record for record in self._suspects.values() if record.times]
        return tuple(record.view() for record in (*self._banned.values(), *former))

    def restore(self, kept: Iterable[BanView]) -> None:
        """Take what was kept.  Raises ValueError."""
        for view in kept:
            record = self._suspect(show_network(parse_network(view.network)))
            record.since, record.until, record.times = view.since, view.until, view.times
            record.reason, record.by, record.turned_away = view.reason, view.by, view.turned_away
            record.evidence = list(view.evidence)
            if record.since:
                self._hold(record)

    def _is_trusted(self, network: str) -> bool:
        parsed = parse_network(network)
        return any(parsed.version == one.version and parsed.overlaps(one) for one in self.rules.trusted)

    def _suspect(self, network: str) -> Record:
        record = self._suspects.pop(network, None) or self._unbanned(network) or Record(network)
        make_room(self._suspects, _SUSPECTS_MOST)
        self._suspects[network] = record
        return record

    def _length(self, record: Record) -> int:
        grown: int = self.rules.first_s * _GROWTH ** min(record.times, 16)
        return min(self.rules.most_s, grown)

    def _ban(self, record: Record, for_s: int, by: str, now: int) -> Record:
        record.since, record.until = now, now + for_s if for_s else 0
        record.by = by
        record.times += 1
        record.turned_away = 0
        self._hold(record)
        return record

    def _hold(self, record: Record) -> None:
        del self._suspects[record.network]
        if len(self._banned) >= _BANS_MOST:
            oldest = next((one.network for one in self._banned.values() if one.by == GUARD), next(iter(self._banned)))
            self._unbanned(oldest)
        self._banned[record.network] = record
        self._banned_in[_wider(record.network)] += 1
        self._lengths[parse_network(record.network).prefixlen] += 1

    def _unbanned(self, network: str) -> Record | None:
        record = self._banned.pop(network, None)
        if record is not None:
            _less(self._banned_in, _wider(network))
            _less(self._lengths, parse_network(network).prefixlen)
        return record

    def _widened(self, wide: str, near: str, now: int) -> list[BanView]:
        """Ban the network of several banned addresses."""
        if self._banned_in[wide] < WIDE_AFTER or self._is_trusted(wide):
            return []
        record = self._suspect(wide)
        record.reason = f"{self._banned_in[wide]} addresses in it are banned"
        record.evidence = [*record.evidence[1 - _EVIDENCE_MOST :], Evidence(now, "banned-inside", near)]
        return [self._ban(record, self._length(record), GUARD, now).view()]

    def _covering(self, near: str) -> Record | None:
        """Return the widest ban that covers an address's network."""
        network = parse_network(near)
        for length in sorted(length for length in self._lengths if length <= network.prefixlen):
            record = self._banned.get(show_network(network.supernet(new_prefix=length)))
            if record is not None:
                return record
        return None


def _less(counter: "Counter[K]", key: K) -> None:
    counter[key] -= 1
    if not counter[key]:
        del counter[key]


def _wider(network: str) -> str:
    return networks_of(parse_network(network).network_address).wide
