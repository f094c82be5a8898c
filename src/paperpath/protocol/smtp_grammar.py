"""Grammar that SMTP commands share (RFC 5321 4.1.2): paths, ESMTP parameters, numbers.

Bytes in, bytes out.  Whoever calls has bounded the line already and made sure that it holds no CR and no LF.
"""

import re
from typing import Final

# RFC 5321 4.1.2:  A-d-l = At-domain *( "," At-domain ), then ":".  Dropped, as appendix C wants it.  An address literal
# may hold colons itself.
_SOURCE_ROUTE: Final = re.compile(rb'(?:@(?:\[[^\]@]*\]|[^]\[:,@"<>\\]*),?)+:')

_BLANK: Final = ord(b" ")
_CLOSING_BRACKET: Final = ord(b">")
_QUOTE: Final = ord(b'"')
_BACKSLASH: Final = ord(b"\\")

# What no domain and no address literal can hold, in ASCII; bytes above 127 are U-labels (RFC 6531 3.3).  Everything
# else passes: a domain that does not exist fails at routing, with a better reason than we could give here.
_IN_DOMAIN: Final = bytes(c for c in range(0x21, 0x100) if c not in b'"(),;<>@\\\x7f')

NUMBER_MOST_DIGITS: Final = 20
"""RFC 1870 6: the size-value has up to twenty digits.  Counted before conversion, which is quadratic in them."""


def parse_number(digits: bytes, most_digits: int = NUMBER_MOST_DIGITS) -> int | None:
    """Return the number that one to ``most_digits`` ASCII digits mean, else None."""
    return int(digits) if len(digits) <= most_digits and digits.isdigit() else None


def parse_path(text: bytes) -> tuple[bytes, bytes] | None:
    """Split ``<path> parameters`` into the unquoted address and what follows; None where it is not a path.

    As qmail does it: source routes are dropped, quotes and backslashes removed, and a path without brackets is
    taken up to the first blank (old clients send ``MAIL FROM: joe@example.org``).
    """
    bracketed = text.startswith(b"<")
    path, found, rest = text[1:].partition(b">") if bracketed else text.partition(b" ")
    if path.startswith(b"@") or b'"' in path or b"\\" in path:
        return _parse_odd_path(text, 1 if bracketed else 0, _CLOSING_BRACKET if bracketed else _BLANK)
    if bracketed and (not found or (rest and rest[0] != _BLANK)):
        return None
    return path, rest


def _parse_odd_path(text: bytes, at: int, end: int) -> tuple[bytes, bytes] | None:
    """Parse a path with a source route or with quotes, from offset ``at`` up to the unquoted byte ``end``."""
    while text.startswith(b"@", at):
        route = _SOURCE_ROUTE.match(text, at)
        if route is None:
            return None
        at = route.end()
    address = bytearray()
    quoted = False
    while at < len(text):
        byte = text[at]
        at += 1
        if byte == _BACKSLASH and at < len(text):
            address.append(text[at])
            at += 1
        elif byte == _QUOTE:
            quoted = not quoted
        elif byte == end and not quoted:
            rest = text[at:]
            return None if end == _CLOSING_BRACKET and rest[:1] not in (b"", b" ") else (bytes(address), rest)
        else:
            address.append(byte)
    return (bytes(address), b"") if end == _BLANK and not quoted else None


def parse_parameters(text: bytes) -> dict[bytes, bytes | None] | None:
    """Return the ESMTP parameters (RFC 5321 4.1.2 Mail-parameters) by upper-cased keyword; None where malformed.

    A keyword without ``=`` has the value None.  A repeated keyword is malformed.
    """
    parameters: dict[bytes, bytes | None] = {}
    for word in text.split():
        keyword, equals, value = word.partition(b"=")
        keyword = keyword.upper()
        if not keyword or keyword in parameters or (equals and not value) or b"=" in value:
            return None
        parameters[keyword] = value if equals else None
    return parameters


def is_domain(domain: bytes) -> bool:
    """Tell whether these bytes could be a domain or an address literal; lenient, see above."""
    return bool(domain) and not domain.translate(None, _IN_DOMAIN)
