"""The settings of sessions with clients: `[receive]`, `[limits]` and `[bans]`."""

from typing import Annotated

from msgspec import Meta

from paperpath.base.limits import RECIPIENTS_MINIMUM, RECIPIENTS_MOST
from paperpath.config.program_values import DEFAULT_MESSAGE_SIZE_BYTES
from paperpath.config.section import Duration, Section, Size, about

MESSAGE_SIZE_LEAST_BYTES = 64 * 1024
"""RFC 5321 4.5.3.1.7: every server takes 64K octets."""


class Receive(Section, frozen=True, kw_only=True):
    """Sessions with clients."""

    processes: Annotated[
        int, Meta(ge=0, le=64), about("How many `receive` processes; 0 picks by the number of processors.")
    ] = 0
    message_size: Annotated[
        Size,
        Meta(ge=MESSAGE_SIZE_LEAST_BYTES),
        about(
            "Largest message taken.",
            unit="bytes",
            reason="what large providers take, so nothing they send bounces",
        ),
    ] = DEFAULT_MESSAGE_SIZE_BYTES
    recipients: Annotated[
        int,
        Meta(ge=RECIPIENTS_MINIMUM, le=RECIPIENTS_MOST),
        about(
            "Recipients of one message from a stranger.",
            reason="ten times the 100 that RFC 5321 4.5.3.1.8 demands",
        ),
    ] = 1000
    relay_recipients: Annotated[
        int,
        Meta(ge=RECIPIENTS_MINIMUM, le=RECIPIENTS_MOST),
        about(
            "Recipients of one message from a relay network, or from an account as far as its own ``[limits]`` go.",
            reason="lists are sent in one transaction",
        ),
    ] = RECIPIENTS_MOST
    sessions: Annotated[
        int,
        Meta(ge=1, le=1_000_000),
        about("Sessions at once, over all `receive` processes.", reason="10,000 idle ones take under 200 MB"),
    ] = 10_000
    sessions_per_address: Annotated[
        int,
        Meta(ge=1, le=1_000_000),
        about(
            "Sessions at once from one stranger's address (of IPv6, from one /64); each `receive` process counts its "
            "own. Relay networks have no such limit.",
            reason="Postfix's; its own client opens 20 to one destination",
        ),
    ] = 50
    command_timeout: Annotated[
        Duration,
        Meta(ge=1),
        about(
            "Time after which a session is closed that brought no whole command and no 64 KiB of content.",
            unit="seconds",
            reason="RFC 5321 4.5.3.2.7: at least 5 minutes",
        ),
    ] = 300
    greeting: Annotated[
        str, about("What stands after the code in the greeting, a host name first; empty means ``hostname``.")
    ] = ""
    literal_domain: Annotated[
        str,
        about(
            "Domain that stands for an IPv4 address of this host, ``user@[192.0.2.1]`` (qmail's ``localiphost``); "
            "empty: none does."
        ),
    ] = ""
    refused_senders: Annotated[
        tuple[str, ...],
        about("Senders, addresses or ``@domain``, whose every recipient is refused (qmail's ``badmailfrom``)."),
    ] = ()


