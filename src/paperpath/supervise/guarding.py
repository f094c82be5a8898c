"""What `guard`, and those who meet clients, are told of limits and bans."""

from collections.abc import Callable

from paperpath.config.endpoints import Tcp, parse_listen
from paperpath.config.places import GUARD_CONTROL, GUARD_DOOR, guard_folder
from paperpath.config.schema import Config
from paperpath.process.settings import GuardSettings, SessionLimits
from paperpath.supervise.common import common, operator_users

GUARD_DOORS = {"guard": GUARD_DOOR, "bans": GUARD_CONTROL}
"""Its doors, and the sockets behind them."""


def is_guarded(config: Config) -> bool:
    """Tell whether anybody comes over the network."""
    return any(isinstance(parse_listen(listen.address), Tcp) for listen in config.listen)


def session_limits(config: Config) -> SessionLimits:
    """Return what those who meet clients are told."""
    limits = config.limits
    return SessionLimits(
        sessions_per_network=limits.sessions_per_network,
        reserved_percent=limits.reserved_percent,
        commands_most=limits.commands,
        messages_most=limits.messages,
        content_timeout_s=limits.content_timeout,
        throughput=limits.throughput,
        strained_timeout_s=limits.strained_timeout,
        greeting_delay_s=limits.greeting_delay,
        error_delay_s=limits.error_delay,
        account_recipients_per_hour=limits.account_recipients_per_hour,
        account_recipients_per_day=limits.account_recipients_per_day,
    )


def guard_settings(config: Config, uid: Callable[[str], int]) -> GuardSettings:
    """Return what `guard` is told; ``uid`` names the user of a role."""
    limits, bans = config.limits, config.bans
    return GuardSettings(
        **common(config),
        folder=guard_folder(config),
        writable=(guard_folder(config),),
        rates={
            "connections": limits.connections_per_minute,
            "messages": limits.messages_per_minute,
            "recipients": limits.recipients_per_minute,
        },
        sessions_per_address=config.receive.sessions_per_address,
        sessions_per_network=limits.sessions_per_network,
        points=bans.points,
        window_s=bans.window,
        first_s=bans.first,
        most_s=bans.most,
        trusted=(*config.relay.networks, *bans.trusted),
        client_users=tuple({uid(role) for role in ("receive", "pop3")}),
        operator_users=tuple(operator_users(uid)),
    )
