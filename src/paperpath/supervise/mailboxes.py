"""The part of the plan that is about fetching mail: `pop3`, only where a listening socket has that service."""

from collections.abc import Callable
from typing import Final

from paperpath.config.schema import Config, Listen
from paperpath.process.settings import Pop3Settings
from paperpath.supervise.common import common
from paperpath.supervise.logins import mechanisms
from paperpath.wire.logins import OPENING
from paperpath.wire.tls import TlsSettings

MAILBOXES: Final = "mailboxes"
"""What the door of `local` is called that mailboxes are opened at."""


def is_pop3(listen: Listen) -> bool:
    """Tell whether a listening socket is `pop3`'s."""
    return listen.service in OPENING


def needs_pop3(config: Config) -> bool:
    """Tell whether any is."""
    return any(map(is_pop3, config.listen))


def pop3_settings(config: Config, tls: TlsSettings | None, guard: str, proxied: frozenset[str]) -> Pop3Settings:
    """Return what the process is told; ``proxied``: the names of its sockets behind load balancers."""
    return Pop3Settings(
        **common(config),
        tls=tls,
        mechanisms=mechanisms(config),
        plain_in_clear=config.auth.plain_in_clear,
        sessions_most=config.pop3.sessions,
        sessions_per_address=config.pop3.sessions_per_address,
        timeout_s=config.pop3.timeout,
        relay_networks=config.relay.networks,
        strained_timeout_s=config.limits.strained_timeout,
        guard=guard,
        proxied=proxied,
        proxy_networks=config.fronts.proxy,
    )


def opener_users(config: Config, uid: Callable[[str], int]) -> tuple[int, ...]:
    """Return who may ask `local` for mailboxes."""
    return (uid("pop3"),) if needs_pop3(config) else ()
