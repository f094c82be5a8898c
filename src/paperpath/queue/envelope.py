"""The bounds that every envelope keeps, whoever brings it: a submitter, or an agent that forwards.  Pure."""

from collections.abc import Collection

from paperpath.base.address import is_bounce_sender
from paperpath.base.limits import ADDRESS_MOST_BYTES, ENVELOPE_MOST_BYTES, RECIPIENTS_MOST, TRACE_MOST_BYTES


def check_envelope(sender: bytes, recipients: Collection[bytes], trace: bytes) -> None:
    """Raise ValueError where an envelope or the lines before its message break a bound."""
    if not 1 <= len(recipients) <= RECIPIENTS_MOST:
        raise ValueError("number of recipients")
    if not all(recipient and _is_address(recipient) for recipient in recipients):
        raise ValueError("a recipient is not an address")
    if sum(map(len, recipients)) > ENVELOPE_MOST_BYTES:
        raise ValueError("envelope too large")
    if not is_bounce_sender(sender) and not _is_address(sender):
        raise ValueError("the sender is not an address")
    if len(trace) > TRACE_MOST_BYTES or (trace and not trace.endswith(b"\n")):
        raise ValueError("trace lines")


def _is_address(address: bytes) -> bool:
    return len(address) <= ADDRESS_MOST_BYTES and b"\0" not in address
