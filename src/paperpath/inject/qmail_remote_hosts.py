"""Where qmail-remote takes a message: routes, and what may be among the addresses (qmail-interfaces 12.4, 12.5)."""

from collections.abc import Collection, Mapping

from paperpath.base.digits import leading_digits
from paperpath.base.domains import suffixes
from paperpath.protocol.qmail_smtpd import bracketed

TROUBLE = b"ZSorry, I couldn't find any host by that name. (#4.1.2)\n\0"
NO_EXCHANGER = b"DSorry, I couldn't find a mail exchanger or IP address. (#5.4.4)\n\0"
OURSELVES = (
    b"DSorry. Although I'm listed as a best-preference MX or A for that host,\n"
    b"it isn't in my control/locals file, so I don't treat it as local. (#5.4.6)\n\0"
)

Preferred = tuple[int, str]
"""Preference and address."""


class Nowhere(Exception):
    """There is no address to go to; the argument is the item of the report."""


def route(routes: Mapping[bytes, bytes], host: bytes) -> tuple[bytes, int] | None:
    """Return relay and port for a host, None where exchangers decide.  ``routes`` has its keys in lower case."""
    keys = [*suffixes(host.lower()), b""]
    relay = next((routes[key] for key in keys if key in routes), b"")
    if not relay:
        return None
    name, colon, port = relay.partition(b":")
    if not colon:
        return name, 25
    return name, int(leading_digits(port)[:9] or b"0") & 0xFFFF


def literal(host: bytes) -> str | None:
    """Return the address that a host is written as, with or without brackets; None: it is a name."""
    return bracketed(host if host[:1] == b"[" else b"[" + host + b"]")


def beyond_us(found: list[Preferred], own: Collection[str]) -> list[str]:
    """Return the addresses that are better exchangers than this host, in their order.  Raises Nowhere."""
    best_of_ours = min((preference for preference, address in found if address in own), default=None)
    better = [address for preference, address in found if best_of_ours is None or preference < best_of_ours]
    if not better:
        raise Nowhere(OURSELVES)
    return better


def no_such_host(host: bytes) -> bytes:
    """Return the item that says so."""
    shown = bytes(byte if 32 < byte < 127 else ord("?") for byte in host)
    return b"DSorry, I couldn't find any host named " + shown + b". (#5.1.2)\n\0"
