"""qmail-queue: takes a message on descriptor 0, then its envelope on descriptor 1 (qmail-interfaces 9).

    F<sender> NUL  (T<recipient> NUL)*  NUL

Nothing is printed; the exit code says everything.
"""

from paperpath.inject import queueing
from paperpath.system import injection

_ENVELOPE_MOST_BYTES = 32 * 1024 * 1024
_LONGEST_BYTES = 1002


class BadEnvelope(Exception):
    """The envelope is not to be accepted; the argument is the exit code."""

    def __init__(self, code: int) -> None:
        super().__init__(code)
        self.code = code


def main(_argv: list[str]) -> int:
    """Queue one message; return qmail-queue's exit code."""
    injection.ignore_signals()
    try:
        message = injection.read_to_end_or_map(0, queueing.limit_bytes())
        envelope = injection.read_to_end(1, _ENVELOPE_MOST_BYTES) if message is not None else b""
    except OSError:
        return queueing.READ_ERROR
    if message is None or envelope is None:
        return queueing.REFUSED
    try:
        sender, recipients = read_envelope(envelope, _LONGEST_BYTES)
    except BadEnvelope as error:
        return error.code
    return queueing.submit(message, sender, recipients).code


def read_envelope(envelope: bytes, longest_bytes: int) -> tuple[bytes, list[bytes]]:
    """Return sender and recipients, none longer than that; what follows the last NUL is not looked at.

    Raises BadEnvelope.
    """
    addresses: list[bytes] = []
    at, letter = 0, b"F"
    while True:
        if addresses and envelope[at : at + 1] == b"\0":
            return addresses[0], addresses[1:]
        if at >= len(envelope):
            raise BadEnvelope(queueing.READ_ERROR)
        if envelope[at : at + 1] != letter:
            raise BadEnvelope(queueing.BAD_ENVELOPE)
        end = envelope.find(b"\0", at, at + longest_bytes + 2)
        if end < 0:
            is_long = len(envelope) - at - 1 > longest_bytes
            raise BadEnvelope(queueing.ADDRESS_TOO_LONG if is_long else queueing.READ_ERROR)
        addresses.append(envelope[at + 1 : end])
        at, letter = end + 1, b"T"
