"""The settings of what becomes of mail: `[local]`, `[mailboxes]`, `[queue]`, `[remote]` and `[bounce]`."""

from typing import Annotated, Literal

from msgspec import Meta

from paperpath.config.section import Duration, Section, Text, about


class Local(Section, frozen=True, kw_only=True):
    """Domains of system accounts."""

    domains: Annotated[tuple[str, ...], about("Domains whose local parts are system accounts.")] = ()
    default_delivery: Annotated[
        Text,
        about(
            "What is done with mail for an account that has no dot-qmail file, written as such a file; may have "
            "several lines.",
            reason="a Maildir needs no locks; qmail's own default is ``./Mailbox``",
        ),
    ] = "./Maildir/"
    program_timeout: Annotated[
        Duration,
        Meta(ge=1),
        about(
            "How long a program of a dot-qmail file may take; it is then ended, and the message tried again.",
            unit="seconds",
            reason="longer than any filter needs; qmail waits for ever, and a hung one holds its place",
        ),
    ] = 3600
    default_domain: Annotated[
        str, about("Domain of recipients that come without one (qmail's ``envnoathost``); empty means ``hostname``.")
    ] = ""
    aliases: Annotated[
        str,
        about(
            "File of aliases as sendmail has them, for addresses that belong to no account and that no dot-qmail file "
            "of the `alias` user handles. What counts is the table beside it, with ``.cdb`` behind its name: "
            "`newaliases` makes it. Programs in it run as that user. Empty: none.",
            reason="accounts come first, as with fastforward on a qmail host",
        ),
    ] = ""
    forward_files: Annotated[
        Literal["ignored", "followed"],
        about(
            "Whether ``.forward`` in the home of an account without a dot-qmail file is followed, as dot-forward does: "
            "addresses and programs, and the account's own name for the default delivery besides.",
            reason="a qmail host asks for it in its default delivery, and would not expect it elsewhere",
        ),
    ] = "ignored"
    percent_hack: Annotated[
        tuple[str, ...], about("Domains in which ``a%b@domain`` means ``a@b`` (qmail's ``percenthack``).")
    ] = ()


class Mailboxes(Section, frozen=True, kw_only=True):
    """Domains whose mailboxes are made by `paperpath account`."""

    domains: Annotated[
        tuple[str, ...],
        about("Domains of virtual mailboxes. Until the first account of one is made, its mail is put off."),
    ] = ()


class Queue(Section, frozen=True, kw_only=True):
    """The store and its schedule."""

    engine: Annotated[Literal["sqlite"], about("Where the queue is kept.")] = "sqlite"
    lifetime: Annotated[
        Duration,
        Meta(ge=0),
        about(
            "Age after which a deferral becomes a failure, after one last try.",
            unit="seconds",
            reason="qmail's week",
        ),
    ] = 7 * 86400
    local_concurrency: Annotated[
        int,
        Meta(ge=0, le=10_000),
        about("Local deliveries under way at once; 0 stops them.", reason="a batch a sync"),
    ] = 400
    remote_concurrency: Annotated[
        int,
        Meta(ge=0, le=10_000),
        about("Remote transactions under way at once; 0 stops them.", reason="a connection each, at the most"),
    ] = 400
    local_destination_concurrency: Annotated[
        int, Meta(ge=1, le=10_000), about("The same for one account.", reason="enough to share a sync")
    ] = 100
    remote_destination_concurrency: Annotated[
        int,
        Meta(ge=1, le=10_000),
        about("The same for one domain.", reason="what a peer takes without complaint"),
    ] = 20
    transaction_recipients: Annotated[
        int,
        Meta(ge=1, le=1000),
        about(
            "Recipients of one message handed to a peer in one transaction.",
            reason="RFC 5321 4.5.3.1.8: all take 100",
        ),
    ] = 100


class Remote(Section, frozen=True, kw_only=True):
    """Sending to other servers."""

    processes: Annotated[int, Meta(ge=1, le=64), about("How many `remote` processes.")] = 1
    helo: Annotated[str, about("Name given in EHLO; empty means ``hostname``.")] = ""
    connect_timeout: Annotated[
        Duration,
        Meta(ge=1),
        about("How long one address may take to answer a connection.", unit="seconds", reason="qmail's minute"),
    ] = 60
    timeout: Annotated[
        Duration,
        Meta(ge=1),
        about(
            "The most that any step of a conversation may take; RFC 5321 4.5.3.2 gives most of them less.",
            unit="seconds",
            reason="qmail's 20 minutes",
        ),
    ] = 1200
    resolver: Annotated[
        str, about("Address of the name server, ``host`` or ``host:port``; empty means /etc/resolv.conf.")
    ] = ""
    port: Annotated[int, Meta(ge=1, le=65535), about("Port of other servers where no route names one.")] = 25
    tls: Annotated[
        Literal["opportunistic", "never"],
        about("STARTTLS where the peer offers it, without proof of identity; or not at all."),
    ] = "opportunistic"
    trusted_certificates: Annotated[
        str,
        about(
            "PEM file of the authorities that must vouch for a server where the sender demands TLS (REQUIRETLS); empty "
            "means those whom the system trusts."
        ),
    ] = ""


class Bounce(Section, frozen=True, kw_only=True):
    """Failure reports."""

    address: Annotated[Text, about("Local part that reports come from, at ``host``.")] = "MAILER-DAEMON"
    host: Annotated[str, about("Domain that reports come from; empty means ``hostname``.")] = ""
    double_to: Annotated[
        str,
        about("Where reports go that could not be delivered to the sender; without ``@``, at ``hostname``."),
    ] = "postmaster"
