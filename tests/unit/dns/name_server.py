"""A little real name server: answers from a table, by UDP and TCP, on a port that the kernel chooses."""

import asyncio
import struct
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import cast

import dns.flags
import dns.message
import dns.rcode
import dns.rrset

Mangle = Callable[[bytes], bytes | None]
"""What becomes of an answer on its way: None is silence."""


_TRIES = 20
"""For a port that is free for both protocols, while other tests ask and answer."""


@dataclass
class NameServer:
    """``zone``: (name, type) to records; a name with any entry exists.  ``failing``: names that give SERVFAIL."""

    zone: dict[tuple[str, str], list[str]]
    failing: set[str] = field(default_factory=set)
    secure: set[str] = field(default_factory=set)
    """Names that it says DNSSEC vouches for."""
    truncate: bool = False
    mangle: Mangle = lambda data: data
    ttl_s: int = 300
    questions: list[tuple[str, str]] = field(default_factory=list)
    port: int = 0

    async def __aenter__(self) -> "NameServer":
        loop = asyncio.get_running_loop()
        server = self

        class Udp(asyncio.DatagramProtocol):
            def connection_made(self, transport: asyncio.BaseTransport) -> None:
                self.transport = cast(asyncio.DatagramTransport, transport)

            def datagram_received(self, data: bytes, address: tuple[str, int]) -> None:
                answer = server.mangle(server.answer(data, truncate=server.truncate))
                if answer is not None:
                    self.transport.sendto(answer, address)

        for _ in range(_TRIES):
            self._tcp = await asyncio.start_server(self._serve_tcp, "127.0.0.1", 0)
            self.port = self._tcp.sockets[0].getsockname()[1]
            try:
                self._udp, _ = await loop.create_datagram_endpoint(Udp, local_addr=("127.0.0.1", self.port))
            except OSError:  # somebody's question is on its way from that port
                self._tcp.close()
            else:
                return self
        raise AssertionError("no port is free for both TCP and UDP")

    async def __aexit__(self, *_: object) -> None:
        self._udp.close()
        self._tcp.close()
        await self._tcp.wait_closed()

    async def _serve_tcp(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        (length,) = struct.unpack("!H", await reader.readexactly(2))
        answer = self.answer(await reader.readexactly(length), truncate=False)
        writer.write(struct.pack("!H", len(answer)) + answer)
        await writer.drain()
        writer.close()

    def answer(self, data: bytes, *, truncate: bool) -> bytes:
        """Return the answer to a query."""
        query = dns.message.from_wire(data)
        question = query.question[0]
        name = question.name.to_text().rstrip(".").lower()
        kind = dns.rdatatype.to_text(question.rdtype)
        self.questions.append((name, kind))
        response = dns.message.make_response(query)
        response.flags |= dns.flags.RA
        if name in self.secure and query.flags & dns.flags.AD:
            response.flags |= dns.flags.AD
        if name in self.failing:
            response.set_rcode(dns.rcode.SERVFAIL)
        elif truncate:
            response.flags |= dns.flags.TC
        else:
            self._fill(response, name, kind)
        return response.to_wire(max_size=65535)

    def _fill(self, response: dns.message.Message, name: str, kind: str) -> None:
        for _ in range(8):
            alias = self.zone.get((name, "CNAME"))
            if not alias or kind == "CNAME":
                break
            response.answer.append(dns.rrset.from_text(name + ".", self.ttl_s, "IN", "CNAME", *alias))
            name = alias[0].rstrip(".")
        records = self.zone.get((name, kind))
        if records:
            response.answer.append(dns.rrset.from_text(name + ".", self.ttl_s, "IN", kind, *records))
        else:
            soa = "ns.test. root.test. 1 2 3 4 60"
            response.authority.append(dns.rrset.from_text("test.", self.ttl_s, "IN", "SOA", soa))
            if not any(known == name for known, _ in self.zone):
                response.set_rcode(dns.rcode.NXDOMAIN)
