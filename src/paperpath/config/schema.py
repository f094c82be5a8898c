"""Every setting of ``paperpath.toml``: its name, kind, default with the reason for it, bounds and page text.

This file is the only list.  The reader, `paperpath check-config` and `docs/reference/configuration.md` come
from it.  Durations are seconds inside and ``"90s"``, ``"5m"``, ``"7d"`` in the file; sizes are bytes inside and
``"50MiB"`` in it.
"""

from typing import Annotated, Literal

import msgspec
from msgspec import Meta

from paperpath.base.limits import RECIPIENTS_MINIMUM, RECIPIENTS_MOST
from paperpath.config.schema_auth import Auth, OAuth
from paperpath.config.schema_fronts import Fronts
from paperpath.config.schema_pop3 import Pop3
from paperpath.config.schema_tls import Tls
from paperpath.config.section import Duration, Section, Size, Text
from paperpath.config.section import about as _about

Service = Literal["smtp", "submission", "submissions", "lmtp", "qmtp", "qmqp", "pop3", "pop3s"]

MESSAGE_SIZE_LEAST_BYTES = 64 * 1024
"""RFC 5321 4.5.3.1.7: every server takes 64K octets."""


class Listen(Section, frozen=True, kw_only=True):
    """One listening socket."""

    service: Annotated[Service, _about("What is spoken there.")]
    address: Annotated[Text, _about("Where: ``host:port``, ``[v6]:port`` or ``unix:/path``.")]
    proxy: Annotated[
        Literal["never", "always"],
        _about("Whether each connection begins with a PROXY header, from the load balancers of ``[fronts]`` only."),
    ] = "never"


class Paths(Section, frozen=True, kw_only=True):
    """Where things are."""

    state: Annotated[Text, _about("Queue, mailboxes and accounts.")] = "/var/lib/paperpath"
    run: Annotated[Text, _about("Sockets between the processes.")] = "/run/paperpath"


class Local(Section, frozen=True, kw_only=True):
    """Domains of system accounts."""

    domains: Annotated[tuple[str, ...], _about("Domains whose local parts are system accounts.")] = ()
    default_delivery: Annotated[
        Text,
        _about(
            "What is done with mail for an account that has no dot-qmail file, written as such a file; may have "
            "several lines.",
            reason="a Maildir needs no locks; qmail's own default is ``./Mailbox``",
        ),
    ] = "./Maildir/"
    program_timeout: Annotated[
        Duration,
        Meta(ge=1),
        _about(
            "How long a program of a dot-qmail file may take; it is then ended, and the message tried again.",
            unit="seconds",
            reason="longer than any filter needs; qmail waits for ever, and a hung one holds its place",
        ),
    ] = 3600
    default_domain: Annotated[
        str, _about("Domain of recipients that come without one (qmail's ``envnoathost``); empty means ``hostname``.")
    ] = ""
    aliases: Annotated[
        str,
        _about(
            "File of aliases as sendmail has them, for addresses that belong to no account and that no dot-qmail file "
            "of the `alias` user handles. What counts is the table beside it, with ``.cdb`` behind its name: "
            "`newaliases` makes it. Programs in it run as that user. Empty: none.",
            reason="accounts come first, as with fastforward on a qmail host",
        ),
    ] = ""
    forward_files: Annotated[
        Literal["ignored", "followed"],
        _about(
            "Whether ``.forward`` in the home of an account without a dot-qmail file is followed, as dot-forward does: "
            "addresses and programs, and the account's own name for the default delivery besides.",
            reason="a qmail host asks for it in its default delivery, and would not expect it elsewhere",
        ),
    ] = "ignored"
    percent_hack: Annotated[
        tuple[str, ...], _about("Domains in which ``a%b@domain`` means ``a@b`` (qmail's ``percenthack``).")
    ] = ()


class Mailboxes(Section, frozen=True, kw_only=True):
    """Domains whose mailboxes are made by `paperpath account`."""

    domains: Annotated[
        tuple[str, ...],
        _about("Domains of virtual mailboxes. Until the first account of one is made, its mail is put off."),
    ] = ()


class Relay(Section, frozen=True, kw_only=True):
    """Who may send where."""

    networks: Annotated[
        tuple[str, ...],
        _about("Clients that may send to any domain.", reason="this machine itself, and nobody else"),
    ] = ("127.0.0.0/8", "::1/128")
    domains: Annotated[
        tuple[str, ...],
        _about("Domains that anybody may send to and that are passed on; ``.example.org`` means its subdomains."),
    ] = ()
    open_to: Annotated[
        Literal["ours", "listed"],
        _about(
            "Where anybody may send: to what is delivered here and to ``domains``; or to ``domains`` only, even if "
            "more is delivered here (qmail's ``rcpthosts``).",
        ),
    ] = "ours"


