"""Every setting of ``paperpath.toml``: its name, kind, default with the reason for it, bounds and page text.

With the sections that it takes from the `schema_*.py` beside it, this file is the only list.  The reader, `paperpath
check-config` and `docs/reference/configuration.md` come from it.  Durations are seconds inside and ``"90s"``, ``"5m"``,
``"7d"`` in the file; sizes are bytes inside and ``"50MiB"`` in it.
"""

from typing import Annotated, Literal

import msgspec
from msgspec import Meta

from paperpath.config.program_values import DEFAULT_RUN, DEFAULT_STATE
from paperpath.config.schema_auth import Auth, OAuth
from paperpath.config.schema_delivery import Bounce, Local, Mailboxes, Queue, Remote
from paperpath.config.schema_fronts import Fronts
from paperpath.config.schema_pop3 import Pop3
from paperpath.config.schema_sessions import Bans, Limits, Receive
from paperpath.config.schema_tls import Tls
from paperpath.config.section import Duration, Section, Text, about

Service = Literal["smtp", "submission", "submissions", "lmtp", "qmtp", "qmqp", "pop3", "pop3s"]


class Listen(Section, frozen=True, kw_only=True):
    """One listening socket."""

    service: Annotated[Service, about("What is spoken there.")]
    address: Annotated[Text, about("Where: ``host:port``, ``[v6]:port`` or ``unix:/path``.")]
    proxy: Annotated[
        Literal["never", "always"],
        about(
            "Whether each connection begins with a PROXY header, from the load balancers of ``[fronts]`` only. Not for "
            "Unix sockets."
        ),
    ] = "never"


class Paths(Section, frozen=True, kw_only=True):
    """Where things are."""

    state: Annotated[Text, about("Queue, mailboxes and accounts.")] = DEFAULT_STATE
    run: Annotated[Text, about("Sockets between the processes.")] = DEFAULT_RUN


class Relay(Section, frozen=True, kw_only=True):
    """Who may send where."""

    networks: Annotated[
        tuple[str, ...],
        about("Clients that may send to any domain.", reason="this machine itself, and nobody else"),
    ] = ("127.0.0.0/8", "::1/128")
    domains: Annotated[
        tuple[str, ...],
        about("Domains that anybody may send to and that are passed on; ``.example.org`` means its subdomains."),
    ] = ()
    open_to: Annotated[
        Literal["ours", "listed"],
        about(
            "Where anybody may send: to what is delivered here and to ``domains``; or to ``domains`` only, even if "
            "more is delivered here (qmail's ``rcpthosts``).",
        ),
    ] = "ours"


class Inject(Section, frozen=True, kw_only=True):
    """Programs of this host that send mail: sendmail, qmail-inject and the like."""

    trusted_users: Annotated[
        tuple[str, ...],
        about(
            "System accounts that may send under any envelope sender, beside root and the service's own, and with a "
            "qmail home ``qmaild``; others get their own address instead.",
        ),
    ] = ()


class Qmail(Section, frozen=True, kw_only=True):
    """A qmail host's own files."""

    home: Annotated[
        str,
        about(
            "Folder of a qmail installation: ``control/``, ``users/`` and ``alias/`` in it are read as qmail "
            "reads them, and every setting that has a control file is taken from there, its default included; empty: "
            "none."
        ),
    ] = ""


class Logging(Section, frozen=True, kw_only=True):
    """What is written to standard error."""

    format: Annotated[Literal["logfmt", "json"], about("One line an event, for people or for programs.")] = "logfmt"


class Stop(Section, frozen=True, kw_only=True):
    """How the service ends."""

    grace: Annotated[
        Duration,
        Meta(ge=0),
        about(
            "How long what is under way may take to finish after TERM.",
            unit="seconds",
            reason="systemd kills at 90",
        ),
    ] = 30


class Config(Section, frozen=True, kw_only=True):
    """The whole file."""

    hostname: Annotated[Text, about("This host's fully qualified name.")]
    listen: Annotated[tuple[Listen, ...], about("Listening sockets.")] = ()
    postmaster: Annotated[
        str,
        about(
            "Address that gets the mail for ``postmaster`` at every domain here; empty: an account of that name does."
        ),
    ] = ""
    privileges: Annotated[
        Literal["separate", "caller"],
        about(
            "Started as root: every process under its own user, or all as root (to try things out only). "
            "Started by anybody else: all run as the caller."
        ),
    ] = "separate"
    paths: Paths = Paths()
    local: Local = Local()
    mailboxes: Mailboxes = Mailboxes()
    virtual: Annotated[
        dict[str, str],
        about("Domain (or address, or ``.suffix``) to the account that handles it; empty: not virtual after all."),
    ] = msgspec.field(default_factory=dict)
    relay: Relay = Relay()
    routes: Annotated[
        dict[str, str],
        about(
            "Domain (``.suffix``; empty: all) to next hop: ``smtp://host[:port]``, ``lmtp://host[:port]``, "
            "``lmtp:unix:/path`` or ``qmtp://host[:port]``; empty: use MX."
        ),
    ] = msgspec.field(default_factory=dict)
    receive: Receive = Receive()
    auth: Auth = Auth()
    oauth: OAuth = OAuth()
    senders: Annotated[
        dict[str, str],
        about(
            "Address, or ``@domain``, to the accounts that may send as it, separated by blanks, besides as themselves. "
            "The addresses that ``[virtual]`` gives to a system account are its own already."
        ),
    ] = msgspec.field(default_factory=dict)
    limits: Limits = Limits()
    bans: Bans = Bans()
    tls: Tls = Tls()
    pop3: Pop3 = Pop3()
    fronts: Fronts = Fronts()
    inject: Inject = Inject()
    queue: Queue = Queue()
    remote: Remote = Remote()
    bounce: Bounce = Bounce()
    qmail: Qmail = Qmail()
    log: Logging = Logging()
    stop: Stop = Stop()
