"""What stands for a message with an internationalized header where a client knows ASCII only (RFC 6858).

Only fields that hold UTF-8 are changed, and only in the header of the message itself: a subject and names are written
as encoded words, an address that ASCII cannot hold is replaced by one that reaches nobody, parameters of MIME are left
out, and so is any other field.  Fields that hold something else beyond ASCII are no internationalized header but an
old fault, and nobody knows what they mean: they stay.
"""

import re
from typing import TYPE_CHECKING, Final

from paperpath.message.encoded_words import encoded_words
from paperpath.message.header import ADDRESS_FIELDS
from paperpath.message.rfc822 import ATOM, COMMENT, QUOTE, Unparsable, lex, rewrite_addresses, unlex, unquote

if TYPE_CHECKING:
    from paperpath.message.rfc822 import Token

_HEADER_MOST_BYTES: Final = 64 * 1024
"""Of a header that is looked at, some 3 us a byte at worst, which all sessions of the process wait for; fields behind
that are sent as they are, or whoever writes us a header of megabytes would hold up everybody's mail for minutes."""
_HEADER_END: Final = re.compile(rb"(?:\A|\n)(?=\r?\n)")
_WHOLE_FIELDS: Final = re.compile(rb".*\n(?![ \t]|\Z)", re.DOTALL)
_FIELD: Final = re.compile(rb"[^\n]*+(?:\n[ \t][^\n]*+)*+\n?+")
_PARAMETER: Final = re.compile(rb'(?:[^";]|"(?:[^"\\]|\\.)*+"?+)++', re.DOTALL)
_ADDRESSES: Final = ADDRESS_FIELDS | {b"return-path"}
_NOBODY: Final = ((ATOM, b"invalid"), (".", b""), (ATOM, b"internationalized-address"), ("@", b""), (ATOM, b"invalid"))
"""An address under a domain that never will be (RFC 6858 2.1), from right to left."""
_NAMES: Final = frozenset((ATOM, QUOTE, ".", "@"))


class Surrogate:
    """Makes it of pieces cut anywhere."""

    __slots__ = ("_held", "_in_header")

    def __init__(self) -> None:
        self._held = b""
        self._in_header = True

    def take(self, data: bytes) -> bytes:
        """Return what is known of it after the next piece."""
        if not self._in_header:
            return data
        held = self._held + data
        head = held[:_HEADER_MOST_BYTES]
        end = _HEADER_END.search(head, max(0, len(self._held) - 2))
        if end is None and len(held) <= _HEADER_MOST_BYTES:
            self._held = held
            return b""
        self._in_header, self._held = False, b""
        looked_at = end or _WHOLE_FIELDS.match(head)
        at = looked_at.end() if looked_at is not None else 0
        return _in_ascii(held[:at]) + held[at:]

    def finish(self) -> bytes:
        """Return the rest."""
        held, self._held = self._held, b""
        return _in_ascii(held)


def _in_ascii(header: bytes) -> bytes:
    if header.isascii():
        return header
    return b"".join(field if field.isascii() else _field(field) for field in _FIELD.findall(header))


def _field(field: bytes) -> bytes:
    try:
        field.decode()
    except UnicodeDecodeError:
        return field
    unfolded = field.replace(b"\r\n", b"\n").replace(b"\n", b"")
    name, colon, value = unfolded.partition(b":")
    match name.rstrip(b" \t").lower():
        case b"subject":
            return name + b": " + b"\n ".join(encoded_words(value.strip(b" \t").decode())) + b"\n"
        case b"content-type" | b"content-disposition":
            return _with_ascii_parameters(name + colon, value)
        case key if key in _ADDRESSES:
            return _with_ascii_addresses(unfolded)
        case _:
            return b""


def _with_ascii_parameters(begun: bytes, value: bytes) -> bytes:
    first, *parameters = _PARAMETER.findall(value) or [value]
    if not first.isascii():
        return b""
    return begun + b";".join([first, *filter(bytes.isascii, parameters)]) + b"\n"


def _with_ascii_addresses(field: bytes) -> bytes:
    try:
        return unlex(_with_ascii_names(rewrite_addresses(lex(field), _replace)))
    except Unparsable:
        return b""


def _replace(address: "list[Token]") -> None:
    """Put one that reaches nobody in the place of an address, with what it was in a comment."""
    if all(word.isascii() for kind, word in address if kind is not COMMENT):
        return
    was = unquote(address[::-1]).decode()
    address[:] = [(COMMENT, b" ".join(encoded_words(was))), *_NOBODY]


def _with_ascii_names(tokens: "list[Token]") -> "list[Token]":
    """Return the field with names and comments as encoded words, a name's words together: blanks between encoded words
    are no part of the text."""
    written: list[Token] = []
    name: list[Token] = []
    for token in [*tokens, ("", b"")]:
        if token[0] in _NAMES:
            name.append(token)
            continue
        written += name if all(word.isascii() for _, word in name) else _name(name)
        name = []
        kind, word = token
        written.append((kind, word if word.isascii() else b" ".join(encoded_words(word.decode()))))
    return written[:-1]


def _name(words: "list[Token]") -> "list[Token]":
    text = b" ".join(word or kind.encode() for kind, word in words).replace(b" . ", b". ")
    return [(ATOM, word) for word in encoded_words(text.decode())]