class Limits(Section, frozen=True, kw_only=True):
    """How much one client may have of this server; relay networks are bound by timeouts and ``throughput`` alone."""

    sessions_per_network: Annotated[
        int,
        Meta(ge=1, le=1_000_000),
        about(
            "Sessions at once from one stranger's network, an IPv4 /24 or an IPv6 /48, over all `receive` processes.",
            reason="four busy servers of one provider side by side, and a fiftieth of all",
        ),
    ] = 200
    reserved_percent: Annotated[
        int,
        Meta(ge=0, le=90),
        about(
            "Part of all sessions that strangers cannot have: half of it is for clients that brought mail before, "
            "half for relay networks alone.",
            unit="percent",
            reason="a flood leaves room for those whom one knows",
        ),
    ] = 20
    commands: Annotated[
        int,
        Meta(ge=10, le=1_000_000),
        about(
            "Commands in a row that bring no message on (NOOP, RSET, a refused RCPT) before the session ends.",
            reason="Postfix's; an honest client needs three a message",
        ),
    ] = 100
    messages: Annotated[
        int,
        Meta(ge=1, le=1_000_000),
        about("Messages in one session.", reason="whoever has more connects again, and is judged again"),
    ] = 1000
    connections_per_minute: Annotated[
        int,
        Meta(ge=0, le=1_000_000),
        about(
            "Connections of one stranger's address (of IPv6, of one /64) in any minute, to send or to fetch mail; 0: "
            "any number.",
            reason="fifty a second: more than one server needs, even if it connects for each message",
        ),
    ] = 3000
    messages_per_minute: Annotated[
        int,
        Meta(ge=0, le=1_000_000),
        about(
            "Messages of one stranger's address in any minute; 0: any number.",
            reason="a message a connection",
        ),
    ] = 3000
    recipients_per_minute: Annotated[
        int,
        Meta(ge=0, le=10_000_000),
        about(
            "Recipients of one stranger's address in any minute; 0: any number.",
            reason="six full messages of ``[receive] recipients``",
        ),
    ] = 6000
    account_recipients_per_hour: Annotated[
        int,
        Meta(ge=0, le=10_000_000),
        about(
            "Recipients that one account may send to in any hour; 0: any number.",
            reason="more than a person writes to, and little for whoever stole the password",
        ),
    ] = 500
    account_recipients_per_day: Annotated[
        int,
        Meta(ge=0, le=100_000_000),
        about(
            "The same in any day; 0: any number.",
            reason="what the large mailbox providers allow",
        ),
    ] = 2000
    content_timeout: Annotated[
        Duration,
        Meta(ge=1),
        about(
            "Stretch of content within which ``throughput`` must be reached on average.",
            unit="seconds",
            reason="RFC 5321 4.5.3.2.5: what a client grants a stalled connection",
        ),
    ] = 180
    throughput: Annotated[
        int,
        Meta(ge=1, le=1_000_000),
        about(
            "Least speed of a message's content.",
            unit="bytes a second",
            reason="a quarter of what a GSM modem brings; at it, a slot costs its holder something",
        ),
    ] = 256
    strained_timeout: Annotated[
        Duration,
        Meta(ge=1),
        about(
            "What ``command_timeout`` and ``content_timeout`` become for strangers while sessions run short, and how "
            "long logging in may take then where mail is fetched.",
            unit="seconds",
            reason="a server that has something to say says it; Postfix waits 10 s then",
        ),
    ] = 20
    greeting_delay: Annotated[
        Duration,
        Meta(ge=0, le=60),
        about(
            "How long a stranger waits for the greeting of ``smtp``, without TLS from the start; who speaks before it "
            "is refused (RFC 5321 4.3.1).",
            unit="seconds",
            reason="a program that does not listen speaks at once; who brought mail before waits no more, and where "
            "one has to log in nobody waits",
        ),
    ] = 1
    error_delay: Annotated[
        Duration,
        Meta(ge=0, le=60),
        about(
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
        about(
            "What counts against an address within ``window`` before it is banned; 0: no bans but an operator's. "
            "A failed login or an unknown recipient counts 1, slow content 2, most else 5, another protocol 10.",
            reason="nobody mistypes a password twenty times; a list with that many dead addresses is one to look at",
        ),
    ] = 20
    window: Annotated[
        Duration, Meta(ge=1), about("How long something counts.", unit="seconds", reason="slow guessing is no use")
    ] = 3600
    first: Annotated[
        Duration,
        Meta(ge=1),
        about(
            "How long the first ban of an address lasts; each further one four times as long.",
            unit="seconds",
            reason="ends a burst, and whoever shares the address is back soon",
        ),
    ] = 600
    most: Annotated[
        Duration,
        Meta(ge=1),
        about(
            "How long a ban lasts at the most, and how long a former one is remembered.",
            unit="seconds",
            reason="addresses change hands",
        ),
    ] = 7 * 86400
    trusted: Annotated[
        tuple[str, ...],
        about("Networks that are never banned, beside those of ``[relay] networks``."),
    ] = ()
