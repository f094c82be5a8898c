"""From a destination to a connection that takes mail: names, addresses, one after the other (RFC 5321 5.1).

An address that does not answer, or greets with anything but welcome, is passed over for the next; unlike qmail, and as
RFC 5321 5.1 has it.  Once a transaction has begun no other address is tried.
"""

import asyncio
import ipaddress
import random
from collections.abc import Callable
from dataclasses import dataclass

import idna

from paperpath.base.outcome import Deferred, Failed
from paperpath.config.endpoints import Unix, is_route, parse_route
from paperpath.dns.answers import Found, NoData, NoSuchName, TemporaryTrouble
from paperpath.dns.exchangers import (
    ADDRESSES_MOST,
    Hop,
    Hops,
    MailHosts,
    NoAddress,
    OnlyOurselves,
    Ourselves,
    TakesNoMail,
    find_exchangers,
)
from paperpath.dns.resolver import Resolver
from paperpath.process.settings import RemoteSettings
from paperpath.protocol.qmtp_client import QmtpClient
from paperpath.protocol.smtp_client import SmtpClient
from paperpath.remote.connection import Connection, Owner
from paperpath.remote.delivery import TLS_REQUIRED
from paperpath.remote.memory import AddressMemory
from paperpath.remote.tls import opportunistic_context, proving_context, server_name
from paperpath.system.addresses import is_own_address
from paperpath.telemetry.events import TlsFailed
from paperpath.telemetry.log import Log

_SMTP_PORT = 25
_UNIX = "unix:"
"""Begins the address of a hop that is a Unix socket of this host."""
_LOCALHOST = ("::1", "127.0.0.1")
_NOT_PROVEN = Failed("the message must travel under TLS, and nothing proves which its mail hosts are", code="7.10")


@dataclass(frozen=True, slots=True)
class Goal:
    """Where to connect."""

    hops: tuple[Hop, ...]
    port: int
    proven: frozenset[str] = frozenset()
    """Names among the hops that are certain to be the destination's: our own settings or DNSSEC say so, or it is the
    destination's own name.  A certificate for any other proves nothing."""
    protocol: str = "smtp"


class Reach:
    """Opens connections by these settings; ``register`` is told of each as soon as it exists."""

    def __init__(
        self,
        settings: RemoteSettings,
        resolver: Resolver,
        memory: AddressMemory,
        log: Log,
        owner: Owner,
        register: Callable[[Connection], None],
    ) -> None:
        self._settings = settings
        self._resolver = resolver
        self._memory = memory
        self._log = log
        self._owner = owner
        self._register = register
        self._context = opportunistic_context()
        # Those of the system take a while to read, and most hosts never need them.
        self._proving = proving_context(settings.trusted_certificates) if settings.trusted_certificates else None
        # On another port than 25 of this machine is somebody else: a filter, or a test.
        is_own = is_own_address if settings.port == _SMTP_PORT else _never
        self._ourselves = Ourselves(settings.hostname.lower(), is_own)

    async def open(self, key: str) -> Connection | Deferred | Failed:
        """Return a connection that is ready, or what its absence means for the mail that wanted it."""
        goal = await self._goal(key.removeprefix(TLS_REQUIRED))
        if not isinstance(goal, Goal):
            return goal
        if key.startswith(TLS_REQUIRED):
            return await self._open_proven(key, goal)
        trouble = Deferred("every address timed out a short while ago", code="4.1")
        for hop in goal.hops:
            if self._memory.skips(hop.address, self._now()):
                continue
            connection = await self._try(key, hop, goal)
            if isinstance(connection, Connection):
                return connection
            trouble = connection
        return Deferred(trouble.text, trouble.host, trouble.code, destination_down=True)

    async def _goal(self, key: str) -> Goal | Deferred | Failed:
        if is_route(key):
            next_hop = parse_route(key)
            endpoint = next_hop.endpoint
            if isinstance(endpoint, Unix):
                return Goal((Hop(endpoint.path, str(endpoint)),), 0, protocol=next_hop.protocol)
            found = await self._host(endpoint.host)
            if not isinstance(found, Hops):
                return _no_fixed_hop(endpoint.host, found)
            proven = frozenset(hop.name for hop in found.hops)
            return Goal(found.hops, endpoint.port, proven, next_hop.protocol)
        found = await self._domain(key)
        if not isinstance(found, Hops):
            return _no_hops(key, found)
        proven = frozenset(hop.name for hop in found.hops if found.secure or hop.name.lower() in (key, _literal(key)))
        return Goal(found.hops, self._settings.port, proven)

    async def _open_proven(self, key: str, goal: Goal) -> Connection | Deferred | Failed:
        """Find a server that proves who it is and promises TLS further on (RFC 8689 4.2.1); else say why there is none.

        A server that only cannot be reached now may be the one, so it is waited for.
        """
        certain: Failed | None = None
        trouble: Deferred | None = None
        for hop in goal.hops:
            if self._memory.skips(hop.address, self._now()):
                trouble = Deferred("an address timed out a short while ago", code="4.1")
                continue
            found = await self._try_proven(key, hop, goal)
            if isinstance(found, Connection):
                return found
            if isinstance(found, Failed):
                certain = found
            else:
                trouble = found
        assert trouble is not None or certain is not None
        return trouble or certain or _NOT_PROVEN

    async def _try_proven(self, key: str, hop: Hop, goal: Goal) -> Connection | Deferred | Failed:
        if self._settings.tls == "never":
            return Failed("the message must travel under TLS, which this host is set not to use", code="7.10")
        if hop.name not in goal.proven:
            return _NOT_PROVEN
        connection = await self._connect(key, hop, goal, want_tls=True, proven=True)
        if isinstance(connection, Deferred):
            return connection
        refused = await connection.opened
        if refused is not None:
            if connection.is_impostor:
                return Failed(f"the server does not prove who it is: {connection.tls_failure}", refused.host, "7.10")
            return refused
        if connection.promises_tls:
            return connection
        connection.quit()
        if connection.is_secure:
            return Failed("the server does not promise TLS for the rest of the way", connection.host, "7.30")
        return Failed("the message must travel under TLS, and the server offers none", connection.host, "7.10")

    async def _host(self, host: str) -> MailHosts:
        """A fixed next hop: only addresses count, no exchangers (reference 12.4)."""
        if _is_address(host):
            return Hops((Hop(host, host),))
        if host == "localhost":  # RFC 6761 6.3: never a question for name servers
            return Hops(tuple(Hop(host, address) for address in _LOCALHOST))
        match await self._resolver.addresses(host):
            case Found(records):
                return Hops(tuple(Hop(host, str(record)) for record in records[:ADDRESSES_MOST]))
            case NoData():
                return NoAddress()
            case (NoSuchName() | TemporaryTrouble()) as answer:
                return answer

    async def _domain(self, domain: str) -> MailHosts:
        literal = _literal(domain)
        if literal:
            return Hops((Hop(literal, literal),))
        try:
            name = domain if domain.isascii() else idna.encode(domain, uts46=True).decode()
        except idna.IDNAError:
            return NoSuchName()
        return await find_exchangers(self._resolver, name, self._ourselves, random.shuffle)

    async def _try(self, key: str, hop: Hop, goal: Goal) -> Connection | Deferred:
        """Try one address; where only TLS fails, once more without."""
        plain = self._settings.tls == "never" or self._memory.wants_plain(hop.address, self._now())
        while True:
            connection = await self._connect(key, hop, goal, want_tls=not plain)
            if isinstance(connection, Deferred):
                return connection
            refused = await connection.opened
            if refused is None:
                return connection
            if not connection.tls_failure:
                return refused
            self._log.emit(TlsFailed(hop.name, hop.address, connection.tls_failure))
            self._memory.note_bad_tls(hop.address, self._now())
            plain = True

    async def _connect(
        self, key: str, hop: Hop, goal: Goal, *, want_tls: bool, proven: bool = False
    ) -> Connection | Deferred:
        host = _shown(hop)
        if goal.protocol == "qmtp":
            client: SmtpClient | QmtpClient = QmtpClient(host)
        else:
            client = SmtpClient(self._settings.helo, host, want_tls=want_tls, lmtp=goal.protocol == "lmtp")
        context, name = self._context, server_name(hop.name)
        if proven:
            self._proving = self._proving or proving_context("")
            context, name = self._proving, hop.name.removesuffix(".")
        connection = Connection(key, client, context, name, self._owner, self._settings.timeout_s)
        try:
            async with asyncio.timeout(self._settings.connect_timeout_s):
                await _open_transport(connection, hop, goal.port)
        except TimeoutError:
            self._memory.note_timeout(hop.address, self._now())
            return Deferred("the server does not answer", host, "4.1")
        except OSError as error:
            return Deferred(f"cannot connect: {error.strerror or error}", host, "4.1")
        self._memory.note_answer(hop.address)
        self._register(connection)
        return connection

    def _now(self) -> float:
        return asyncio.get_running_loop().time()


