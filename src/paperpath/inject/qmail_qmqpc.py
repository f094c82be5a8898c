"""qmail-qmqpc: qmail-queue for a host without a queue; hands the message to a QMQP server (qmail-interfaces 14.3).

The first server of ``control/qmqpservers`` that takes the connection decides.  Nothing is printed; the exit code says
everything, and is one of qmail-queue's.
"""

import os

from paperpath.base.digits import leading_digits
from paperpath.config.control import Control
from paperpath.inject import queueing
from paperpath.inject.command import qmail_home
from paperpath.inject.qmail_queue import BadEnvelope, read_envelope
from paperpath.protocol.netstring import netstring
from paperpath.system import injection

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Sequence

PORT = 628
_CONNECT_S, _STEP_S = 10.0, 60.0
_MOST_BYTES = 200_000_000
"""Of message and envelope each: they are held in memory, as qmail's does, and no server reads more."""

OUT_OF_MEMORY, CONNECTION_REFUSED, NO_HOME = 51, 73, 61
_VERDICTS = {b"K": queueing.QUEUED, b"Z": queueing.NOT_NOW, b"D": queueing.REFUSED}


def main(_argv: list[str]) -> int:
    """Hand over one message; return qmail-queue's exit code."""
    home = qmail_home()
    if not os.path.isdir(home):
        return NO_HOME
    servers = _servers(home)
    if servers is None:
        return queueing.NO_CONFIGURATION
    try:
        message = injection.read_to_end(0, _MOST_BYTES)
        envelope = injection.read_to_end(1, _MOST_BYTES) if message is not None else None
    except OSError:
        return queueing.READ_ERROR
    if message is None or envelope is None:
        return OUT_OF_MEMORY
    try:
        sender, recipients = read_envelope(envelope, _MOST_BYTES)
    except BadEnvelope as error:
        return error.code
    return _deliver(servers, message, [sender, *recipients])


def hand_over(message: bytes, sender: bytes, recipients: "Sequence[bytes]") -> int:
    """Do the same for a program that has the message already."""
    servers = _servers(qmail_home())
    return queueing.NO_CONFIGURATION if servers is None else _deliver(servers, message, [sender, *recipients])


def _servers(home: str) -> list[bytes] | None:
    """Return the entries of the list, None where it is missing or cannot be read."""
    try:
        return Control(home).read_list("qmqpservers")
    except OSError:
        return None


def _deliver(servers: list[bytes], message: bytes, addresses: list[bytes]) -> int:
    injection.ignore_broken_pipes()
    request = netstring(b"".join([netstring(message), *map(netstring, addresses)]))
    code = queueing.NO_CONFIGURATION
    for server in servers:
        address = _ip(server)
        if not address:
            continue
        try:
            connection = injection.Connection(address, PORT, _CONNECT_S)
        except TimeoutError:
            code = queueing.SERVER_SILENT
        except OSError:
            code = CONNECTION_REFUSED
        else:
            return _converse(connection, request)
    return code


def _ip(server: bytes) -> str:
    """Return the IPv4 address that an entry begins with, or nothing where it begins with none."""
    parts = server.split(b".", 3)
    if len(parts) < 4:
        return ""
    numbers = [*parts[:3], leading_digits(parts[3])]
    if not all(number.isdigit() and len(number) < 4 and int(number) < 256 for number in numbers):
        return ""
    return ".".join(str(int(number)) for number in numbers)


def _converse(connection: injection.Connection, request: bytes) -> int:
    """Send the request; return what the letter of the answer comes to."""
    try:
        received = connection.exchange(request, _STEP_S, lambda so_far: b":" in so_far[:-1])
    except OSError:
        return queueing.CONNECTION_BROKE
    digits, _, said = received.partition(b":")
    return _VERDICTS.get(said[:1], queueing.CONNECTION_BROKE) if digits.isdigit() else queueing.CONNECTION_BROKE
