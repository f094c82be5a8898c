"""What a submitted message lacks, and whom it claims to be from (RFC 6409 8).

Missing fields are lines to put before the message.  Addresses without a domain are completed in their fields; every
other byte of the header stays as it is.  Fields that cannot be read are left alone, except From: a message whose author
cannot be told is from nobody.
"""

import re

import msgspec

from paperpath.base.dates import rfc5322
from paperpath.message.header import ADDRESS_FIELDS, fields
from paperpath.message.rfc822 import ATOM, COMMENT, QUOTE, Unparsable, lex, rewrite_addresses, unlex, unquote

TYPE_CHECKING = False
if TYPE_CHECKING:
    from paperpath.message.rfc822 import Token

_NEEDED = {b"date": "Date", b"message-id": "Message-ID", b"from": "From"}

# Most fields are addresses with domains and no quotes or comments: those need not be taken apart.
_ADDRESS = rb"[A-Za-z0-9!#$%&'*+/=?^_`{|}~-][A-Za-z0-9!#$%&'*+/=?^_`{|}~.-]*+@[A-Za-z0-9](?:[A-Za-z0-9.-]*[A-Za-z0-9])?"
_ITEM = rb"[ \t]*+(?:(?:[A-Za-z0-9=?_'-]++[ \t]*+)*+<" + _ADDRESS + rb">|" + _ADDRESS + rb")[ \t]*+"
_PLAIN = re.compile(_ITEM + rb"(?:,(?:\n[ \t]++)?" + _ITEM + rb")*+")
_LOCAL_PART = frozenset((ATOM, QUOTE, COMMENT, "."))
_EACH = re.compile(_ADDRESS)


class Submitted(msgspec.Struct, frozen=True, gc=False):
    """What was found in a header."""

    authors: tuple[bytes, ...] | None
    """Addresses of From; empty: there is no From; None: it cannot be read, or there are two."""
    missing: tuple[str, ...]
    """Of ``Date``, ``Message-ID`` and ``From``."""
    header: bytes | None
    """The header with domains completed; None where none was missing."""


def look_at(header: bytes, default_domain: bytes) -> Submitted:
    """Read the header of a submitted message, LF line ends, the empty line not included."""
    seen: list[bytes] = []
    authors: tuple[bytes, ...] | None = ()
    changed: list[tuple[bytes, bytes]] = []
    for name, value in fields(header):
        low = name.lower()
        seen.append(low)
        if low not in ADDRESS_FIELDS:
            continue
        if _PLAIN.fullmatch(value):  # nothing can lack
            if low == b"from" and authors is not None:
                authors = tuple(_EACH.findall(value))
            continue
        field = name + b":" + value
        try:
            found, completed = _complete(field, default_domain)
        except Unparsable:
            authors = None if low == b"from" else authors
            continue
        if completed is not None:
            changed.append((field, completed))
        if low == b"from" and authors is not None:
            authors = found
    if seen.count(b"from") > 1 or (authors == () and b"from" in seen):
        authors = None
    missing = tuple(name for low, name in _NEEDED.items() if low not in seen)
    return Submitted(authors, missing, _replaced(header, changed))


def lines_for(missing: tuple[str, ...], *, now: int, message_id: bytes, author: bytes) -> bytes:
    """Return the missing fields, LF at their ends; ``message_id`` without its angle brackets."""
    values = {"Date": rfc5322(now).encode(), "Message-ID": b"<%b>" % message_id, "From": author}
    return b"".join(b"%b: %b\n" % (name.encode(), values[name]) for name in missing)


def _complete(field: bytes, default_domain: bytes) -> tuple[tuple[bytes, ...], bytes | None]:
    """Return the addresses of a field, and the field anew where one of them lacked a domain.  Raises Unparsable."""
    found: list[bytes] = []
    tokens = lex(field.replace(b"\n", b""))  # unfolded, or what is quoted could hold a line end
    at_default = lex(b"@" + default_domain)[::-1]
    lacked = False

    def rewrite(address: "list[Token]") -> None:
        nonlocal lacked
        if not address:
            return
        if all(kind != "@" for kind, _ in address):
            if not all(kind in _LOCAL_PART for kind, _ in address):
                raise Unparsable("no local part")  # with a domain behind it, it would read as something else
            address[:0] = at_default
            lacked = True
        found.append(unquote(address[::-1]))

    rewritten = rewrite_addresses(tokens, rewrite)
    return tuple(found[::-1]), unlex(rewritten).removesuffix(b"\n") if lacked else None


def _replaced(header: bytes, changed: list[tuple[bytes, bytes]]) -> bytes | None:
    if not changed:
        return None
    text = b"\n" + header
    for old, new in changed:
        text = text.replace(b"\n" + old + b"\n", b"\n" + new + b"\n", 1)
    return text[1:]
