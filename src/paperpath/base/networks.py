"""Addresses of clients as numbers and networks: what is counted together, and what a ban covers."""

import ipaddress
from collections.abc import Iterable
from typing import NamedTuple

Network = ipaddress.IPv4Network | ipaddress.IPv6Network

_SITE_BITS = 64
"""The least of IPv6 that one customer has: its addresses are not counted one by one."""
_WIDER_BITS = {4: 24, 6: 48}
"""What one provider hands out together: the smallest network that is routed on its own, and what a site may have."""


class Networks(NamedTuple):
    """What the address of a client belongs to, as text."""

    near: str
    """The address itself; of IPv6 its /64."""
    wide: str
    """Its IPv4 /24 or IPv6 /48."""


def parse_address(text: str) -> ipaddress.IPv4Address | ipaddress.IPv6Address:
    """Return an address; IPv4 inside IPv6 is IPv4.  Raises ValueError."""
    address = ipaddress.ip_address(text.partition("%")[0])
    return getattr(address, "ipv4_mapped", None) or address


def is_within(text: str, networks: Iterable[Network]) -> bool:
    """Tell whether an address is in one of the networks; what is no address is in none."""
    try:
        address = parse_address(text)
    except ValueError:
        return False
    return any(address in network for network in networks)


def networks_of(address: ipaddress.IPv4Address | ipaddress.IPv6Address) -> Networks:
    """Return what it is counted by."""
    wide = str(ipaddress.ip_network((int(address), _WIDER_BITS[address.version]), strict=False))
    if address.version == 4:
        return Networks(str(address), wide)
    return Networks(str(ipaddress.ip_network((int(address), _SITE_BITS), strict=False)), wide)


def parse_network(text: str) -> Network:
    """Return a network; bits of a host in it are cleared.  Raises ValueError."""
    if "/" in text:
        return ipaddress.ip_network(text, strict=False)
    address = parse_address(text)
    return ipaddress.ip_network((int(address), address.max_prefixlen))


def show_network(network: Network) -> str:
    """Return it as text; of a single address without its length."""
    return str(network.network_address) if network.prefixlen == network.max_prefixlen else str(network)
