"""What the sessions of one process share: settings, who may relay, the queue, the directory, the log."""

import asyncio
import ipaddress
import os
import socket
from functools import lru_cache
from typing import NamedTuple

from paperpath.base.networks import is_within, networks_of, parse_address
from paperpath.config.routing import remembering_route
from paperpath.process.directory import Directory
from paperpath.process.guard import Guard
from paperpath.process.logins import Logins
from paperpath.process.room import Room
from paperpath.process.settings import ReceiveSettings
from paperpath.process.submitter import Submitter
from paperpath.protocol.smtp_server import ServerConfig
from paperpath.system.channel import peer_uid
from paperpath.system.tls import TlsDetails, server_tls
from paperpath.telemetry.log import Log
from paperpath.wire.guard import Rate
from paperpath.wire.logins import SHOWING

_PEERS_REMEMBERED = 10_000


class Client(NamedTuple):
    """What the address of a client tells."""

    relay: bool
    """Whether it may send to everywhere: it is in ``[relay] networks``, or at a Unix socket one of the users that may
    send for others."""
    network: str
    """What its sessions are counted by, an IPv4 address or an IPv6 network; empty: they are not."""
    wide: str = ""
    """The network around that, which is counted too."""


def uid_of(transport: asyncio.BaseTransport) -> int:
    """Return who is at the other end of a Unix socket; uvloop's stand-in for a socket cannot be asked itself."""
    sock = transport.get_extra_info("socket")
    with socket.socket(fileno=os.dup(sock.fileno())) as duplicate:
        return peer_uid(duplicate)


class Kind(NamedTuple):
    """What an SMTP session's machine is told depends on."""

    relay: bool
    lmtp: bool
    xclient: bool
    """The client may say for whom it speaks."""
    login: bool = False
    """The client may log in."""
    here: bool = False
    """It is a program of this host."""
    counted: bool = False
    """It comes from a network that is bound by ``[limits]``, whatever it has proved since."""
    account: bool = False
    """It has logged in."""


class Service:
    """Shared by all sessions; replaced as a whole when the settings change, so that a session sees one set only."""

    def __init__(
        self,
        settings: ReceiveSettings,
        submitter: Submitter,
        directory: Directory,
        log: Log,
        guard: Guard | None = None,
        logins: Logins | None = None,
        room: Room | None = None,
    ) -> None:
        self.settings = settings
        self.guard = guard or Guard("", "receive")
        self.logins = logins
        """Where logins are judged; None: nobody logs in."""
        self.room = room or Room(log)
        """Whether there is room to spool large messages."""
        self.submitter, self.directory, self.log = submitter, directory, log
        self.hostname = settings.hostname.encode()
        relay_networks = [ipaddress.ip_network(network) for network in settings.relay_networks]
        self.balancers = tuple(map(ipaddress.ip_network, settings.proxy_networks))
        """Networks of those who may tell for whom they speak in a PROXY header."""
        self._xclient_networks = tuple(map(ipaddress.ip_network, settings.xclient_networks))

        @lru_cache(maxsize=_PEERS_REMEMBERED)
        def client(peer: str) -> Client:
            try:
                address = parse_address(peer)
            except ValueError:
                return Client(relay=False, network="")
            if any(address in network for network in relay_networks):
                return Client(relay=True, network="")
            return Client(False, *networks_of(address))

        self.client = client
        self.route = remembering_route(settings.routing)
        """Where a recipient goes."""
        self.tls = None if settings.tls is None else server_tls(settings.tls)
        limits = settings.limits
        rates = (Rate(limits.account_recipients_per_hour, 3600), Rate(limits.account_recipients_per_day, 86400))
        self.account_rates = tuple(rate for rate in rates if rate.most)
        """How many recipients an account may write to."""
        self._configs: dict[Kind, ServerConfig] = {}

    def config(self, kind: Kind) -> ServerConfig:
        """Return what a session's machine is told; each is made once."""
        found = self._configs.get(kind)
        if found is None:
            settings = self.settings
            found = self._configs[kind] = ServerConfig(
                settings.greeting.encode() or self.hostname,
                settings.message_size_bytes,
                self._recipients_most(kind),
                starttls=self.tls is not None,
                xclient=kind.xclient,
                xclient_login=kind.xclient and kind.login and self.logins is not None,
                mechanisms=self._mechanisms(kind, secure=True),
                mechanisms_in_clear=self._mechanisms(kind, secure=False),
                lmtp=kind.lmtp,
                messages_most=settings.limits.messages_most if kind.counted else 0,
                commands_most=settings.limits.commands_most if kind.counted else 0,
            )
        return found

    def _recipients_most(self, kind: Kind) -> int:
        settings = self.settings
        most = settings.relay_recipients_most if kind.relay or kind.lmtp else settings.recipients_most
        if not kind.account:
            return most
        # More at once than an account may ever write to would be put off for ever.
        return min((most, *(rate.most for rate in self.account_rates)))

    def _mechanisms(self, kind: Kind, *, secure: bool) -> tuple[bytes, ...]:
        settings = self.settings
        if not kind.login or self.logins is None:
            return ()
        shows = secure or (settings.plain_in_clear == "loopback" and kind.here)
        binds = secure and self.tls is not None
        return tuple(
            name.encode()
            for name in settings.mechanisms
            if name != "APOP" and (shows or name not in SHOWING) and (binds or not name.endswith("-PLUS"))
        )

    def may_relay_by(self, tls: TlsDetails | None) -> bool:
        """Tell whether the certificate that a client proved to hold lets it send to everywhere."""
        return tls is not None and self.tls is not None and tls.client_fingerprint in self.tls.relay_fingerprints

    def may_use_xclient(self, peer: str) -> bool:
        """Tell whether who is there may say for whom it speaks."""
        return bool(self._xclient_networks) and is_within(peer, self._xclient_networks)

    def client_at(self, transport: asyncio.BaseTransport) -> tuple[str, Client]:
        """Return who is at the other end, as text, and what that tells."""
        address = transport.get_extra_info("peername")
        if isinstance(address, tuple):
            return address[0], self.client(address[0])
        if address is None:  # it came by TCP and has gone again
            return "unknown", self.client("unknown")
        uid = uid_of(transport)
        return f"local uid {uid}", Client(relay=uid in self.settings.trusted_users, network="")
