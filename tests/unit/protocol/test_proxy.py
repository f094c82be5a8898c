"""PROXY headers of both versions: what is understood, what is refused, and how soon."""

import socket
import struct

import pytest
from hypothesis import given
from hypothesis import strategies as st

from paperpath.protocol.proxy import Proxied, ProxyError, ProxyReader

START = b"\r\n\r\n\0\r\nQUIT\n"


def v2(command: int, family: int, body: bytes, length: int | None = None) -> bytes:
    return START + struct.pack("!BBH", command, family, len(body) if length is None else length) + body


def tcp4(address: str, port: int, more: bytes = b"") -> bytes:
    there = socket.inet_aton(address) + socket.inet_aton("192.0.2.1")
    return v2(0x21, 0x11, there + struct.pack("!HH", port, 25) + more)


def tcp6(address: str, port: int) -> bytes:
    there = socket.inet_pton(socket.AF_INET6, address) + socket.inet_pton(socket.AF_INET6, "2001:db8::1")
    return v2(0x21, 0x21, there + struct.pack("!HH", port, 25))


GOOD = [
    (b"PROXY TCP4 198.51.100.7 192.0.2.1 56324 25\r\n", Proxied("198.51.100.7", 56324)),
    (b"PROXY TCP6 2001:DB8::7 2001:db8::1 1 25\r\n", Proxied("2001:db8::7", 1)),
    (b"PROXY UNKNOWN\r\n", Proxied("")),
    (b"PROXY UNKNOWN ffff::1 ffff::2 1 2\r\n", Proxied("")),
    (tcp4("198.51.100.7", 56324), Proxied("198.51.100.7", 56324)),
    (tcp4("198.51.100.7", 56324, b"\x04\x00\x10" + b"x" * 16), Proxied("198.51.100.7", 56324)),
    (tcp6("2001:db8::7", 65535), Proxied("2001:db8::7", 65535)),
    (v2(0x20, 0x00, b""), Proxied("")),
    (v2(0x20, 0x11, b"\0" * 12), Proxied("")),
    (v2(0x21, 0x31, b"\0" * 216), Proxied("")),
    (v2(0x21, 0x00, b"\0" * 4096), Proxied("")),
]


@given(st.sampled_from(GOOD), st.binary(max_size=40), st.data())
def test_headers_in_every_cut(case: tuple[bytes, Proxied], behind: bytes, data: st.DataObject) -> None:
    header, expected = case
    octets = header + behind
    cuts = sorted(data.draw(st.sets(st.integers(0, len(octets)), max_size=5)))
    reader, fed = ProxyReader(), 0
    for end in [*cuts, len(octets)]:
        piece, fed = octets[fed:end], end
        found = reader.feed(piece)
        assert (found is None) == (end < len(header))
        if found is not None:
            assert found == expected
            assert reader.rest + octets[end:] == behind
            return


BAD = [
    b"EHLO c\r\n",
    b"\x16\x03\x01\x02\x00",
    b"PROXY\r\n",
    b"PROXY TCP4 198.51.100.7 192.0.2.1 56324\r\n",
    b"PROXY TCP4 198.51.100.7 192.0.2.1 56324 25\n",
    b"PROXY TCP4 2001:db8::7 2001:db8::1 1 25\r\n",
    b"PROXY TCP6 198.51.100.7 192.0.2.1 1 25\r\n",
    b"PROXY TCP4 198.51.100.700 192.0.2.1 1 25\r\n",
    b"PROXY TCP4 198.51.100.7 192.0.2.1 65536 25\r\n",
    b"PROXY UDP4 198.51.100.7 192.0.2.1 1 25\r\n",
    b"PROXY UNKNOWN " + b"x" * 200 + b"\r\n",
    b"\r\n\r\n\0\r\nQUIX",
    v2(0x22, 0x11, b"\0" * 12),
    v2(0x11, 0x11, b"\0" * 12),
    v2(0x21, 0x11, b"\0" * 11),
    v2(0x21, 0x21, b"\0" * 35),
    v2(0x21, 0x11, b"", length=4097),
]


@pytest.mark.parametrize("octets", BAD)
def test_what_is_none(octets: bytes) -> None:
    with pytest.raises(ProxyError):
        ProxyReader().feed(octets)


@given(st.sampled_from(BAD), st.integers(0, 1 << 30))
def test_what_is_none_in_pieces(octets: bytes, seed: int) -> None:
    cut = seed % (len(octets) + 1)
    reader = ProxyReader()
    with pytest.raises(ProxyError):
        reader.feed(octets[:cut])
        reader.feed(octets[cut:])


@given(st.binary(max_size=300))
def test_no_input_does_anything_else(octets: bytes) -> None:
    for start in (b"", b"PROXY ", START):
        reader = ProxyReader()
        try:
            found = reader.feed(start + octets)
        except ProxyError:
            continue
        assert found is None or isinstance(found, Proxied)


def test_a_line_without_an_end_is_given_up() -> None:
    reader = ProxyReader()
    assert reader.feed(b"PROXY UNKNOWN" + b"x" * 93) is None
    with pytest.raises(ProxyError, match="too long"):
        reader.feed(b"x")
