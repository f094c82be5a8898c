"""A stub resolver over asyncio: asks recursive name servers, remembers what they said.

Queries go by UDP from a socket (so from a random port) of their own, with a random id, and by TCP where the answer
did not fit (RFC 1035 4.2, RFC 7766).  Each server is asked in turn, the whole list twice.  An answer that does not
belong to the question is ignored as if it had not come.  A CNAME is followed as far as the server's answer does.
"""

import asyncio
import ipaddress
from collections.abc import Callable, Sequence

import dns.exception
import dns.flags
import dns.message
import dns.name
import dns.rcode
import dns.rdatatype
import dns.rdtypes.ANY.CNAME
import dns.rdtypes.ANY.MX
import dns.rdtypes.ANY.SOA
import dns.rdtypes.ANY.TXT
import dns.rdtypes.IN.A
import dns.rdtypes.IN.AAAA

from paperpath.base.bounded import make_room
from paperpath.dns.answers import Answer, Found, MxRecord, NoData, NoSuchName, Record, TemporaryTrouble

UDP_PAYLOAD_BYTES = 1232
"""What we say we can take: fits every path without fragments (DNS flag day 2020)."""
TRY_S = (2.0, 4.0)
"""How long each server may take, in the first and in the second turn."""
POSITIVE_MOST_S = 86_400
NEGATIVE_MOST_S = 900
"""RFC 2308 5 allows three hours; a sender that has just mended its zone should not wait that long for us."""
CACHE_MOST = 10_000
"""Entries of some 300 bytes: 3 MB."""
RECORDS_MOST = 100
"""Of one answer that are kept."""

Server = tuple[str, int]


class _Exchange(asyncio.DatagramProtocol):
    """One question by UDP: the first datagram that answers it is the answer."""

    def __init__(self, query: dns.message.Message) -> None:
        self.answer: asyncio.Future[dns.message.Message] = asyncio.get_running_loop().create_future()
        self._query = query

    def datagram_received(self, data: bytes, _address: object) -> None:
        if not self.answer.done():
            response = _parse(self._query, data)
            if response is not None:
                self.answer.set_result(response)

    def error_received(self, error: Exception) -> None:
        if not self.answer.done():
            self.answer.set_exception(error)


def _parse(query: dns.message.Message, data: bytes) -> dns.message.Message | None:
    """Return the message if it answers the query."""
    try:
        response = dns.message.from_wire(data, ignore_trailing=True, raise_on_truncation=False)
    except (dns.exception.DNSException, ValueError):
        return None
    return response if query.is_response(response) else None


