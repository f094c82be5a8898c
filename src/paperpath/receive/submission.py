"""What an account may send, and what is put right at the door: after the content came in, before it is accepted.

Missing fields go into the prefix that holds Received, beside the content.  Only where an address of the header lacks a
domain the header itself is written anew; that happens here, so what the queue accepts it never changes.
"""

import os
import re
from typing import Final, NamedTuple

from paperpath.base.address import quote
from paperpath.base.reply import Reply, reply
from paperpath.message.header import header_end
from paperpath.message.submission import lines_for, look_at
from paperpath.system.chance import random_bytes
from paperpath.system.files import create_spool_file, read_some, write_pieces

NOT_YOURS: Final = reply(553, "5.7.1", "That sender is not one of yours")
FROM_NOT_YOURS: Final = reply(550, "5.7.1", "The From field names an address that is not one of yours")
FROM_UNREADABLE: Final = reply(550, "5.6.0", "The From field cannot be read, or there are two")
HEADER_TOO_LONG: Final = reply(552, "5.3.4", "The header is too long")

_HEADER_MOST_BYTES: Final = 256 * 1024
_PART_BYTES: Final = 256 * 1024
_ID_BYTES: Final = 12
_FIELD: Final = re.compile(rb"[!-9;-~]+[ \t]*:")


class Message(NamedTuple):
    """The content of a message: in memory, or in a spool file."""

    content: bytes
    descriptor: int | None
    size: int


class Completed(NamedTuple):
    """A message made fit to be accepted; or why it is not, and the reason for the log."""

    message: Message
    prefix: bytes = b""
    """Lines that were missing."""
    refusal: Reply | None = None
    reason: str = ""


def may_send_as(addresses: tuple[bytes, ...], address: bytes) -> bool:
    """Tell whether one of ``addresses`` covers ``address``, which has a domain."""
    local, _, domain = address.lower().rpartition(b"@")
    at_domain = b"@" + domain
    if local + at_domain in addresses or at_domain in addresses:
        return True
    return any(
        owned.endswith(b"*" + at_domain) and local.startswith(owned[: -len(at_domain) - 1])
        for owned in addresses
        if b"*@" in owned
    )


class Submission:
    """The rules for one account's messages."""

    __slots__ = ("_addresses", "_domain", "_hostname", "_spool")

    def __init__(self, addresses: tuple[bytes, ...], domain: bytes, hostname: bytes, spool: str) -> None:
        self._addresses, self._domain, self._hostname, self._spool = addresses, domain, hostname, spool

    def sender(self, address: bytes) -> bytes | None:
        """Return an envelope sender with its domain; None where the account may not use it.  Empty is anybody's."""
        if not address:
            return address
        whole = address if b"@" in address else address + b"@" + self._domain
        return whole if may_send_as(self._addresses, whole) else None

    def complete(self, message: Message, *, sender: bytes, now: int) -> Completed:
        """Judge From and complete what lacks; a spool file of its own is the caller's to close.

        Raises OSError where none can be written.
        """
        head = message.content if message.descriptor is None else read_some(message.descriptor, _HEADER_MOST_BYTES)
        has_header = _FIELD.match(head) is not None
        end = header_end(head) if has_header else 0
        if end >= _HEADER_MOST_BYTES:
            return Completed(message, refusal=HEADER_TOO_LONG, reason="a header of more than 256 KiB")
        found = look_at(head[:end], self._domain)
        if found.authors is None:
            return Completed(message, refusal=FROM_UNREADABLE, reason="From cannot be read, or there are two")
        if not all(may_send_as(self._addresses, author) for author in found.authors):
            return Completed(message, refusal=FROM_NOT_YOURS, reason="From is not one of the account's addresses")
        prefix = self._lines_for(found.missing, sender, now) if found.missing else b""
        if not has_header and not head.startswith(b"\n"):
            prefix += b"\n"  # what begins with text has no header, and the text must not become one
        return Completed(message if found.header is None else self._with_header(message, found.header, end), prefix)

    def _lines_for(self, missing: tuple[str, ...], sender: bytes, now: int) -> bytes:
        return lines_for(missing, now=now, message_id=self._message_id(now), author=self._author(sender))

    def _author(self, sender: bytes) -> bytes:
        """Return what From says where it was missing: the envelope's sender, or the account's first address."""
        own = next((one for one in self._addresses if not one.startswith(b"@") and b"*@" not in one), b"")
        return quote(sender or own)

    def _message_id(self, now: int) -> bytes:
        return b"%x.%b@%b" % (now, random_bytes(_ID_BYTES).hex().encode(), self._hostname)

    def _with_header(self, message: Message, header: bytes, end: int) -> Message:
        """Return the message with another header in the place of the first ``end`` bytes."""
        size = message.size - end + len(header)
        if message.descriptor is None:
            return Message(header + message.content[end:], None, size)
        made = create_spool_file(self._spool)
        try:
            write_pieces(made, [header])
            while part := os.pread(message.descriptor, _PART_BYTES, end):
                write_pieces(made, [part])
                end += len(part)
        except BaseException:
            os.close(made)
            raise
        return Message(b"", made, size)
