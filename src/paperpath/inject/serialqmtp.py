"""serialqmtp: sends messages of a Maildir to one server by QMTP, for maildirserial (qmail-interfaces 20.3).

    serialqmtp prefix

Names of files come on descriptor 0, a NUL behind each; the server is on 6 and 7.
"""

import os

from paperpath.inject.command import TEMPORARY, fatal, usage
from paperpath.inject.serial import Broken, Peer, answer, envelope, names
from paperpath.protocol.netstring import netstring
from paperpath.system import heard, injection

TYPE_CHECKING = False
if TYPE_CHECKING:
    from io import BufferedReader

_READ_S = 3600
_ANSWER_MOST_BYTES = 200_000_000
_DIGITS_MOST = 9
_COPY_BYTES = 1 << 16
_CANNOT_WRITE, _CANNOT_READ, _CANNOT_OPEN = 31, 32, 35
_FAULTS = {
    _CANNOT_WRITE: "unable to write to network",
    _CANNOT_READ: "unable to read file",
    _CANNOT_OPEN: "unable to open file",
}


def main(argv: list[str]) -> int:
    """Send what descriptor 0 names; return 0, 100 where it is called wrongly, 111 where it cannot go on."""
    if len(argv) < 2:
        return usage("serialqmtp prefix")
    prefix = os.fsencode(argv[1])
    # One process sends and another hears: a server may answer as soon as it likes, and wait until it is heard.
    sent, child = heard.start_teller(lambda told: _send_all(prefix, told))
    try:
        peer = Peer(_READ_S)
        for name in names(sent):
            letter, text = _response(peer)
            injection.write_all(1, answer(name, letter, text))
    except Broken as broken:
        return fatal("serialqmtp", str(broken), TEMPORARY)
    status = injection.wait(child)
    return 0 if not status else fatal("serialqmtp", _FAULTS.get(status, "internal error"), TEMPORARY)


def _response(peer: Peer) -> tuple[bytes, bytes]:
    """Return letter and text of the next response.  Raises Broken."""
    digits = b""
    while (digit := peer.exactly(1)) != b":":
        digits += digit
        if not digit.isdigit() or len(digits) > _DIGITS_MOST:
            raise Broken("remote protocol violation")
    size = int(digits or b"0")
    if not 0 < size <= _ANSWER_MOST_BYTES:
        raise Broken("remote protocol violation")
    letter = peer.exactly(1)
    if letter not in (b"K", b"Z", b"D"):
        raise Broken("remote protocol violation")
    text = peer.beginning(size - 1)
    if peer.exactly(1) != b",":
        raise Broken("remote protocol violation")
    return letter, text


def _send_all(prefix: bytes, told: int) -> int:
    """In the process that sends: return its exit status; before a message goes out, its name is written to ``told``."""
    peer = Peer(_READ_S)
    for name in names(0):
        try:
            with open(name, "rb") as file:
                _send(peer, prefix, name, file, told)
        except Broken:
            return _CANNOT_WRITE
        except EOFError:
            return _CANNOT_READ
        except OSError:
            return _CANNOT_OPEN
    return 0


def _send(peer: Peer, prefix: bytes, name: bytes, file: "BufferedReader", told: int) -> None:
    """Send one message, if it is one of ours.  Raises Broken; EOFError where the file became shorter."""
    found = envelope(file)
    if found is None or not found[1].startswith(prefix):
        return
    left = os.fstat(file.fileno()).st_size - file.tell()
    injection.write_all(told, name + b"\0")
    peer.write(b"%d:\n" % (left + 1))
    while left:
        piece = file.read(min(left, _COPY_BYTES))
        if not piece:
            raise EOFError
        peer.write(piece)
        left -= len(piece)
    peer.write(b"," + netstring(found[0]) + netstring(netstring(found[1][len(prefix) :])))
