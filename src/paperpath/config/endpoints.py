"""Where to listen and where to connect, as settings write it."""

import ipaddress
import re
from dataclasses import dataclass

from paperpath.config.names import domain_name

SOCKET_PATH_MOST_BYTES = 107
"""The kernel's bound on the path of a Unix socket: 108 bytes with the NUL (unix(7))."""

_PORT = re.compile(r"[0-9]{1,5}")
_SMTP_PORT = 25
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


def parse_listen(text: str) -> Tcp | Unix:
    """Read ``host:port``, ``[v6]:port`` or ``unix:/path``; port 0: the kernel chooses.  Raises ValueError."""
    if text.startswith("unix:"):
        path = text.removeprefix("unix:")
        if not path or "\x00" in path:
            raise ValueError("a Unix socket needs a path")
        if len(path.encode()) > SOCKET_PATH_MOST_BYTES:
            raise ValueError(f"the path of a Unix socket has at most {SOCKET_PATH_MOST_BYTES} bytes")
        return Unix(path)
    return _tcp(text, default_port=None)


def local_end(listener: Tcp | Unix) -> Tcp | Unix:
    """Return where a program on this host reaches a listener: one on any address is reached on the loopback."""
    if isinstance(listener, Tcp) and listener.host in _LOOPBACKS:
        return Tcp(_LOOPBACKS[listener.host], listener.port)
    return listener


def parse_route(text: str) -> Tcp:
    """Read a next hop, ``smtp://host[:port]`` or ``smtp://[v6][:port]``.  Raises ValueError."""
    scheme, separator, rest = text.partition("://")
    if not separator or scheme.lower() != "smtp":
        raise ValueError(f"{text!r} does not begin with smtp://")
    endpoint = _tcp(rest.removesuffix("/"), default_port=_SMTP_PORT)
    if endpoint.port == 0:
        raise ValueError("0 is not a port to connect to")
    return endpoint


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
