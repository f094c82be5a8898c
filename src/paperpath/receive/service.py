"""What the sessions of one process share: settings, who may relay, the queue, the directory, the log."""

import ipaddress
from functools import lru_cache

from paperpath.process.directory import Directory
from paperpath.process.settings import ReceiveSettings
from paperpath.process.submitter import Submitter
from paperpath.protocol.smtp_server import ServerConfig
from paperpath.telemetry.log import Log

_PEERS_REMEMBERED = 10_000


class Service:
    """Shared by all sessions; replaced as a whole when the settings change, so that a session sees one set only."""

    def __init__(self, settings: ReceiveSettings, submitter: Submitter, directory: Directory, log: Log) -> None:
        self.settings = settings
        self.submitter, self.directory, self.log = submitter, directory, log
        self.hostname = settings.hostname.encode()
        networks = [ipaddress.ip_network(network) for network in settings.relay_networks]

        @lru_cache(maxsize=_PEERS_REMEMBERED)
        def may_relay(peer: str) -> bool:
            try:
                address = ipaddress.ip_address(peer)
            except ValueError:
                return False
            mapped = getattr(address, "ipv4_mapped", None) or address
            return any(mapped in network for network in networks)

        self.may_relay = may_relay
        size = settings.message_size_bytes
        greeting = settings.greeting.encode() or self.hostname
        self.for_strangers = ServerConfig(greeting, size, settings.recipients_most)
        self.for_relays = ServerConfig(greeting, size, settings.relay_recipients_most)
