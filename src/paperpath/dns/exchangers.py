"""Which addresses take mail for a domain, in the order to try them (RFC 5321 5.1, RFC 7505, reference 12.5)."""

import asyncio
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import Protocol

from paperpath.dns.answers import Answer, Found, MxRecord, NoData, NoSuchName, TemporaryTrouble

EXCHANGERS_MOST = 20
"""Beyond the best twenty no sender waits for anyway; a hostile zone could name thousands."""
ADDRESSES_MOST = 40


class LookUp(Protocol):
    """What this needs of a resolver."""

    async def look_up(self, name: str, kind: str) -> Answer:
        """Return the records of one type."""

    async def addresses(self, name: str) -> Answer:
        """Return IPv6 and IPv4 addresses together."""


@dataclass(frozen=True, slots=True)
class Hop:
    """One address to connect to, and the name that led there."""

    name: str
    address: str


@dataclass(frozen=True, slots=True)
class Hops:
    """At least one address, in the order to try them."""

    hops: tuple[Hop, ...]
    secure: bool = False
    """Whether DNSSEC vouches for the names."""


@dataclass(frozen=True, slots=True)
class TakesNoMail:
    """The domain says so itself: a null MX (RFC 7505)."""


@dataclass(frozen=True, slots=True)
class NoAddress:
    """There are exchangers, and for certain none of them has an address."""


@dataclass(frozen=True, slots=True)
class OnlyOurselves:
    """The best exchanger is this host, which does not know the domain as its own."""


MailHosts = Hops | NoSuchName | TakesNoMail | NoAddress | OnlyOurselves | TemporaryTrouble


@dataclass(frozen=True, slots=True)
class Ourselves:
    """How to know this host among the exchangers."""

    hostname: str
    is_own_address: Callable[[str], bool]


async def find_exchangers(
    resolver: LookUp, domain: str, ourselves: Ourselves, shuffle: Callable[[list[MxRecord]], None]
) -> MailHosts:
    """Return where mail for ``domain`` (ASCII) goes.  ``shuffle`` decides among exchangers of equal preference."""
    answer = await resolver.look_up(domain, "MX")
    if isinstance(answer, TemporaryTrouble | NoSuchName):
        return answer
    if isinstance(answer, NoData):
        return await _implicit(resolver, domain, ourselves)
    records = [record for record in answer.records if isinstance(record, MxRecord)]
    if len(records) == 1 and not records[0].name:
        return TakesNoMail()
    named = [record for record in records if record.name]
    shuffle(named)
    named.sort(key=lambda record: record.preference)
    found = await _addresses(resolver, named[:EXCHANGERS_MOST], ourselves)
    return replace(found, secure=answer.secure) if isinstance(found, Hops) else found


async def _implicit(resolver: LookUp, domain: str, ourselves: Ourselves) -> MailHosts:
    """RFC 5321 5.1: a domain without MX records is its own exchanger; without addresses too, it is no mail domain."""
    found = await _addresses(resolver, [MxRecord(0, domain)], ourselves)
    return NoSuchName() if isinstance(found, NoAddress) else found


async def _addresses(resolver: LookUp, records: Sequence[MxRecord], ourselves: Ourselves) -> MailHosts:
    answers = await asyncio.gather(*(resolver.addresses(record.name) for record in records))
    own = _own_preference(records, answers, ourselves)
    hops: list[Hop] = []
    trouble: TemporaryTrouble | None = None
    for record, answer in zip(records, answers, strict=True):
        if own is not None and record.preference >= own:
            break
        if isinstance(answer, Found):
            hops.extend(Hop(record.name, address) for address in answer.records if isinstance(address, str))
        elif isinstance(answer, TemporaryTrouble):
            trouble = answer
    if hops:
        return Hops(tuple(hops[:ADDRESSES_MOST]))
    if trouble is not None:
        return trouble
    return NoAddress() if own is None else OnlyOurselves()


def _own_preference(records: Sequence[MxRecord], answers: Sequence[Answer], ourselves: Ourselves) -> int | None:
    """Return the preference of the best exchanger that is this host: it and all after it would loop."""
    for record, answer in zip(records, answers, strict=True):
        if record.name.lower() == ourselves.hostname:
            return record.preference
        if isinstance(answer, Found) and any(map(ourselves.is_own_address, map(str, answer.records))):
            return record.preference
    return None