class Receive(Section, frozen=True, kw_only=True):
    """Sessions with clients."""

    processes: Annotated[
        int, Meta(ge=0, le=64), _about("How many `receive` processes; 0 picks by the number of processors.")
    ] = 0
    message_size: Annotated[
        Size,
        Meta(ge=MESSAGE_SIZE_LEAST_BYTES),
        _about(
            "Largest message taken.",
            unit="bytes",
            reason="what large providers take, so nothing they send bounces",
        ),
    ] = 50 * 1024 * 1024
    recipients: Annotated[
        int,
        Meta(ge=RECIPIENTS_MINIMUM, le=RECIPIENTS_MOST),
        _about(
            "Recipients of one message from a stranger.",
            reason="ten times the 100 that RFC 5321 4.5.3.1.8 demands",
        ),
    ] = 1000
    relay_recipients: Annotated[
        int,
        Meta(ge=RECIPIENTS_MINIMUM, le=RECIPIENTS_MOST),
        _about("Recipients of one message from a relay network.", reason="lists are sent in one transaction"),
    ] = RECIPIENTS_MOST
    sessions: Annotated[
        int,
        Meta(ge=1, le=1_000_000),
        _about("Sessions at once, over all `receive` processes.", reason="10,000 idle ones take under 200 MB"),
    ] = 10_000
    sessions_per_address: Annotated[
        int,
        Meta(ge=1, le=1_000_000),
        _about(
            "Sessions at once from one stranger's address (of IPv6, from one /64); each `receive` process counts its "
            "own. Relay networks have no such limit.",
            reason="Postfix's; its own client opens 20 to one destination",
        ),
    ] = 50
    command_timeout: Annotated[
        Duration,
        Meta(ge=1),
        _about(
            "Time after which a session is closed that brought no whole command and no 64 KiB of content.",
            unit="seconds",
            reason="RFC 5321 4.5.3.2.7: at least 5 minutes",
        ),
    ] = 300
    greeting: Annotated[
        str, _about("What stands after the code in the greeting, a host name first; empty means ``hostname``.")
    ] = ""
    literal_domain: Annotated[
        str,
        _about(
            "Domain that stands for an IPv4 address of this host, ``user@[192.0.2.1]`` (qmail's ``localiphost``); "
            "empty: none does."
        ),
    ] = ""
    refused_senders: Annotated[
        tuple[str, ...],
        _about("Senders, addresses or ``@domain``, whose every recipient is refused (qmail's ``badmailfrom``)."),
    ] = ()


class Limits(Section, frozen=True, kw_only=True):
    """How much one client may have of this server; relay networks are bound by timeouts and ``throughput`` alone."""

    sessions_per_network: Annotated[
        int,
        Meta(ge=1, le=1_000_000),
        _about(
            "Sessions at once from one stranger's network, an IPv4 /24 or an IPv6 /48, over all `receive` processes.",
            reason="four busy servers of one provider side by side, and a fiftieth of all",
        ),
    ] = 200
    reserved_percent: Annotated[
        int,
        Meta(ge=0, le=90),
        _about(
            "Part of all sessions that strangers cannot have: half of it is for clients that brought mail before, "
            "half for relay networks alone.",
            unit="percent",
            reason="a flood leaves room for those whom one knows",
        ),
    ] = 20
    commands: Annotated[
        int,
        Meta(ge=10, le=1_000_000),
        _about(
            "Commands in a row that bring no message on (NOOP, RSET, a refused RCPT) before the session ends.",
            reason="Postfix's; an honest client needs three a message",
        ),
    ] = 100
    messages: Annotated[
        int,
        Meta(ge=1, le=1_000_000),
        _about("Messages in one session.", reason="whoever has more connects again, and is judged again"),
    ] = 1000
    connections_per_minute: Annotated[
        int,
        Meta(ge=0, le=1_000_000),
        _about(
            "Connections of one stranger's address (of IPv6, of one /64) in any minute; 0: any number.",
            reason="fifty a second: more than one server needs, even if it connects for each message",
        ),
    ] = 3000
    messages_per_minute: Annotated[
        int,
        Meta(ge=0, le=1_000_000),
        _about(
            "Messages of one stranger's address in any minute; 0: any number.",
            reason="a message a connection",
        ),
    ] = 3000
    recipients_per_minute: Annotated[
        int,
        Meta(ge=0, le=10_000_000),
        _about(
            "Recipients of one stranger's address in any minute; 0: any number.",
            reason="six full messages of ``[receive] recipients``",
        ),
    ] = 6000
    account_recipients_per_hour: Annotated[
        int,
        Meta(ge=0, le=10_000_000),
        _about(
            "Recipients that one account may send to in any hour; 0: any number.",
            reason="more than a person writes to, and little for whoever stole the password",
        ),
    ] = 500
    account_recipients_per_day: Annotated[
        int,
        Meta(ge=0, le=100_000_000),
        _about(
            "The same in any day; 0: any number.",
            reason="what the large mailbox providers allow",
        ),
    ] = 2000
    content_timeout: Annotated[
        Duration,
        Meta(ge=1),
        _about(
            "Stretch of content within which ``throughput`` must be reached on average.",
            unit="seconds",
            reason="RFC 5321 4.5.3.2.5: what a client grants a stalled connection",
        ),
    ] = 180
    throughput: Annotated[
        int,
        Meta(ge=1, le=1_000_000),
        _about(
            "Least speed of a message's content.",
            unit="bytes a second",
            reason="a quarter of what a GSM modem brings; at it, a slot costs its holder something",
        ),
    ] = 256
    strained_timeout: Annotated[
        Duration,
        Meta(ge=1),
        _about(
            "What ``command_timeout`` and ``content_timeout`` become for strangers while sessions run short.",
            unit="seconds",
            reason="a server that has something to say says it; Postfix waits 10 s then",
        ),
    ] = 20
    greeting_delay: Annotated[
        Duration,
        Meta(ge=0, le=60),
        _about(
            "How long a stranger waits for the greeting; who speaks before it is refused (RFC 5321 4.3.1).",
            unit="seconds",
            reason="a program that does not listen speaks at once; who brought mail before waits no more",
        ),
    ] = 1
    error_delay: Annotated[
        Duration,
        Meta(ge=0, le=60),
        _about(
            "How long a stranger's session stands still after each refusal from the fourth on.",
            unit="seconds",
            reason="Postfix's; makes trying names from a list slow",
        ),
    ] = 1