async def _open_transport(connection: Connection, hop: Hop, port: int) -> None:
    """Connect.  Raises OSError."""
    loop = asyncio.get_running_loop()
    if hop.address.startswith(_UNIX):
        await loop.create_unix_connection(lambda: connection, hop.address.removeprefix(_UNIX))
    else:
        await loop.create_connection(lambda: connection, hop.address, port)


def _shown(hop: Hop) -> str:
    """Return how outcomes name a server."""
    if hop.address.startswith(_UNIX):
        return hop.name
    return f"[{hop.address}]" if hop.name == hop.address else f"{hop.name} ({hop.address})"


def _no_fixed_hop(host: str, found: MailHosts) -> Deferred:
    """Return what that means for a next hop of our own configuration: nothing is certain, for there is a mistake in it
    or a zone is just being moved."""
    if isinstance(found, TemporaryTrouble):
        text, code = f"name server trouble: {found.reason}", "4.3"
    else:
        text, code = f"the next hop {host} that is configured has no address", "3.5"
    return Deferred(text, code=code, destination_down=True)


def _no_hops(name: str, found: MailHosts) -> Deferred | Failed:
    """Return what it means that nothing can be connected to (RFC 3463, RFC 7505 5, reference 12.5)."""
    match found:
        case TemporaryTrouble(reason):
            return Deferred(f"name server trouble: {reason}", code="4.3", destination_down=True)
        case NoSuchName():
            return Failed(f"no mail host is named {name}", code="1.2")
        case TakesNoMail():
            return Failed(f"{name} says that it takes no mail (null MX)", code="1.10")
        case NoAddress():
            return Failed(f"no mail host of {name} has an address", code="4.4")
        case OnlyOurselves():
            return Failed(f"this host is the best mail host of {name}, but does not know it as its own", code="4.6")
        case Hops():
            raise AssertionError("there are addresses")


def _literal(domain: str) -> str:
    """Return the address in a literal (RFC 5321 4.1.3), ``[192.0.2.1]`` or ``[ipv6:2001:db8::1]``, or nothing."""
    if not (domain.startswith("[") and domain.endswith("]")):
        return ""
    text = domain[1:-1]
    text = text[5:] if text[:5].lower() == "ipv6:" else text
    return text if _is_address(text) else ""


def _is_address(text: str) -> bool:
    try:
        ipaddress.ip_address(text)
    except ValueError:
        return False
    return True


def _never(_address: str) -> bool:
    return False
