"""The qmail control directory as settings: ``[qmail] home`` in the TOML, and what is read again, and when.

With a home set, every setting that has a control file comes from there, the default for a missing file included
(reference 2.2); the TOML keeps what qmail has no file for.  Two deliberate differences: without ``rcpthosts`` mail
is taken for what is delivered here, and nothing is relayed (qmail would relay for everybody); and an unusable
``smtproutes`` entry is an error here, where qmail notices at each delivery.

qmail-send reads its files once, and at HUP ``locals`` and ``virtualdomains`` only; qmail-smtpd and qmail-remote
read theirs each time they are started.  So one reading of everything is put in force in three ways:
`with_control` at start, `after_hup`, and `after_change` when one of ``SESSION_FILES`` was seen to have changed.
"""

import os

from msgspec.structs import replace

from paperpath.config.control import Control
from paperpath.config.endpoints import parse_route
from paperpath.config.problems import ConfigError, Problem
from paperpath.config.schema import Config, Relay
from paperpath.config.schema_delivery import Bounce, Local, Queue, Remote
from paperpath.config.schema_sessions import Receive

SESSION_FILES = (
    "me",
    "badmailfrom",
    "databytes",
    "helohost",
    "localiphost",
    "morercpthosts.cdb",
    "rcpthosts",
    "smtpgreeting",
    "smtproutes",
    "timeoutconnect",
    "timeoutremote",
    "timeoutsmtpd",
)
"""What qmail reads anew for each session or connection."""

UNLIMITED_BYTES = 1 << 50
"""What ``databytes`` 0 means: more than anybody has."""

_SMTP_PORT = b"25"


def as_bytes(text: str) -> bytes:
    """Return the bytes that a setting stands for: those of a control file need not be UTF-8."""
    return text.encode("utf-8", "surrogateescape")


def as_text(raw: bytes) -> str:
    """Return bytes of a control file as a setting holds them."""
    return raw.decode("utf-8", "surrogateescape")


def with_control(config: Config) -> Config:
    """Return the configuration with what the control directory of its qmail home says.  Raises ConfigError."""
    reading = _Reading(config.qmail.home)
    try:
        found = reading.settings(config)
    except (OSError, ValueError) as error:
        reading.note("", getattr(error, "strerror", None) or str(error), "mend it, or take out [qmail] home")
        found = config
    if reading.problems:
        raise ConfigError(config.qmail.home + "/control", tuple(reading.problems))
    return found


def after_hup(former: Config, now: Config) -> Config:
    """Return what is in force after HUP: ``now``, but for what qmail-send reads only when it starts."""
    if not now.qmail.home or now.qmail.home != former.qmail.home:
        return now
    return replace(
        now,
        hostname=former.hostname,
        local=replace(now.local, default_domain=former.local.default_domain, percent_hack=former.local.percent_hack),
        queue=replace(
            now.queue,
            lifetime=former.queue.lifetime,
            local_concurrency=former.queue.local_concurrency,
            remote_concurrency=former.queue.remote_concurrency,
        ),
        bounce=former.bounce,
    )


def after_change(former: Config, now: Config) -> Config:
    """Return what is in force once one of ``SESSION_FILES`` has changed: ``former``, but for what they say."""
    return replace(
        former,
        receive=_receive(former.receive, now.receive),
        relay=replace(former.relay, domains=now.relay.domains, open_to=now.relay.open_to),
        routes=now.routes,
        remote=replace(
            former.remote,
            helo=now.remote.helo,
            connect_timeout=now.remote.connect_timeout,
            timeout=now.remote.timeout,
        ),
    )


def _receive(former: Receive, now: Receive) -> Receive:
    return replace(
        former,
        message_size=now.message_size,
        command_timeout=now.command_timeout,
        greeting=now.greeting,
        literal_domain=now.literal_domain,
        refused_senders=now.refused_senders,
    )


def session_state(home: str) -> tuple[tuple[int, int, int] | None, ...]:
    """Return what tells whether one of ``SESSION_FILES`` was changed: time, inode and size of each.

    A file that cannot be looked at counts as missing: reading it will say why.
    """
    return tuple(_state(f"{home}/control/{name}") for name in SESSION_FILES)


