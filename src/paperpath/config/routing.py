"""Where a recipient goes: qmail-send's algorithm (reference 3.3) over our settings.  See `RoutingTable`.

Pure.  `receive` uses it to judge recipients, `queue` to route them, `paperpath explain` to tell.
"""

from collections.abc import Callable, Mapping
from functools import lru_cache, partial

import msgspec

from paperpath.base.address import domain_of, split
from paperpath.base.domains import suffixes

_ADDRESSES_REMEMBERED = 10_000


class RoutingTable(msgspec.Struct, frozen=True, array_like=True):
    """The settings that routing depends on; keys in lower case."""

    hostname: bytes
    """Domain of recipients that come without one, unless there is a ``default_domain``."""
    local: frozenset[bytes]
    mailboxes: frozenset[bytes]
    virtual: dict[bytes, bytes]
    relay: frozenset[bytes]
    routes: dict[bytes, str]
    postmaster: bytes = b""
    """Who gets the mail for ``postmaster`` here (RFC 5321 4.5.1); empty where an account of that name does."""
    default_domain: bytes = b""
    percent_hack: frozenset[bytes] = frozenset()
    only_listed: bool = False
    """Whether a stranger may send to the domains of ``relay`` only, even if others are delivered here."""
    literals: frozenset[bytes] = frozenset()
    """Addresses of this host in brackets, in whose place ``literal_domain`` counts."""
    literal_domain: bytes = b""


class Route(msgspec.Struct, frozen=True, array_like=True, gc=False):
    """Where one recipient goes, and by which rule."""

    channel: str
    """``local`` or ``remote``."""
    address: bytes
    """As delivered: domain added, virtual prefix put before."""
    destination: str
    """What deliveries are limited by: the domain for ``remote``, the likely account for ``local``."""
    rule: str
    """The table that decided, for ``explain``: ``local``, ``mailboxes``, ``virtual KEY``, ``none``."""


def virtual_keys(address: bytes) -> tuple[bytes, ...]:
    """Return what ``RoutingTable.virtual`` is searched for, in this order."""
    return (address.lower(), *suffixes(domain_of(address)), b"")


def _virtual_entry(table: Mapping[bytes, bytes], address: bytes) -> tuple[bytes, bytes] | None:
    for key in virtual_keys(address):
        value = table.get(key)
        if value is not None:
            return key, value
    return None


def _account_guess(local: bytes) -> str:
    """Return what an address most likely delivers to: the local part up to its first break, case folded."""
    return local.lower().partition(b"-")[0].decode("utf-8", "backslashreplace")


def route(table: RoutingTable, recipient: bytes) -> Route:
    """Return where ``recipient`` (never empty) goes."""
    address = completed(table, recipient)
    local, domain = split(address)
    domain = domain.lower()
    if table.postmaster and local.lower() == b"postmaster" and _is_here(table, domain):
        return msgspec.structs.replace(_route(table, table.postmaster), rule="postmaster")
    return _route(table, address)


def remembering_route(table: RoutingTable) -> Callable[[bytes], Route]:
    """Return `route` for this table, which remembers what it found: most mail is for few."""
    return lru_cache(maxsize=_ADDRESSES_REMEMBERED)(partial(route, table))


def completed(table: RoutingTable, recipient: bytes) -> bytes:
    """Return a recipient with the domain that counts: there, by name, and from behind a ``%`` where that is meant."""
    local, domain = split(_named(table, recipient))
    domain = domain if b"@" in recipient else table.default_domain or table.hostname
    address = local + b"@" + domain
    while domain.lower() in table.percent_hack and b"%" in local:
        local, _, domain = local.rpartition(b"%")
        address = local + b"@" + domain
    return address


def _named(table: RoutingTable, recipient: bytes) -> bytes:
    """Return a recipient with a domain's name in the place of this host's address."""
    local, domain = split(recipient)
    return local + b"@" + table.literal_domain if domain in table.literals else recipient


def _is_here(table: RoutingTable, domain: bytes) -> bool:
    return domain in table.local or domain in table.mailboxes or domain == table.hostname.lower()


def _route(table: RoutingTable, address: bytes) -> Route:
    local, domain = split(address)
    domain = domain.lower()
    if domain in table.local:
        return Route("local", address, _account_guess(local), "local")
    if domain in table.mailboxes:
        name = f"{local.lower().decode('utf-8', 'backslashreplace')}@{domain.decode('utf-8', 'backslashreplace')}"
        return Route("local", address, name, "mailboxes")
    entry = _virtual_entry(table.virtual, address)
    if entry is not None and entry[1]:
        key, account = entry
        rule = f"virtual {key.decode('utf-8', 'backslashreplace')}"
        return Route("local", account + b"-" + address, _account_guess(account + b"-"), rule)
    return Route("remote", address, domain.decode("utf-8", "backslashreplace"), "none")


def is_open(table: RoutingTable, recipient: bytes, found: Route) -> bool:
    """Tell whether anybody may send to ``recipient``, as it was given, which goes to ``found``.

    Where only listed domains are open, a recipient must be in one as it was given (reference 3.4), and as it goes
    out: a ``%`` in it does not make us a relay for everybody.
    """
    if table.only_listed and not _is_listed(table, _named(table, recipient)):
        return False
    return found.channel == "local" or is_relayed(table, found)


def _is_listed(table: RoutingTable, recipient: bytes) -> bool:
    return b"@" not in recipient or any(key in table.relay for key in suffixes(split(recipient)[1].lower()))


def is_relayed(table: RoutingTable, found: Route) -> bool:
    """Tell whether anybody may send to this remote recipient: its domain is one that we relay for."""
    return any(key in table.relay for key in suffixes(split(found.address)[1].lower()))


def next_hop(table: RoutingTable, domain: str) -> str:
    """Return the fixed next hop for a domain, or nothing where its exchangers are looked up (reference 12.4)."""
    for key in (*suffixes(domain.encode()), b""):
        value = table.routes.get(key)
        if value is not None:
            return value
    return ""
