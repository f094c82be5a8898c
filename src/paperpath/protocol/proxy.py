"""The PROXY protocol, versions 1 and 2 (HAProxy's proxy-protocol.txt): who is behind a load balancer.

Pure: bytes in, one header out, and what came behind it.  Nothing is believed here; whether the sender may say such
things at all is the caller's to know.  A header is bounded, and the first byte that cannot belong to one is an error:
who does not send a header sends something that must not be taken for one.
"""

import ipaddress
import re
import struct
from typing import Final, NamedTuple

_V1_MOST_BYTES: Final = 107
"""Of the specification, 2.1: the longest possible line, CR LF included."""

_V2_MOST_BYTES: Final = 4096
"""Of all that follows the fixed part: addresses, and values that are skipped.  Certificates are not among those that
balancers send."""

_V1_START: Final = b"PROXY "
_V2_START: Final = b"\r\n\r\n\0\r\nQUIT\n"
_V2_FIXED_BYTES: Final = 16
_V1_LINE: Final = re.compile(rb"PROXY (TCP4|TCP6) ([0-9A-Fa-f:.]+) [0-9A-Fa-f:.]+ ([0-9]{1,5}) [0-9]{1,5}\r\n")
_V1_UNKNOWN: Final = re.compile(rb"PROXY UNKNOWN[^\r\n]*\r\n")
_LOCAL, _PROXY = 0x20, 0x21
_TCP4, _TCP6 = 0x11, 0x21


class ProxyError(ValueError):
    """What came is no PROXY header."""


class Proxied(NamedTuple):
    """Who is behind the balancer."""

    address: str
    """An IP address; empty: nobody, the balancer speaks for itself (a health check), or it does not know."""
    port: int = 0


class ProxyReader:
    """Reads one header, however it is cut."""

    __slots__ = ("_data", "rest")

    def __init__(self) -> None:
        self._data = b""
        self.rest = b""
        """What came behind the header."""

    def feed(self, data: bytes) -> Proxied | None:
        """Take bytes; return what the header says once it is complete.  Raises ProxyError."""
        self._data += data
        start = _V2_START if self._data[:1] == b"\r" else _V1_START
        if self._data[: len(start)] != start[: len(self._data)]:
            raise ProxyError("what came is no PROXY header")
        return self._version_1() if start is _V1_START else self._version_2()

    def _end(self, end: int) -> bytes:
        header, self.rest, self._data = self._data[:end], self._data[end:], b""
        return header

    def _version_1(self) -> Proxied | None:
        end = self._data.find(b"\n", 0, _V1_MOST_BYTES) + 1
        if not end:
            if len(self._data) >= _V1_MOST_BYTES:
                raise ProxyError("the PROXY line is too long")
            return None
        line = self._end(end)
        if _V1_UNKNOWN.fullmatch(line):
            return Proxied("")
        found = _V1_LINE.fullmatch(line)
        if found is None:
            raise ProxyError("the PROXY line is not understood")
        family, address, port = found.groups()
        return _proxied(address.decode(), int(port), 4 if family == b"TCP4" else 6)

    def _version_2(self) -> Proxied | None:
        if len(self._data) < _V2_FIXED_BYTES:
            return None
        command, family, length = struct.unpack_from("!BBH", self._data, len(_V2_START))
        if command not in (_LOCAL, _PROXY):
            raise ProxyError("the PROXY header has an unknown version or command")
        if length > _V2_MOST_BYTES:
            raise ProxyError("the PROXY header is too long")
        if len(self._data) < _V2_FIXED_BYTES + length:
            return None
        body = self._end(_V2_FIXED_BYTES + length)[_V2_FIXED_BYTES:]
        if command == _LOCAL or family not in (_TCP4, _TCP6):
            return Proxied("")
        size = 4 if family == _TCP4 else 16
        if length < 2 * size + 4:
            raise ProxyError("the PROXY header is too short for its addresses")
        (port,) = struct.unpack_from("!H", body, 2 * size)
        return Proxied(str(ipaddress.ip_address(body[:size])), port)


def _proxied(text: str, port: int, version: int) -> Proxied:
    try:
        address = ipaddress.ip_address(text)
    except ValueError:
        raise ProxyError("the PROXY line has no address") from None
    if address.version != version or port > 65535:
        raise ProxyError("the PROXY line is not understood")
    return Proxied(str(address), port)
