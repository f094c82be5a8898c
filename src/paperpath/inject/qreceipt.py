"""qreceipt: tells the sender that a message was delivered, where he asked for that (qmail-interfaces 17.2)."""

import os

from paperpath.inject.command import PERMANENT, TEMPORARY, fatal, say, usage
from paperpath.inject.queueing import enqueue
from paperpath.message.composing import UnreadableField, field_name, split_message
from paperpath.message.rewriting import quote_argument
from paperpath.message.rfc822 import Unparsable, lex, rewrite_addresses, unquote

TYPE_CHECKING = False
if TYPE_CHECKING:
    from paperpath.message.rfc822 import Token

_ASKS = b"notice-requested-upon-delivery-to"
_NOBODY = (b"", b"#@[]")
_HEADER_MOST_BYTES = 1 << 20

_NOTICE = b"""\
From: DELIVERY NOTICE SYSTEM <%b>
To: <%b>
Subject: success notice

Hi! This is the qreceipt program. Your message was delivered to the
following address: %b. Thanks for asking.
"""


def main(argv: list[str]) -> int:
    """Return 0 whether or not a notice was due; 100 and 111 where one could not be sent."""
    sender = os.environb.get(b"SENDER")
    if len(argv) < 2 or sender is None:
        return usage("qreceipt deliveryaddress")
    target = os.fsencode(argv[1])
    try:
        header = _read_header()
    except OSError:
        return fatal("qreceipt", "read error", TEMPORARY)
    fields, _ = split_message(header)
    try:
        is_due = bool(sum(_asks_for(field, target) for field in fields))  # all of them are read, as qmail does
    except UnreadableField as error:
        return fatal("qreceipt", f"unable to parse this: {os.fsdecode(error.args[0].rstrip())}", PERMANENT)
    return _notify(sender, target, _message_id(fields)) if is_due and sender not in _NOBODY else 0


def _read_header() -> bytes:
    """Return the beginning of standard input, at least to the end of the header.  Raises OSError."""
    header = b""
    while b"\n\n" not in header and len(header) < _HEADER_MOST_BYTES and (piece := os.read(0, _HEADER_MOST_BYTES)):
        header += piece
    return header


def _asks_for(field: bytes, target: bytes) -> bool:
    """Tell whether a field asks for a notice about exactly this address.  Raises UnreadableField."""
    if field_name(field) != _ASKS:
        return False
    found: list[bytes] = []

    def note(address: "list[Token]") -> None:
        found.append(unquote(address[::-1]))

    try:
        rewrite_addresses(lex(field), note)
    except Unparsable:
        raise UnreadableField(field) from None
    return target in found


def _message_id(fields: list[bytes]) -> bytes:
    """Return the last Message-ID field, as it stands there."""
    return next((field for field in reversed(fields) if field_name(field) == b"message-id"), b"")


def _notify(sender: bytes, target: bytes, message_id: bytes) -> int:
    quoted = quote_argument(sender)
    notice = _NOTICE % (quoted, quoted, target)
    if message_id:
        notice += b"Your " + message_id
    outcome = enqueue(notice, b"", [sender])
    if outcome.text:
        kind = "permanent" if outcome.exit_code == PERMANENT else "temporary"
        say(f"qreceipt: fatal: {kind} qmail-queue error")
    return outcome.exit_code