def _state(path: str) -> tuple[int, int, int] | None:
    try:
        found = os.stat(path)
    except OSError:
        return None
    return found.st_mtime_ns, found.st_ino, found.st_size


class _Reading:
    """One reading of a control directory."""

    def __init__(self, home: str) -> None:
        self._control = Control(home)
        self.problems: list[Problem] = []

    def note(self, file: str, wrong: str, instead: str) -> None:
        """Note a problem with a control file."""
        self.problems.append(Problem(file, wrong, instead))

    def settings(self, config: Config) -> Config:
        """Return ``config`` with what the files say.  Raises OSError, and ValueError for a spoiled cdb."""
        hostname = self._text("me") or config.hostname
        return replace(
            config,
            hostname=hostname,
            local=self._local(config.local),
            virtual={as_text(key): as_text(value) for key, value in self._control.virtualdomains().items()},
            relay=self._relay(config.relay),
            routes={as_text(key): self._route(key, value) for key, value in self._control.smtproutes().items()},
            receive=self._receiving(config.receive),
            queue=self._queue(config.queue),
            remote=self._remote(config.remote),
            bounce=self._bounce(hostname),
        )

    def _local(self, local: Local) -> Local:
        domains = self._control.locals()
        if domains is None:
            self.note("locals", "is missing, and so is me", "write this host's name into control/me")
        return replace(
            local,
            domains=_texts(domains or ()),
            default_domain=self._text("envnoathost"),
            percent_hack=_texts(self._control.percenthack()),
        )

    def _relay(self, relay: Relay) -> Relay:
        found = self._control.rcpthosts()
        if found.hosts is None:
            return replace(relay, domains=(), open_to="ours")
        more = () if found.more is None else (key for key, _ in found.more)
        return replace(relay, domains=_texts(found.hosts.union(more)), open_to="listed")

    def _route(self, key: bytes, value: bytes) -> str:
        """Return a next hop as ``[routes]`` writes it; nothing where exchangers count (reference 12.4)."""
        if not value:
            return ""
        host, _, port = value.partition(b":")
        if host[:1] == b"[" and host[-1:] == b"]":
            host = host[1:-1]
        try:
            return str(parse_route(f"smtp://{as_text(host)}:{as_text(port or _SMTP_PORT)}"))
        except ValueError as error:
            self.note("smtproutes", f"{as_text(key)}: {error}", "write host:relay or host:relay:port")
            return ""

    def _receiving(self, receive: Receive) -> Receive:
        return replace(
            receive,
            message_size=self._control.number("databytes") or UNLIMITED_BYTES,
            command_timeout=self._control.number("timeoutsmtpd"),
            greeting=self._text("smtpgreeting"),
            literal_domain=self._text("localiphost"),
            refused_senders=_texts(self._control.badmailfrom()),
        )

    def _queue(self, queue: Queue) -> Queue:
        return replace(
            queue,
            lifetime=self._control.number("queuelifetime"),
            local_concurrency=self._control.number("concurrencylocal"),
            remote_concurrency=self._control.number("concurrencyremote"),
        )

    def _remote(self, remote: Remote) -> Remote:
        return replace(
            remote,
            helo=self._text("helohost"),
            connect_timeout=max(1, self._control.number("timeoutconnect")),
            timeout=max(1, self._control.number("timeoutremote")),
        )

    def _bounce(self, hostname: str) -> Bounce:
        to = self._text("doublebounceto")
        return Bounce(
            address=self._text("bouncefrom"),
            host=self._text("bouncehost") or hostname,
            double_to=f"{to}@{self._text('doublebouncehost')}" if to else "",
        )

    def _text(self, name: str) -> str:
        """Return a line that must be text, because people or other hosts read it."""
        raw = self._control.line(name) or b""
        try:
            text = raw.decode()
        except UnicodeDecodeError:
            text = "\0"
        if not text.isprintable():
            self.note(name, "holds what is not text", "write it as UTF-8, in one line")
        return text


def _texts(entries: frozenset[bytes] | tuple[()]) -> tuple[str, ...]:
    return tuple(sorted(map(as_text, entries)))