class Resolver:
    """Asks ``servers`` (address, port) in their order.  ``now`` is a clock in seconds that never goes back."""

    def __init__(self, servers: Sequence[Server], now: Callable[[], float]) -> None:
        self._servers = tuple(servers)
        self._now = now
        self._cache: dict[tuple[str, str], tuple[float, Answer]] = {}
        self._under_way: dict[tuple[str, str], asyncio.Task[Answer]] = {}

    async def addresses(self, name: str) -> Answer:
        """Return the IPv6 and IPv4 addresses of a name as one answer, IPv6 first."""
        both = await asyncio.gather(self.look_up(name, "AAAA"), self.look_up(name, "A"))
        found = [answer for answer in both if isinstance(answer, Found)]
        if found:
            records = tuple(record for answer in found for record in answer.records)
            return Found(records, min(answer.ttl_s for answer in found))
        return next((answer for answer in both if isinstance(answer, TemporaryTrouble)), both[1])

    async def look_up(self, name: str, kind: str) -> Answer:
        """Return the records of ``kind`` (``MX``, ``A``, ``AAAA``, ``TXT``) of ``name`` (ASCII), maybe from memory."""
        key = (name.lower().rstrip("."), kind)
        known = self._cache.get(key)
        if known is not None and known[0] > self._now():
            return known[1]
        task = self._under_way.get(key)
        if task is None:
            task = asyncio.create_task(self._ask_and_remember(key))
            self._under_way[key] = task
        return await asyncio.shield(task)

    async def _ask_and_remember(self, key: tuple[str, str]) -> Answer:
        try:
            answer = await self._ask(*key)
        finally:
            del self._under_way[key]
        if not isinstance(answer, TemporaryTrouble):
            self._cache.pop(key, None)
            make_room(self._cache, CACHE_MOST)
            self._cache[key] = (self._now() + answer.ttl_s, answer)
        return answer

    async def _ask(self, name: str, kind: str) -> Answer:
        try:
            query = dns.message.make_query(dns.name.from_text(name), kind, use_edns=0, payload=UDP_PAYLOAD_BYTES)
            query.flags |= dns.flags.AD  # RFC 6840 5.7: tell us whether you have validated it
        except dns.exception.DNSException:
            return NoSuchName()  # no zone can hold such a name: a label is empty, or something is too long
        reason = "no name server is configured"
        for within_s in TRY_S:
            for server in self._servers:
                try:
                    async with asyncio.timeout(within_s):
                        response = await self._exchange(query, server)
                except TimeoutError:
                    reason = f"name server {server[0]} does not answer"
                except OSError as error:
                    reason = f"name server {server[0]}: {error.strerror or error}"
                except EOFError:
                    reason = f"name server {server[0]} ends the connection"
                else:
                    answer = _read(response, is_near=_is_loopback(server[0]))
                    if not isinstance(answer, TemporaryTrouble):
                        return answer
                    reason = f"name server {server[0]}: {answer.reason}"
        return TemporaryTrouble(f"{kind} of {name}: {reason}")

    async def _exchange(self, query: dns.message.Message, server: Server) -> dns.message.Message:
        loop = asyncio.get_running_loop()
        transport, exchange = await loop.create_datagram_endpoint(lambda: _Exchange(query), remote_addr=server)
        try:
            transport.sendto(query.to_wire())
            response = await exchange.answer
        finally:
            transport.close()
        return await self._by_tcp(query, server) if response.flags & dns.flags.TC else response

    async def _by_tcp(self, query: dns.message.Message, server: Server) -> dns.message.Message:
        reader, writer = await asyncio.open_connection(*server)
        try:
            writer.write(query.to_wire(prepend_length=True))
            length = int.from_bytes(await reader.readexactly(2), "big")
            response = _parse(query, await reader.readexactly(length))
        finally:
            writer.close()
        if response is None:
            raise EOFError
        return response


def _is_loopback(address: str) -> bool:
    try:
        return ipaddress.ip_address(address).is_loopback
    except ValueError:
        return False


def _read(response: dns.message.Message, *, is_near: bool) -> Answer:
    """Return what a response says.  Every code but NOERROR and NXDOMAIN means that this server does not know.

    Nobody vouches for what a name server says of DNSSEC over the network, only one that ``is_near`` is believed.
    """
    code = response.rcode()
    if code not in (dns.rcode.NOERROR, dns.rcode.NXDOMAIN):
        return TemporaryTrouble(dns.rcode.to_text(code))
    assert isinstance(response, dns.message.QueryMessage)
    try:
        chain = response.resolve_chaining()
    except (dns.exception.DNSException, ValueError) as error:
        return TemporaryTrouble(type(error).__name__)
    if chain.answer is None:
        negative_ttl_s = min(chain.minimum_ttl, NEGATIVE_MOST_S)
        return NoSuchName(negative_ttl_s) if code == dns.rcode.NXDOMAIN else NoData(negative_ttl_s)
    records = tuple(_record(data) for data in list(chain.answer)[:RECORDS_MOST])
    secure = is_near and bool(response.flags & dns.flags.AD)
    return Found(records, min(chain.minimum_ttl, POSITIVE_MOST_S), secure)


def _record(data: object) -> Record:
    if isinstance(data, dns.rdtypes.ANY.MX.MX):
        return MxRecord(data.preference, data.exchange.to_text(omit_final_dot=True).removesuffix("."))
    if isinstance(data, dns.rdtypes.ANY.TXT.TXT):
        return b"".join(data.strings).decode("latin-1")
    assert isinstance(data, dns.rdtypes.IN.A.A | dns.rdtypes.IN.AAAA.AAAA)
    return str(ipaddress.ip_address(data.address))


def system_servers() -> tuple[Server, ...]:
    """Return the name servers of this host."""
    try:
        with open("/etc/resolv.conf", encoding="utf-8", errors="replace") as file:
            return servers_in(file.read())
    except OSError:
        return servers_in("")


def servers_in(text: str) -> tuple[Server, ...]:
    """Return the name servers in the text of a resolv.conf(5); the local one where it names none."""
    lines = (line.split() for line in text.splitlines())
    found = [words[1] for words in lines if len(words) > 1 and words[0] == "nameserver"]
    return tuple((address, 53) for address in found[:3]) or (("127.0.0.1", 53),)
