"""Where to listen and where to connect, as settings write it."""

import ipaddress
import re
from dataclasses import dataclass

from paperpath.config.names import domain_name

SOCKET_PATH_MOST_BYTES = 107
"""The kernel's bound on the path of a Unix socket: 108 bytes with the NUL (unix(7))."""

_PORT = re.compile(r"[0-9]{1,5}")
ROUTE_PORTS = {"smtp": 25, "lmtp": 24, "qmtp": 209}
"""What a next hop may speak, and where, if no port is named."""

_LMTP_UNIX = "lmtp:unix:"
_LOOPBACKS = {"0.0.0.0": "127.0.0.1", "::": "::1"}  # noqa: S104 (these are not bound to here)


@dataclass(frozen=True, slots=True)
class Tcp:
    """A host (name or address, without brackets) and a port."""

    host: str
    port: int

    def __str__(self) -> str:
        return f"[{self.host}]:{self.port}" if ":" in self.host else f"{self.host}:{self.port}"


@dataclass(frozen=True, slots=True)
class Unix:
    """The path of a Unix socket."""

    path: str

    def __str__(self) -> str:
        return f"unix:{self.path}"


@dataclass(frozen=True, slots=True)
class NextHop:
    """A server that mail is handed to, and what is spoken there."""

    protocol: str
    """One of ``ROUTE_PORTS``."""
    endpoint: Tcp | Unix

    def __str__(self) -> str:
        separator = ":" if isinstance(self.endpoint, Unix) else "://"
        return f"{self.protocol}{separator}{self.endpoint}"


def parse_listen(text: str) -> Tcp | Unix:
    """Read ``host:port``, ``[v6]:port`` or ``unix:/path``; port 0: the kernel chooses.  Raises ValueError."""
    if text.startswith("unix:"):
        return _unix(text.removeprefix("unix:"))
    return _tcp(text, default_port=None)


def local_end(listener: Tcp | Unix) -> Tcp | Unix:
    """Return where a program on this host reaches a listener: one on any address is reached on the loopback."""
    if isinstance(listener, Tcp) and listener.host in _LOOPBACKS:
        return Tcp(_LOOPBACKS[listener.host], listener.port)
    return listener


def parse_route(text: str) -> NextHop:
    """Read a next hop: ``smtp://host[:port]``, ``smtp://[v6][:port]``, the same with ``lmtp`` or ``qmtp``, or
    ``lmtp:unix:/path``.

    Raises ValueError.
    """
    if text.lower().startswith(_LMTP_UNIX):
        return NextHop("lmtp", _unix(text[len(_LMTP_UNIX) :]))
    scheme, separator, rest = text.partition("://")
    protocol = scheme.lower()
    if not separator or protocol not in ROUTE_PORTS:
        raise ValueError(f"{text!r} does not begin with smtp://, lmtp://, qmtp:// or lmtp:unix:")
    endpoint = _tcp(rest.removesuffix("/"), default_port=ROUTE_PORTS[protocol])
    if endpoint.port == 0:
        raise ValueError("0 is not a port to connect to")
    return NextHop(protocol, endpoint)


def is_route(text: str) -> bool:
    """Tell a next hop, as `NextHop` writes it, from a domain."""
    return "://" in text or text.startswith(_LMTP_UNIX)


def parse_server(text: str, default_port: int) -> Tcp:
    """Read ``host`` or ``host:port`` of a server to connect to.  Raises ValueError."""
    if text.count(":") > 1 and not text.startswith("["):
        return Tcp(_address(text), default_port)
    return _tcp(text, default_port=default_port)


def _tcp(text: str, *, default_port: int | None) -> Tcp:
    if text.startswith("["):
        host, bracket, rest = text[1:].partition("]")
        if not bracket or (rest and not rest.startswith(":")):
            raise ValueError(f"{text!r} has no closing bracket before the port")
        return Tcp(_address(host), _port(rest[1:] if rest else None, default_port))
    host, colon, port = text.partition(":")
    if not colon and default_port is None:
        raise ValueError(f"{text!r} has no port; write HOST:PORT")
    if ":" in port:
        raise ValueError(f"{text!r}: an IPv6 address goes into brackets, [::1]:25")
    return Tcp(_host(host), _port(port if colon else None, default_port))


def _port(text: str | None, default: int | None) -> int:
    if text is None:
        if default is None:
            raise ValueError("the port is missing")
        return default
    if not _PORT.fullmatch(text) or int(text) > 65535:
        raise ValueError(f"{text!r} is not a port from 0 to 65535")
    return int(text)


def _host(text: str) -> str:
    if re.fullmatch(r"[0-9.]+", text):
        return _address(text)
    return domain_name(text)


def _address(text: str) -> str:
    try:
        return str(ipaddress.ip_address(text))
    except ValueError:
        raise ValueError(f"{text!r} is not an IP address") from None


def _unix(path: str) -> Unix:
    if not path or "\x00" in path:
        raise ValueError("a Unix socket needs a path")
    if len(path.encode()) > SOCKET_PATH_MOST_BYTES:
        raise ValueError(f"the path of a Unix socket has at most {SOCKET_PATH_MOST_BYTES} bytes")
    return Unix(path)
