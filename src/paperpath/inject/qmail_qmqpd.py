"""qmail-qmqpd: takes one message by QMQP on standard input and output (qmail-interfaces 14.3)."""

import os

from paperpath.inject.command import PERMANENT, TEMPORARY, qmail_home
from paperpath.inject.peer import received_by
from paperpath.inject.queueing import Submission
from paperpath.protocol.netstring import netstring
from paperpath.protocol.qmqp import Malformed, QmqpServer, Request
from paperpath.system import clock, injection

_READ_BYTES = 64 * 1024
_SESSION_MOST_S = 3600
_LONGEST_BYTES = 999
_MESSAGE_MOST_BYTES = 2_000_000_009
_ENVELOPE_MOST_BYTES = 32 * 1024 * 1024
_BAD_ADDRESS = b"Dsorry, I can't accept addresses like that (#5.1.3)"


def main(_argv: list[str]) -> int:
    """Serve one client; return 0, 100 where it does not speak QMQP, 111 for trouble here."""
    injection.exit_after(_SESSION_MOST_S, TEMPORARY)
    injection.ignore_broken_pipes()
    server = QmqpServer(message_most_bytes=_MESSAGE_MOST_BYTES, envelope_most_bytes=_ENVELOPE_MOST_BYTES)
    if not os.path.isdir(qmail_home()):
        return TEMPORARY
    try:
        submission = Submission()
    except OSError:
        return TEMPORARY
    submission.put(received_by(b"QMQP"))
    try:
        while not server.is_done and (data := os.read(0, _READ_BYTES)):
            for event in server.receive(data):
                if isinstance(event, bytes):
                    submission.put(event)
                elif isinstance(event, Request):
                    injection.write_all(1, netstring(_result(submission, event)))
                else:
                    return PERMANENT if isinstance(event, Malformed) else TEMPORARY
    except ConnectionError:
        pass
    return 0


def _result(submission: Submission, request: Request) -> bytes:
    """Queue the message, unless it is refused; return what is said of it."""
    is_refused = not all(map(_is_address, (request.sender, *request.recipients)))
    outcome = submission.close(request.sender, request.recipients, is_refused=is_refused)
    if is_refused:
        return _BAD_ADDRESS
    text = os.fsencode(outcome.text)
    return text or b"Kok %d qp %d" % (int(clock.now()), submission.number)


def _is_address(address: bytes) -> bool:
    return len(address) <= _LONGEST_BYTES and b"\0" not in address
