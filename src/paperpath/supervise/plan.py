"""What is to run, as far as the configuration says: which processes, as whom, with which settings and sockets."""

import os
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from functools import cache

import msgspec

from paperpath.config.certificates import read_pem, read_tls
from paperpath.config.control import Control
from paperpath.config.endpoints import Tcp, Unix, parse_listen
from paperpath.config.identities import MAIL_USER, PROCESS_USERS
from paperpath.config.load import routing_table
from paperpath.config.places import (
    GUARD_DOOR,
    drop_folder,
    guard_folder,
    inject_socket,
    logins_folder,
    mail_root,
    queue_folder,
    spool_folder,
)
from paperpath.config.program_values import injected_size_bytes
from paperpath.config.qmail import as_bytes
from paperpath.config.schema import Config, Listen
from paperpath.process.passes import PASS_KEY_BYTES
from paperpath.process.settings import (
    Common,
    Instructions,
    LocalSettings,
    QueueSettings,
    ReceiveSettings,
    RemoteSettings,
)
from paperpath.supervise import logins
from paperpath.supervise.common import common, operator_users
from paperpath.supervise.guarding import GUARD_DOORS, guard_settings, is_guarded, session_limits
from paperpath.supervise.mailboxes import MAILBOXES, is_pop3, needs_pop3, opener_users, pop3_settings
from paperpath.system.chance import random_bytes
from paperpath.system.users import find_user, own_uid, user_name
from paperpath.wire.tls import TlsSettings

_INJECT = "inject"
_QMAIL_NETWORK_USER = "qmaild"
_FILES_SPARE = 200
"""Descriptors that a process needs beside its connections."""


class PlanError(Exception):
    """The service cannot run as configured; the text says what to do."""


@dataclass(frozen=True, slots=True)
class Door:
    """A listening socket and what it is called in the process that serves it."""

    name: str
    endpoint: Tcp | Unix


@dataclass(frozen=True, slots=True)
class Part:
    """One process to run."""

    name: str
    """Role, with a number where there are several: ``receive-1``."""
    role: str
    user: str | None
    """Whom to become; None: stay who we are."""
    settings: bytes
    doors: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Plan:
    """Everything to run, in the order to start it."""

    parts: tuple[Part, ...]
    doors: tuple[Door, ...]
    privileges: str
    """For the log: ``separate users`` or ``all as USER``."""
    grace_s: int
    log_as_json: bool
    run: str
    folders: tuple[str, ...]
    """Made where they are missing; as root with separate users that was `paperpath init --system`."""
    drop: str
    """Made where it is missing, for the user id ``drop_reader``."""
    drop_reader: int
    logins: str
    """Where `auth` notes uses; made where it is missing, for the user id ``logins_writer``."""
    logins_writer: int
    config: Config
    """What all this follows from."""


@dataclass(frozen=True, slots=True)
class _Users:
    """Who runs what: names to become (None: nobody), and the ids that the kernel will name at the other end."""

    separate: bool
    helper: str = ""
    """Whom `auth.outside` runs as, by the configuration."""

    def name(self, role: str) -> str | None:
        if not self.separate:
            return None
        if role == logins.OUTSIDE:
            return self.helper if self.helper != "root" else None
        return PROCESS_USERS.get(role)

    def uid(self, role: str) -> int:
        name = self.name(role)
        if name is None:
            return own_uid()
        user = find_user(name)
        if user is None:
            raise PlanError(f"there is no system user {name}: run `paperpath init --system` once, as root")
        return user.uid

    @property
    def mail(self) -> str:
        return MAIL_USER if self.separate else user_name(own_uid())


def make_plan(config: Config, processors: int) -> Plan:
    """Work out what to run.  Raises PlanError."""
    users = _Users(separate=own_uid() == 0 and config.privileges == "separate", helper=config.auth.helper_user)
    smtp = tuple(_door(listen) for listen in config.listen if not is_pop3(listen))
    pop3 = tuple(_door(listen) for listen in config.listen if is_pop3(listen))
    privileges = "separate users" if users.separate else f"all as {user_name(own_uid())}"
    state = (queue_folder(config), spool_folder(config), mail_root(config), guard_folder(config))
    return Plan(
        parts=tuple(_parts(config, users, smtp, pop3, processors)),
        doors=(*_inner_doors(config), Door(_INJECT, Unix(inject_socket(config))), *smtp, *pop3),
        privileges=privileges,
        grace_s=config.stop.grace,
        log_as_json=common(config)["log_as_json"],
        run=config.paths.run,
        folders=(config.paths.run, *(() if users.separate else state)),
        drop=drop_folder(config),
        drop_reader=users.uid("receive"),
        logins=logins_folder(config),
        logins_writer=users.uid("auth"),
        config=config,
    )


