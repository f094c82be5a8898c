"""What a name server said, as values.  A name that does not exist, a name without such records, and not knowing are
three different things: the first two end a delivery, the third only postpones it."""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class MxRecord:
    """One mail exchanger.  An empty name is the null MX (RFC 7505)."""

    preference: int
    name: str


Record = MxRecord | str
"""A and AAAA records are addresses as text; TXT records are their text, a character a byte."""


@dataclass(frozen=True, slots=True)
class Found:
    """At least one record, good for ``ttl_s`` seconds."""

    records: tuple[Record, ...]
    ttl_s: int
    secure: bool = False
    """A validating name server on this very host says that DNSSEC vouches for it (RFC 4035 3.2.3)."""


@dataclass(frozen=True, slots=True)
class NoSuchName:
    """NXDOMAIN: neither this name nor any below it exists."""

    ttl_s: int = 0


@dataclass(frozen=True, slots=True)
class NoData:
    """The name exists (or may), but has no record of this type."""

    ttl_s: int = 0


@dataclass(frozen=True, slots=True)
class TemporaryTrouble:
    """Not known now; ``reason`` is for the log."""

    reason: str


Answer = Found | NoSuchName | NoData | TemporaryTrouble
