"""How qmail completes an address that somebody typed (qmail-interfaces 16.7).

Addresses are lists of tokens of `message.rfc822`, the last token first, and are changed in place.
"""

from paperpath.message.rfc822 import ATOM, LITERAL, lex, unquote

TYPE_CHECKING = False
if TYPE_CHECKING:
    from paperpath.message.rfc822 import Token

_DOT_ATOM = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789!#$%&'*+-./=?^_`{|}~"


class Rewriter:
    """Completes addresses with this host's defaults.  Raises Unparsable where a default is no name."""

    def __init__(self, default_host: bytes, default_domain: bytes, plus_domain: bytes) -> None:
        self._at_host = _reversed_tokens(b"@" + default_host)
        self._dot_domain = _reversed_tokens(b"." + default_domain)
        self._dot_plus = _reversed_tokens(b"." + plus_domain)

    def rewrite(self, address: "list[Token]") -> None:
        """Complete one address; the empty one and those at ``[]`` stay as they are."""
        if not address or (len(address) > 1 and address[1][0] == "@" and address[0] == (LITERAL, b"")):
            return
        _drop_route(address)
        for needless in (".", "@"):
            if address and address[0][0] == needless:
                del address[0]
        if not address:
            return
        if all(kind != "@" for kind, _ in address):
            address[:0] = self._at_host
        kind, word = address[0]
        if kind is ATOM and word.endswith(b"+"):
            address[0] = (ATOM, word[:-1])
            address[:0] = self._dot_plus
        if not _is_complete(address):
            address[:0] = self._dot_domain

    def envelope(self, address: "list[Token]") -> bytes:
        """Return what the envelope holds for an address that was rewritten."""
        return unquote(address[::-1])

    def complete(self, raw: bytes) -> bytes:
        """Complete an address as the envelope holds it, and as arguments of programs are: without quotes.

        Raises Unparsable where the domain cannot be read.
        """
        address = _reversed_tokens(quote_argument(raw))
        self.rewrite(address)
        return self.envelope(address)


def quote_argument(raw: bytes) -> bytes:
    """Return a raw address as header fields write it; other than `base.address.quote`, it also takes one without @."""
    local, at, domain = raw.rpartition(b"@")
    if not at:
        local, domain = raw, b""
    if not raw or not must_quote(local):
        return raw
    escaped = local.replace(b"\\", b"\\\\").replace(b'"', b'\\"').replace(b"\r", b"\\\r").replace(b"\n", b"\\\n")
    return b'"' + escaped + b'"' + at + domain


def must_quote(local: bytes) -> bool:
    """Tell whether a local part is written in quotes."""
    return (
        not local
        or bool(local.translate(None, _DOT_ATOM))
        or local.startswith(b".")
        or local.endswith(b".")
        or b".." in local
    )


def _reversed_tokens(text: bytes) -> "list[Token]":
    return lex(text)[::-1]


def _drop_route(address: "list[Token]") -> None:
    """Remove a source route, from the first @ through the colon."""
    if address[-1][0] == "@":
        while address and address.pop()[0] != ":":
            pass


def _is_complete(address: "list[Token]") -> bool:
    """Tell whether the host has a dot or is a literal."""
    for kind, _ in address:
        if kind == "@":
            return False
        if kind in (".", LITERAL):
            return True
    return False