class Bans(Section, frozen=True, kw_only=True):
    """Addresses that are not served for a while, because of what they did."""

    points: Annotated[
        int,
        Meta(ge=0, le=10_000),
        _about(
            "What counts against an address within ``window`` before it is banned; 0: no bans but an operator's. "
            "A failed login or an unknown recipient counts 1, slow content 2, most else 5, another protocol 10.",
            reason="nobody mistypes a password twenty times; a list with that many dead addresses is one to look at",
        ),
    ] = 20
    window: Annotated[
        Duration, Meta(ge=1), _about("How long something counts.", unit="seconds", reason="slow guessing is no use")
    ] = 3600
    first: Annotated[
        Duration,
        Meta(ge=1),
        _about(
            "How long the first ban of an address lasts; each further one four times as long.",
            unit="seconds",
            reason="ends a burst, and whoever shares the address is back soon",
        ),
    ] = 600
    most: Annotated[
        Duration,
        Meta(ge=1),
        _about(
            "How long a ban lasts at the most, and how long a former one is remembered.",
            unit="seconds",
            reason="addresses change hands",
        ),
    ] = 7 * 86400
    trusted: Annotated[
        tuple[str, ...],
        _about("Networks that are never banned, beside those of ``[relay] networks``."),
    ] = ()


class Inject(Section, frozen=True, kw_only=True):
    """Programs of this host that send mail: sendmail, qmail-inject and the like."""

    trusted_users: Annotated[
        tuple[str, ...],
        _about(
            "System accounts that may send under any envelope sender, beside root and the service's own, and with a "
            "qmail home ``qmaild``; others get their own address instead.",
        ),
    ] = ()


class Queue(Section, frozen=True, kw_only=True):
    """The store and its schedule."""

    engine: Annotated[Literal["sqlite"], _about("Where the queue is kept.")] = "sqlite"
    lifetime: Annotated[
        Duration,
        Meta(ge=0),
        _about(
            "Age after which a deferral becomes a failure, after one last try.",
            unit="seconds",
            reason="qmail's week",
        ),
    ] = 7 * 86400
    local_concurrency: Annotated[
        int,
        Meta(ge=0, le=10_000),
        _about("Local deliveries under way at once; 0 stops them.", reason="a batch a sync"),
    ] = 400
    remote_concurrency: Annotated[
        int,
        Meta(ge=0, le=10_000),
        _about("Remote transactions under way at once; 0 stops them.", reason="a connection each, at the most"),
    ] = 400
    local_destination_concurrency: Annotated[
        int, Meta(ge=1, le=10_000), _about("The same for one account.", reason="enough to share a sync")
    ] = 100
    remote_destination_concurrency: Annotated[
        int,
        Meta(ge=1, le=10_000),
        _about("The same for one domain.", reason="what a peer takes without complaint"),
    ] = 20
    transaction_recipients: Annotated[
        int,
        Meta(ge=1, le=1000),
        _about(
            "Recipients of one message handed to a peer in one transaction.",
            reason="RFC 5321 4.5.3.1.8: all take 100",
        ),
    ] = 100


