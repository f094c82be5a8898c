"""Address fields as qmail reads and writes them (qmail-interfaces 16.5 and 16.6).

Lenient on purpose: what people type on a terminal becomes a proper field, and a missing comma between two addresses is
put in.  Programs that live for milliseconds import this module, so it costs nothing but itself: no patterns, no typing.

A token is a pair of kind and text.  Kinds are ``ATOM``, ``QUOTE`` (without its quotes), ``LITERAL``, ``COMMENT`` and
the specials, each of which is its own kind and has no text.
"""

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable

    Token = tuple[str, bytes]
    Rewrite = Callable[[list[Token]], None]

ATOM, QUOTE, LITERAL, COMMENT = "atom", '"', "[", "("
WORDS = frozenset((ATOM, QUOTE, LITERAL, COMMENT))
LINE_COLUMNS = 80

_SPECIALS = {byte: chr(byte) for byte in b",@.<>:;"}
_BLANKS = frozenset(b" \t\r\n")
_ENDS_ATOM = _BLANKS | frozenset(b'([",@.<>:;')
_OPEN = {ord("("): (COMMENT, ord(")")), ord('"'): (QUOTE, ord('"')), ord("["): (LITERAL, ord("]"))}
_ATOM_HOLDS = bytes(byte for byte in range(33, 127) if byte not in _ENDS_ATOM and byte not in b")]\\")
_BACKSLASH, _PARENTHESIS = ord("\\"), ord("(")
_ESCAPED = frozenset(b'"[]()\\\r\n')
_SURROUND = {QUOTE: (b'"', b'"'), LITERAL: (b"[", b"]"), COMMENT: (b"(", b")"), ATOM: (b"", b"")}
_PHRASE = frozenset((COMMENT, ATOM, QUOTE, "@", "."))


class Unparsable(ValueError):
    """The field cannot be read as addresses."""


def lex(text: bytes) -> "list[Token]":
    """Return the tokens of a field; blanks are left out.  Raises Unparsable."""
    tokens: list[Token] = []
    at, end = 0, len(text)
    while at < end:
        byte = text[at]
        if byte in _BLANKS:
            at += 1
        elif byte in _SPECIALS:
            tokens.append((_SPECIALS[byte], b""))
            at += 1
        elif byte in _OPEN:
            kind, closing = _OPEN[byte]
            word, at = _enclosed(text, at + 1, closing, nests=kind is COMMENT)
            tokens.append((kind, word))
        elif byte in b")]":
            raise Unparsable("closed before it was opened")
        else:
            word, at = _atom(text, at)
            # What an atom cannot hold is written in quotes from here on.
            tokens.append((QUOTE if word.translate(None, _ATOM_HOLDS) else ATOM, word))
    return tokens


def _atom(text: bytes, at: int) -> tuple[bytes, int]:
    """Return the atom that begins at ``at``, less its backslashes, and where it ends."""
    begin, end, is_escaped = at, len(text), False
    while at < end and text[at] not in _ENDS_ATOM:
        if text[at] == _BACKSLASH:
            is_escaped = True
            at += 1
        at += 1
    word = text[begin:at]
    return (_unescape(word) if is_escaped else word), at


def _unescape(word: bytes) -> bytes:
    """Drop each backslash and keep what follows it; one at the very end is dropped too."""
    kept, at = bytearray(), 0
    while at < len(word):
        at += word[at] == _BACKSLASH
        kept += word[at : at + 1]
        at += 1
    return bytes(kept)


def _enclosed(text: bytes, at: int, closing: int, *, nests: bool) -> tuple[bytes, int]:
    """Return what stands before the closing byte, and where the text goes on.

    Parentheses within a comment are dropped, as qmail drops them.
    """
    word, depth, end = bytearray(), 1, len(text)
    while at < end:
        byte = text[at]
        at += 1
        if byte == closing:
            depth -= 1
            if not depth:
                return bytes(word), at
        elif nests and byte == _PARENTHESIS:
            depth += 1
        elif byte == _BACKSLASH:
            if at >= end:
                break
            word.append(text[at])
            at += 1
        else:
            word.append(byte)
    raise Unparsable("opened and never closed")


def unquote(tokens: "list[Token]") -> bytes:
    """Return an address, its tokens in order, as the envelope holds it: without quotes and comments."""
    pieces: list[bytes] = []
    for kind, word in tokens:
        if kind is ATOM or kind is QUOTE:
            pieces.append(word)
        elif kind is LITERAL:
            pieces.append(b"[" + word + b"]")
        elif kind is not COMMENT:
            pieces.append(kind.encode())
    return b"".join(pieces)


