"""A connection as tcpclient hands it to a program: on descriptors 6 and 7, described by variables (UCSPI)."""

import os
import socket

_TIMEOUT_S = 60
"""As long as qmail-remote waits (``timeoutconnect``)."""


def connect(host: bytes, port: int) -> None:
    """Connect this process to a host, by name or address; each of its addresses is tried.  Raises OSError."""
    connection = socket.create_connection((os.fsdecode(host), port), _TIMEOUT_S)
    connection.settimeout(None)
    for side, (address, number, *_) in (("LOCAL", connection.getsockname()), ("REMOTE", connection.getpeername())):
        os.environ[f"TCP{side}IP"], os.environ[f"TCP{side}PORT"] = address, str(number)
        os.environ.pop(f"TCP{side}HOST", None)
    os.environ.pop("TCPREMOTEINFO", None)
    os.environ["PROTO"] = "TCP"
    original = connection.detach()
    for number in (6, 7):
        os.dup2(original, number)
    if original not in (6, 7):
        os.close(original)
