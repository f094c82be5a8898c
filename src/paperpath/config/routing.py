"""Where a recipient goes: qmail-send's algorithm (reference 3.3) over our settings.

Pure.  `receive` uses it to judge recipients, `queue` to route them, `paperpath explain` to tell.
"""

from collections.abc import Iterator, Mapping

import msgspec

from paperpath.base.address import split


class RoutingTable(msgspec.Struct, frozen=True, array_like=True):
    """The settings that routing depends on; keys in lower case."""

    hostname: bytes
    """Domain of recipients that come without one."""
    local: frozenset[bytes]
    mailboxes: frozenset[bytes]
    virtual: dict[bytes, bytes]
    relay: frozenset[bytes]
    routes: dict[bytes, str]
    postmaster: bytes = b""
    """Who gets the mail for ``postmaster`` here (RFC 5321 4.5.1); empty where an account of that name does."""


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


def suffixes(domain: bytes) -> Iterator[bytes]:
    """Yield the domain, then each of its suffixes that begins with a dot, longest first."""
    yield domain
    at = domain.find(b".")
    while at >= 0:
        yield domain[at:]
        at = domain.find(b".", at + 1)


def _virtual_entry(table: Mapping[bytes, bytes], address: bytes, domain: bytes) -> tuple[bytes, bytes] | None:
    for key in (address.lower(), *suffixes(domain), b""):
        value = table.get(key)
        if value is not None:
            return key, value
    return None


def _account_guess(local: bytes) -> str:
    """Return what an address most likely delivers to: the local part up to its first break, case folded."""
    return local.lower().partition(b"-")[0].decode("utf-8", "backslashreplace")


def route(table: RoutingTable, recipient: bytes) -> Route:
    """Return where ``recipient`` (never empty) goes."""
    address = recipient if b"@" in recipient else recipient + b"@" + table.hostname
    local, domain = split(address)
    domain = domain.lower()
    if table.postmaster and local.lower() == b"postmaster" and _is_here(table, domain):
        return msgspec.structs.replace(_route(table, table.postmaster), rule="postmaster")
    return _route(table, address)


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
    entry = _virtual_entry(table.virtual, address, domain)
    if entry is not None and entry[1]:
        key, account = entry
        rule = f"virtual {key.decode('utf-8', 'backslashreplace')}"
        return Route("local", account + b"-" + address, _account_guess(account + b"-"), rule)
    return Route("remote", address, domain.decode("utf-8", "backslashreplace"), "none")


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
