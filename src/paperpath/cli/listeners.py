"""Whether every listening socket answers as its service does: for `paperpath doctor`."""

import socket
import ssl
from collections.abc import Iterator
from typing import TYPE_CHECKING

from paperpath.cli.faults import TemporaryFault
from paperpath.cli.findings import Finding

if TYPE_CHECKING:
    from paperpath.config.schema import Config, Listen

_GREETING_WITHIN_S = 10.0
_GREETINGS = {"pop3": b"+OK", "pop3s": b"+OK", "qmtp": b"", "qmqp": b""}
"""What a service begins with, where that is not 220; empty: it waits for the client."""


def check_listeners(config: "Config") -> Iterator[Finding]:
    """Look whether every listening socket greets."""
    from paperpath.cli.smtp import connect
    from paperpath.config.endpoints import local_end, parse_listen

    if not config.listen:
        yield Finding("listen", "notice", "no listening sockets", "add [[listen]] to take mail from the network")
    for listener in config.listen:
        what = f"{listener.service} {listener.address}"
        try:
            with connect(local_end(parse_listen(listener.address))) as sock:
                sock.settimeout(_GREETING_WITHIN_S)
                yield _judge_greeting(what, listener, sock)
        except TemporaryFault as fault:
            yield Finding(what, "down", str(fault).partition("; ")[0], "start the server with `paperpath serve`")


def _judge_greeting(what: str, listener: "Listen", sock: socket.socket) -> Finding:
    expected = _GREETINGS.get(listener.service, b"220")
    if not expected or listener.proxy == "always":  # it is for others to speak first
        return Finding(what, "good", "listens")
    try:
        greeting = _greeting(listener, sock)
    except OSError:
        greeting = b""
    if greeting.startswith(expected):
        return Finding(what, "good", "greets")
    return Finding(what, "down", "does not greet", "see the log; perhaps another program listens there")


def _greeting(listener: "Listen", sock: socket.socket) -> bytes:
    from paperpath.wire.tls import TLS_FROM_THE_START

    if listener.service not in TLS_FROM_THE_START:
        return sock.recv(512)
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.check_hostname = False
    context.verify_mode = ssl.CERT_NONE  # whether others can believe the certificate is looked at in the file
    with context.wrap_socket(sock) as secured:
        return secured.recv(512)