def unlex(tokens: "list[Token]") -> bytes:
    """Return a field written from its tokens, folded after commas at 80 columns where that can be, with its LF."""
    lines: list[bytes] = []
    line: bytes | None = None
    for piece in _pieces(tokens):
        if line is None:
            line = piece
        # The two columns that a fold would have taken count, as they do in qmail.
        elif not piece or len(line) + 2 + len(piece) <= LINE_COLUMNS:
            line += piece
        else:
            lines.append(line)
            line = b" " + piece
    return b"\n".join([*lines, line or b""]) + b"\n"


def _pieces(tokens: "list[Token]") -> list[bytes]:
    """Return the text cut behind each comma."""
    pieces, text, last = [], bytearray(), ""
    for kind, word in tokens:
        if _is_spaced(last, kind):
            text += b" "
        last = kind
        if kind in WORDS:
            opening, closing = _SURROUND[kind]
            text += opening + _escape(word) + closing
        else:
            text += kind.encode()
        if kind == ",":
            pieces.append(bytes(text))
            text.clear()
    return [*pieces, bytes(text)]


def _is_spaced(before: str, after: str) -> bool:
    if not before:
        return False
    return before in ":," or after == "<" or (before in WORDS and after in WORDS)


def _escape(word: bytes) -> bytes:
    if not _ESCAPED.intersection(word):
        return word
    return b"".join(b"\\" + word[at : at + 1] if word[at] in _ESCAPED else word[at : at + 1] for at in range(len(word)))


class _Reader:
    """Goes through a field's tokens from right to left, which needs no looking ahead."""

    def __init__(self, tokens: "list[Token]", rewrite: "Rewrite") -> None:
        self.left = tokens[2:]
        self.output: list[Token] = []
        self._address: list[Token] = []
        self._rewrite = rewrite
        self._in_group, self._word_fits = False, True

    def read(self) -> None:
        while self.left:
            kind = self.left[-1][0]
            if kind == ">":
                self._bracketed()
            elif kind == ":":
                self._group_begins()
            elif kind == ";":
                self._group_ends()
            elif kind is COMMENT:
                self.output.append(self.left.pop())
            elif kind == ",":
                self._flush()
                self._word_fits = True
                self.output.append(self.left.pop())
            else:
                self._part(kind)
        self._flush()

    def _part(self, kind: str) -> None:
        is_word = kind in WORDS
        if is_word and not self._word_fits:
            self._flush_with_comma()
        self._word_fits = not is_word
        self._address.append(self.left.pop())

    def _flush(self) -> None:
        if self._address:
            self._give()

    def _flush_with_comma(self) -> None:
        if self._address:
            self._give()
            self.output.append((",", b""))

    def _give(self) -> None:
        self._rewrite(self._address)
        self.output += self._address
        self._address = []

    def _bracketed(self) -> None:
        self._flush_with_comma()
        self.output.append(self.left.pop())
        while self.left and self.left[-1][0] != "<":
            self._address.append(self.left.pop())
        self._give()  # also where it is empty: <>
        if not self.left:
            raise Unparsable("> without <")
        self.output.append(self.left.pop())
        while self.left and self.left[-1][0] in _PHRASE:
            self.output.append(self.left.pop())
        self._word_fits = False

    def _group_ends(self) -> None:
        self._flush_with_comma()
        if self._in_group:
            raise Unparsable("a group in a group")
        self._in_group, self._word_fits = True, True
        self.output.append(self.left.pop())

    def _group_begins(self) -> None:
        self._flush()
        if not self._in_group:
            raise Unparsable("a colon outside of a group")
        self._in_group, self._word_fits = False, True
        while self.left and self.left[-1][0] != ",":
            self.output.append(self.left.pop())
        if self.left:
            self.output.append(self.left.pop())


def rewrite_addresses(field: "list[Token]", rewrite: "Rewrite") -> "list[Token]":
    """Return the tokens of an address field (its name and colon come first) with every address rewritten.

    ``rewrite`` changes an address in place, the last of its tokens first; addresses come from right to left.  Raises
    Unparsable.
    """
    reader = _Reader(field, rewrite)
    reader.read()
    return [*field[:2], *reversed(reader.output)]
