"""The addresses that take mail for a host, as qmail-remote asks for them (qmail-interfaces 12.5).  IPv4 only."""

import asyncio
import random

from paperpath.dns.answers import Answer, Found, MxRecord, TemporaryTrouble
from paperpath.dns.exchangers import LookUp
from paperpath.inject.qmail_remote_hosts import NO_EXCHANGER, TROUBLE, Nowhere, Preferred, no_such_host

_EXCHANGERS_MOST = 100


async def addresses(resolver: LookUp, host: bytes) -> list[Preferred]:
    """Return the addresses of a host, without exchangers.  Raises Nowhere."""
    answer = await _ask(resolver, host, "A")
    if isinstance(answer, TemporaryTrouble):
        raise Nowhere(TROUBLE)
    if not isinstance(answer, Found):
        raise Nowhere(no_such_host(host))
    return [(0, address) for address in answer.records if isinstance(address, str)]


async def exchangers(resolver: LookUp, host: bytes) -> list[Preferred]:
    """Return the addresses of a host's exchangers, the best first, equals in any order.  Raises Nowhere."""
    answer = await _ask(resolver, host, "MX")
    if isinstance(answer, TemporaryTrouble):
        raise Nowhere(TROUBLE)
    records = [record for record in answer.records if isinstance(record, MxRecord)] if isinstance(answer, Found) else []
    if not records:
        return await addresses(resolver, host)
    random.shuffle(records)
    records = sorted(records, key=lambda record: record.preference)[:_EXCHANGERS_MOST]
    answers = await asyncio.gather(*(_ask(resolver, record.name.encode(), "A") for record in records))
    found = [
        (record.preference, address)
        for record, its in zip(records, answers, strict=True)
        if isinstance(its, Found)
        for address in its.records
        if isinstance(address, str)
    ]
    if not found:
        raise Nowhere(TROUBLE if any(isinstance(its, TemporaryTrouble) for its in answers) else NO_EXCHANGER)
    return found


async def _ask(resolver: LookUp, host: bytes, kind: str) -> Answer:
    # Bytes above 127 are in no host name; as escapes, they ask for a name that nobody has.
    return await resolver.look_up(host.decode("ascii", "backslashreplace"), kind)
