"""What programs that serve one connection take from their environment (qmail-interfaces 13.1, 19.1)."""

import os

from paperpath.base.digits import leading_digits
from paperpath.message.trace_qmail import received
from paperpath.system import clock

TYPE_CHECKING = False
if TYPE_CHECKING:
    from paperpath.config.control import Control

_UNSIGNED_MOST = 0xFFFF_FFFE
_UNKNOWN = b"unknown"


def received_by(protocol: bytes, helo: bytes | None = None) -> bytes:
    """Return the Received field of a message that came over this connection; ``helo``: what the client calls itself,
    None where it does not, or where it is its name."""
    environment = os.environb
    return received(
        protocol,
        environment.get(b"TCPREMOTEHOST", _UNKNOWN),
        environment.get(b"TCPREMOTEIP", _UNKNOWN),
        environment.get(b"TCPREMOTEINFO"),
        environment.get(b"TCPLOCALHOST", environment.get(b"TCPLOCALIP", _UNKNOWN)),
        helo,
        clock.utc(),
    )


def size_limit(control: "Control") -> int:
    """Return the most bytes that a message may have, by DATABYTES, else ``databytes``; 0: no limit.  Raises OSError."""
    given = os.environb.get(b"DATABYTES")
    if given is None:
        return min(control.number("databytes"), _UNSIGNED_MOST)
    return min(int(leading_digits(given)[:18] or b"0"), _UNSIGNED_MOST)