def _parts(
    config: Config, users: _Users, smtp: tuple[Door, ...], pop3: tuple[Door, ...], processors: int
) -> Iterator[Part]:
    """Yield the processes in the order to start them.  Raises PlanError."""

    def part(role: str, settings: Common, doors: Iterable[str], number: int = 0, count: int = 1) -> Part:
        name = role.replace(".", "-") + (f"-{number + 1}" if count > 1 else "")
        return Part(name, role, users.name(role), msgspec.msgpack.encode(settings), tuple(doors))

    tls = _tls(config)
    yield part("queue", _queue(config, users), ("intake", "remote", "control"))
    yield part("local", _local(config, users), _local_doors(config))
    for role, settings in _logins(config, users):
        yield part(role, settings, (role,))
    for number in range(config.remote.processes):
        yield part("remote", _remote(config), (), number, config.remote.processes)
    if is_guarded(config):
        yield part("guard", guard_settings(config, users.uid), GUARD_DOORS)
    if pop3:
        fetching = pop3_settings(config, tls, _guard_door(config), _proxied(config, pop3=True))
        yield part("pop3", fetching, (door.name for door in pop3))
    receivers = config.receive.processes or max(1, processors // 2)
    for number in range(receivers):
        receive = _receive(config, users, tls, receivers, takes_drops=number == 0)
        yield part("receive", receive, (*(door.name for door in smtp), _INJECT), number, receivers)


def _logins(config: Config, users: _Users) -> list[tuple[str, Common]]:
    """Return `auth` and its helpers, with their settings.  Raises PlanError."""
    try:
        return list(logins.settings(config, users.uid, _pass_key()))
    except ValueError as error:
        raise PlanError(str(error)) from None


def _door_name(listen: Listen) -> str:
    return f"{listen.service} {listen.address}"


def _proxied(config: Config, *, pop3: bool) -> frozenset[str]:
    """Return the names of the listening sockets, of `pop3` or of `receive`, that are behind load balancers."""
    return frozenset(
        _door_name(listen) for listen in config.listen if listen.proxy == "always" and is_pop3(listen) is pop3
    )


def _inner_doors(config: Config) -> tuple[Door, ...]:
    """The sockets between processes.  Who is at the other end is told by the kernel, so their mode need not."""
    paths = {
        "intake": "queue.intake",
        "remote": "queue.remote",
        "control": "queue.control",
        "lookup": "local.lookup",
        "workers": "local.workers",
        **(GUARD_DOORS if is_guarded(config) else {}),
        **{role: role for role in logins.roles(config)},
        **({MAILBOXES: "local.mailboxes"} if needs_pop3(config) else {}),
    }
    return tuple(Door(name, Unix(os.path.join(config.paths.run, file))) for name, file in paths.items())


def _door(listen: Listen) -> Door:
    return Door(_door_name(listen), parse_listen(listen.address))


def _local_doors(config: Config) -> tuple[str, ...]:
    return ("lookup", "workers", *((MAILBOXES,) if needs_pop3(config) else ()))


def _guard_door(config: Config) -> str:
    return os.path.join(config.paths.run, GUARD_DOOR) if is_guarded(config) else ""


def _tls(config: Config) -> TlsSettings | None:
    """Return what processes that speak TLS with clients are told, tried out.  Raises PlanError."""
    try:
        tls = read_tls(config.tls)
        if tls is not None:
            from paperpath.system.tls import ServerTls  # not every host has a certificate

            ServerTls(tls)
    except ValueError as error:
        raise PlanError(f"[tls] {error}") from None
    return tls


def _receive(
    config: Config, users: _Users, tls: TlsSettings | None, processes: int, *, takes_drops: bool
) -> ReceiveSettings:
    return ReceiveSettings(
        **common(config),
        routing=routing_table(config),
        relay_networks=config.relay.networks,
        message_size_bytes=config.receive.message_size,
        recipients_most=config.receive.recipients,
        relay_recipients_most=config.receive.relay_recipients,
        sessions_most=max(1, config.receive.sessions // processes),
        sessions_per_address=config.receive.sessions_per_address,
        command_timeout_s=config.receive.command_timeout,
        proxied=_proxied(config, pop3=False),
        proxy_networks=config.fronts.proxy,
        xclient_networks=config.fronts.xclient,
        tls=tls,
        greeting=config.receive.greeting,
        refused_senders=frozenset(map(as_bytes, config.receive.refused_senders)),
        spool=spool_folder(config),
        inject_size_bytes=injected_size_bytes(config),
        trusted_users=_trusted(config, users),
        drop=drop_folder(config) if takes_drops else "",
        guard=_guard_door(config),
        limits=session_limits(config),
        writable=(spool_folder(config), drop_folder(config)),
        auth=logins.door(config),
        mechanisms=logins.mechanisms(config),
        plain_in_clear=config.auth.plain_in_clear,
    )


def _trusted(config: Config, users: _Users) -> frozenset[int]:
    """Return who may send for others.  Raises PlanError."""
    trusted = set(operator_users(users.uid))
    for name in config.inject.trusted_users:
        user = find_user(name)
        if user is None:
            raise PlanError(f"[inject] trusted_users: there is no system user {name}")
        trusted.add(user.uid)
    # Under tcpserver, qmail-smtpd and its like bring strangers' mail as this user.
    if config.qmail.home and (network := find_user(_QMAIL_NETWORK_USER)) is not None:
        trusted.add(network.uid)
    return frozenset(trusted)


def _queue(config: Config, users: _Users) -> QueueSettings:
    return QueueSettings(
        **common(config),
        routing=routing_table(config),
        folder=queue_folder(config),
        writable=(queue_folder(config),),
        lifetime_s=config.queue.lifetime,
        local_concurrency=config.queue.local_concurrency,
        remote_concurrency=config.queue.remote_concurrency,
        local_destination_concurrency=config.queue.local_destination_concurrency,
        remote_destination_concurrency=config.queue.remote_destination_concurrency,
        transaction_recipients=config.queue.transaction_recipients,
        bounce_local_part=config.bounce.address,
        bounce_host=config.bounce.host,
        double_bounce_to=config.bounce.double_to,
        intake_users=(users.uid("receive"),),
        remote_users=(users.uid("remote"),),
        operator_users=tuple(operator_users(users.uid)),
    )


def _local(config: Config, users: _Users) -> LocalSettings:
    return LocalSettings(
        **common(config),
        mail=mail_root(config),
        mail_user=users.mail,
        change_user=users.separate,
        instructions=Instructions(
            default_delivery=config.local.default_delivery,
            program_timeout_s=config.local.program_timeout,
            aliases=f"{config.local.aliases}.cdb" if config.local.aliases else "",
            forward_files=config.local.forward_files == "followed",
            completion=_completion(config),
        ),
        mailbox_domains=frozenset(domain.encode() for domain in config.mailboxes.domains),
        qmail_home=config.qmail.home,
        lookup_users=tuple({users.uid("receive"), users.uid("queue")}),
        worker_users=(users.uid("queue"),),
        opener_users=opener_users(config, users.uid),
        pass_key=_pass_key(),
    )


@cache
def _pass_key() -> bytes:
    """Return the key of door passes: drawn once, so that it is the same after HUP and for a process started again."""
    return random_bytes(PASS_KEY_BYTES)


def _completion(config: Config) -> tuple[bytes, bytes, bytes]:
    """Return what completes addresses that users typed.  Raises PlanError."""
    hostname = config.hostname.encode()
    if not config.qmail.home:
        return hostname, hostname, hostname
    try:
        return Control(config.qmail.home).completion(hostname)
    except OSError as error:
        raise PlanError(f"{error.filename}: {error.strerror}") from None


def _authorities(file: str) -> str:
    """Return the text of a file of certificates, if there is one.  Raises PlanError."""
    try:
        return read_pem(file).decode("ascii") if file else ""
    except ValueError as error:
        raise PlanError(f"[remote] trusted_certificates: {error}") from None


def _remote(config: Config) -> RemoteSettings:
    return RemoteSettings(
        **common(config),
        helo=config.remote.helo or config.hostname,
        connect_timeout_s=config.remote.connect_timeout,
        timeout_s=config.remote.timeout,
        resolver=config.remote.resolver,
        port=config.remote.port,
        tls=config.remote.tls,
        trusted_certificates=_authorities(config.remote.trusted_certificates),
        connections_most=max(1, config.queue.remote_concurrency + _FILES_SPARE),
        routing=routing_table(config),
    )
