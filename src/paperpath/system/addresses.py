"""What the kernel knows about addresses of this machine."""

import ipaddress
import itertools
import socket
from pathlib import Path

_ROUTES = Path("/proc/net/fib_trie")


def is_own_address(address: str) -> bool:
    """Tell whether an IP address belongs to this machine: the kernel lets nobody bind another's."""
    family = socket.AF_INET6 if ":" in address else socket.AF_INET
    try:
        with socket.socket(family, socket.SOCK_DGRAM | socket.SOCK_CLOEXEC) as sock:
            sock.bind((address, 0))
    except OSError:
        return False
    return True


def own_ipv4_addresses() -> frozenset[str]:
    """Return the IPv4 addresses of this machine, its loopback among them; none where the kernel does not tell."""
    try:
        lines = _ROUTES.read_text("ascii", "replace").splitlines()
    except OSError:
        return frozenset()
    found: set[str] = set()
    for above, line in itertools.pairwise(lines):
        if line.split() == ["/32", "host", "LOCAL"]:
            found.add(str(ipaddress.IPv4Address(above.split()[-1])))
    return frozenset(found)
