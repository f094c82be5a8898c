"""What the sessions of the process share: settings, what clients are offered, `auth`, `local`, `guard`, the log."""

import ipaddress
import os
from functools import lru_cache

from paperpath.base.networks import networks_of, parse_address
from paperpath.pop3.mailboxes import Mailboxes
from paperpath.process.guard import Guard
from paperpath.process.logins import Logins
from paperpath.process.settings import Pop3Settings
from paperpath.protocol.pop3 import Pop3Config
from paperpath.system.chance import random_bytes
from paperpath.system.clock import now_microseconds
from paperpath.system.tls import server_tls
from paperpath.telemetry.log import Log
from paperpath.wire.logins import SHOWING

_PEERS_REMEMBERED = 10_000
_TIMESTAMP_BYTES = 8
_APOP = "APOP"
_PLAIN = "PLAIN"
_BINDING = "-PLUS"


class Service:
    """Shared by all sessions; replaced as a whole when the settings change, so that a session sees one set only."""

    def __init__(self, settings: Pop3Settings, logins: Logins, mailboxes: Mailboxes, guard: Guard, log: Log) -> None:
        self.settings = settings
        self.logins, self.mailboxes, self.guard, self.log = logins, mailboxes, guard, log
        self.hostname = settings.hostname.encode()
        self.tls = None if settings.tls is None else server_tls(settings.tls)
        self.binds = any(name.endswith(_BINDING) for name in settings.mechanisms)
        """Whether a mechanism has a use for the TLS channel's binding."""
        self.network_of = lru_cache(maxsize=_PEERS_REMEMBERED)(_network_of)
        self.balancers = tuple(map(ipaddress.ip_network, settings.proxy_networks))
        """Networks of those who may tell for whom they speak in a PROXY header."""
        relay_networks = [ipaddress.ip_network(network) for network in settings.relay_networks]

        @lru_cache(maxsize=_PEERS_REMEMBERED)
        def is_trusted(peer: str) -> bool:
            try:
                address = parse_address(peer)
            except ValueError:
                return True
            return any(address in network for network in relay_networks)

        self._is_trusted = is_trusted

    def comes_too_often(self, peer: str) -> bool:
        """Count a connection; tell whether its address has made too many lately, over all processes."""
        if self._is_trusted(peer):
            return False
        network = self.network_of(peer)
        self.guard.connected(network)
        return self.guard.is_slowed(network, "connections")

    def is_protected(self, peer: str, *, tls: bool) -> bool:
        """Tell whether nobody can listen: there is TLS, or the client is on this host and that is to be enough."""
        return tls or (self.settings.plain_in_clear == "loopback" and _is_loopback(peer))

    def config(self, timestamp: bytes, *, protected: bool, tls: bool, bound: bool) -> Pop3Config:
        """Return what a session offers; ``bound``: the TLS channel has something to bind a login to."""
        mechanisms = self.settings.mechanisms
        offered = [
            name
            for name in mechanisms
            if name != _APOP and (protected or name not in SHOWING) and (bound or not name.endswith(_BINDING))
        ]
        return Pop3Config(
            hostname=self.hostname,
            timestamp=timestamp,
            passwords=protected and _PLAIN in mechanisms,
            mechanisms=tuple(offered),
            stls=not tls and self.tls is not None,
        )

    def timestamp(self) -> bytes:
        """Return one for a greeting (RFC 1939 7), never the same twice, and nobody knows the next; empty: no APOP."""
        if _APOP not in self.settings.mechanisms:
            return b""
        chance = random_bytes(_TIMESTAMP_BYTES).hex()
        return f"<{os.getpid()}.{now_microseconds()}.{chance}@".encode() + self.hostname + b">"


def _network_of(peer: str) -> str:
    """Return what the sessions of an address are counted by."""
    try:
        return networks_of(parse_address(peer)).near
    except ValueError:
        return peer


def _is_loopback(peer: str) -> bool:
    try:
        return ipaddress.ip_address(peer).is_loopback
    except ValueError:
        return False
