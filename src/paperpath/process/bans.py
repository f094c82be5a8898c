"""The bans in force, so that one address is looked up in them without a walk through all."""

import ipaddress
from collections.abc import Iterable

from paperpath.base.networks import parse_address, parse_network
from paperpath.wire.guard import Ban


class BanTable:
    """Networks to bans.  A look-up costs one dict access for each length of network that is in use: three mostly."""

    def __init__(self) -> None:
        self._lengths: dict[tuple[int, int], dict[int, Ban]] = {}
        """By IP version and length of the prefix: the prefix's number to its ban."""

    def __bool__(self) -> bool:
        return bool(self._lengths)

    def take(self, bans: Iterable[Ban], *, first: bool = False) -> None:
        """Add bans, in the place of those before where they are the first.  Raises ValueError."""
        if first:
            self._lengths.clear()
        for ban in bans:
            key, number = _place(ban.network)
            self._lengths.setdefault(key, {})[number] = ban

    def lift(self, networks: Iterable[str]) -> None:
        """Forget bans.  Raises ValueError."""
        for network in networks:
            key, number = _place(network)
            bans = self._lengths.get(key, {})
            bans.pop(number, None)
            if not bans:
                self._lengths.pop(key, None)

    def find(self, address: ipaddress.IPv4Address | ipaddress.IPv6Address, now: float) -> Ban | None:
        """Return the ban in force, the widest one first."""
        number, bits = int(address), address.max_prefixlen
        for version, length in sorted(self._lengths):
            if version == address.version:
                ban = self._lengths[version, length].get(number >> (bits - length))
                if ban is not None and (not ban.until or ban.until > now):
                    return ban
        return None

    def ban_of(self, address: str, now: float) -> Ban | None:
        """Return the ban of an address in text; None where it has none, or is no address."""
        try:
            return self.find(parse_address(address), now)
        except ValueError:
            return None


def _place(text: str) -> tuple[tuple[int, int], int]:
    network = parse_network(text)
    length = network.prefixlen
    return (network.version, length), int(network.network_address) >> (network.max_prefixlen - length)
