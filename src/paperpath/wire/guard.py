"""`receive` and whoever else meets clients to `guard`: this was seen; and back: these are banned, these come too often.

An operator's `paperpath ban …` speaks to the same process at a socket of its own.  A *network* is written as text: an
IPv4 address, an IPv6 /64, or a wider one (``192.0.2.0/24``).
"""

from enum import StrEnum

import msgspec

from paperpath.wire.frame import Hello

TEXT_MOST = 200
"""Characters of a detail or a reason that are kept: evidence, not an archive."""
PAGE_MOST = 200
"""Entries in one frame of a table that goes over in several."""


class Offence(StrEnum):
    """What a client can do that counts against its address."""

    LOGIN_FAILED = "login-failed"
    """A password, or whatever a mechanism proves, was wrong."""
    UNKNOWN_RECIPIENT = "unknown-recipient"
    """A recipient that does not exist was tried."""
    EARLY_TALK = "early-talk"
    """It spoke before the greeting (RFC 5321 4.3.1)."""
    OTHER_PROTOCOL = "other-protocol"
    """It speaks something else, such as HTTP."""
    TOO_MANY_ERRORS = "too-many-errors"
    """Its session was ended for faulty or pointless commands."""
    TOO_SLOW = "too-slow"
    """It held a slot and sent less than the floor."""


class Seen(msgspec.Struct, frozen=True, array_like=True, gc=False):
    """What one process saw of one client network since it told last; ``held`` is how many sessions it has there now."""

    network: str
    connections: int
    messages: int
    recipients: int
    held: int
    turned_away: int
    """Connections that a ban refused."""


class Observed(msgspec.Struct, frozen=True, array_like=True, tag="observed", gc=False):
    """Counts, gathered for a moment: nothing waits for an answer."""

    seen: tuple[Seen, ...]


class Offended(msgspec.Struct, frozen=True, array_like=True, tag="offended", gc=False):
    """A client did something that counts against it."""

    address: str
    offence: Offence
    detail: str
    """The evidence in one line, shown safely."""


class Rate(msgspec.Struct, frozen=True, array_like=True, gc=False):
    """At most so much in any stretch of so many seconds."""

    most: int
    period_s: int


class Ask(msgspec.Struct, frozen=True, array_like=True, tag="ask", gc=False):
    """May ``amount`` more be counted for ``key``?  It is counted where all rates allow it, else not at all."""

    ticket: int
    key: str
    amount: int
    rates: tuple[Rate, ...]


class Verdict(msgspec.Struct, frozen=True, array_like=True, tag="verdict", gc=False):
    """Answer to ``Ask``."""

    ticket: int
    allowed: bool
    again_s: int
    """Seconds after which the same question may be answered otherwise; 0 where it is allowed."""


class Ban(msgspec.Struct, frozen=True, array_like=True, gc=False):
    """A network that is not served.  Times are seconds since the epoch."""

    network: str
    until: int
    """0: until an operator removes it."""
    reason: str


class Bans(msgspec.Struct, frozen=True, array_like=True, tag="bans", gc=False):
    """Bans that are in force; with ``first`` those told before are over."""

    bans: tuple[Ban, ...]
    first: bool


class Lifted(msgspec.Struct, frozen=True, array_like=True, tag="lifted", gc=False):
    """Bans of these networks are over."""

    networks: tuple[str, ...]


class Slowed(msgspec.Struct, frozen=True, array_like=True, tag="slowed", gc=False):
    """A client network did more than its rate allows: no more of it for a while."""

    network: str
    what: str
    """``connections``, ``messages`` or ``recipients``."""
    for_s: int


class HeldElsewhere(msgspec.Struct, frozen=True, array_like=True, tag="held-elsewhere", gc=False):
    """So many sessions of a network, an address's or a wider one, the other processes have together."""

    network: str
    sessions: int


class Known(msgspec.Struct, frozen=True, array_like=True, tag="known", gc=False):
    """Client networks that brought mail and did nothing wrong: they come before strangers."""

    networks: tuple[str, ...]


class ListBans(msgspec.Struct, frozen=True, array_like=True, tag="list-bans", gc=False):
    """Bans that begin after ``after`` in the order of their networks' text, at most ``PAGE_MOST``."""

    after: str = ""


class ExplainBan(msgspec.Struct, frozen=True, array_like=True, tag="why-ban", gc=False):
    """Why is this address or network banned, or what counts against it?"""

    network: str


class AddBan(msgspec.Struct, frozen=True, array_like=True, tag="add-ban", gc=False):
    """Ban a network for so many seconds, 0 for ever."""

    network: str
    for_s: int
    reason: str
    operator: str


class RemoveBan(msgspec.Struct, frozen=True, array_like=True, tag="remove-ban", gc=False):
    """Lift the ban of exactly this network, and forget what counts against it."""

    network: str
    operator: str


class Evidence(msgspec.Struct, frozen=True, array_like=True, gc=False):
    """One thing that a client did."""

    at: int
    offence: str
    detail: str


class BanView(msgspec.Struct, frozen=True, array_like=True, tag="ban", gc=False):
    """A ban, or with ``since`` 0 what counts against an address that is not banned."""

    network: str
    since: int
    until: int
    reason: str
    by: str
    """``guard``, or the operator."""
    times: int
    """How often it was banned lately."""
    turned_away: int
    evidence: tuple[Evidence, ...]


class BanPage(msgspec.Struct, frozen=True, array_like=True, tag="bans-page", gc=False):
    """Answer to ``ListBans``; ``more`` tells that another page follows the last network here."""

    bans: tuple[BanView, ...]
    more: bool


class NoBan(msgspec.Struct, frozen=True, array_like=True, tag="no-ban", gc=False):
    """Nothing is known against this network."""

    network: str


class BanRefused(msgspec.Struct, frozen=True, array_like=True, tag="ban-refused", gc=False):
    """The request means nothing, or may not be."""

    reason: str


FromClient = Hello | Observed | Offended | Ask
FromGuard = Bans | Lifted | Slowed | HeldElsewhere | Known | Verdict
FromOperator = Hello | ListBans | ExplainBan | AddBan | RemoveBan
FromGuardToOperator = BanPage | BanView | NoBan | BanRefused