class Remote(Section, frozen=True, kw_only=True):
    """Sending to other servers."""

    processes: Annotated[int, Meta(ge=1, le=64), _about("How many `remote` processes.")] = 1
    helo: Annotated[str, _about("Name given in EHLO; empty means ``hostname``.")] = ""
    connect_timeout: Annotated[
        Duration,
        Meta(ge=1),
        _about("How long one address may take to answer a connection.", unit="seconds", reason="qmail's minute"),
    ] = 60
    timeout: Annotated[
        Duration,
        Meta(ge=1),
        _about(
            "The most that any step of a conversation may take; RFC 5321 4.5.3.2 gives most of them less.",
            unit="seconds",
            reason="qmail's 20 minutes",
        ),
    ] = 1200
    resolver: Annotated[
        str, _about("Address of the name server, ``host`` or ``host:port``; empty means /etc/resolv.conf.")
    ] = ""
    port: Annotated[int, Meta(ge=1, le=65535), _about("Port of other servers where no route names one.")] = 25
    tls: Annotated[
        Literal["opportunistic", "never"],
        _about("STARTTLS where the peer offers it, without proof of identity; or not at all."),
    ] = "opportunistic"
    trusted_certificates: Annotated[
        str,
        _about(
            "PEM file of the authorities that must vouch for a server where the sender demands TLS (REQUIRETLS); empty "
            "means those whom the system trusts."
        ),
    ] = ""


class Bounce(Section, frozen=True, kw_only=True):
    """Failure reports."""

    address: Annotated[Text, _about("Local part that reports come from, at ``host``.")] = "MAILER-DAEMON"
    host: Annotated[str, _about("Domain that reports come from; empty means ``hostname``.")] = ""
    double_to: Annotated[
        str,
        _about("Where reports go that could not be delivered to the sender; without ``@``, at ``hostname``."),
    ] = "postmaster"


class Qmail(Section, frozen=True, kw_only=True):
    """A qmail host's own files."""

    home: Annotated[
        str,
        _about(
            "Folder of a qmail installation: ``control/``, ``users/`` and ``alias/`` in it are read as qmail "
            "reads them, and every setting that has a control file is taken from there, its default included; empty: "
            "none."
        ),
    ] = ""


class Logging(Section, frozen=True, kw_only=True):
    """What is written to standard error."""

    format: Annotated[Literal["logfmt", "json"], _about("One line an event, for people or for programs.")] = "logfmt"


class Stop(Section, frozen=True, kw_only=True):
    """How the service ends."""

    grace: Annotated[
        Duration,
        Meta(ge=0),
        _about(
            "How long what is under way may take to finish after TERM.",
            unit="seconds",
            reason="systemd kills at 90",
        ),
    ] = 30


class Config(Section, frozen=True, kw_only=True):
    """The whole file."""

    hostname: Annotated[Text, _about("This host's fully qualified name.")]
    listen: Annotated[tuple[Listen, ...], _about("Listening sockets.")] = ()
    postmaster: Annotated[
        str,
        _about(
            "Address that gets the mail for ``postmaster`` at every domain here; empty: an account of that name does."
        ),
    ] = ""
    privileges: Annotated[
        Literal["separate", "caller"],
        _about(
            "Started as root: every process under its own user, or all as root (to try things out only). "
            "Started by anybody else: all run as the caller."
        ),
    ] = "separate"
    paths: Paths = Paths()
    local: Local = Local()
    mailboxes: Mailboxes = Mailboxes()
    virtual: Annotated[
        dict[str, str],
        _about("Domain (or address, or ``.suffix``) to the account that handles it; empty: not virtual after all."),
    ] = msgspec.field(default_factory=dict)
    relay: Relay = Relay()
    routes: Annotated[
        dict[str, str],
        _about(
            "Domain (``.suffix``; empty: all) to next hop: ``smtp://host[:port]``, ``lmtp://host[:port]``, "
            "``lmtp:unix:/path`` or ``qmtp://host[:port]``; empty: use MX."
        ),
    ] = msgspec.field(default_factory=dict)
    receive: Receive = Receive()
    auth: Auth = Auth()
    oauth: OAuth = OAuth()
    senders: Annotated[
        dict[str, str],
        _about(
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
