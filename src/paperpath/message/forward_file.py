"""What a sendmail user's .forward says (dot-forward; qmail-interfaces 20.2).  Pure."""

from paperpath.message.rfc822 import ATOM, Unparsable, lex, rewrite_addresses, unquote

TYPE_CHECKING = False
if TYPE_CHECKING:
    from paperpath.message.rewriting import Rewriter
    from paperpath.message.rfc822 import Token


class BadForwardFile(ValueError):
    """A line cannot be understood: it may be mended before mail is lost.  The text shows the line."""


class ForwardFile:
    """What a file says."""

    __slots__ = ("addresses", "is_delivered_here", "programs", "shown")

    def __init__(self) -> None:
        self.addresses: list[bytes] = []
        self.programs: list[bytes] = []
        self.is_delivered_here = False
        self.shown: list[bytes] = []
        """Programs and addresses in words, in the order in which they stand: each line from right to left."""

    @property
    def goes_elsewhere(self) -> bool:
        """Whether the message is delivered by this file alone."""
        return bool(self.addresses or self.programs) and not self.is_delivered_here


def read_forward_file(text: bytes, rewriter: "Rewriter", user: bytes, host: bytes) -> ForwardFile:
    """Return what a file of ``user`` says about mail for ``host``.  Raises BadForwardFile."""
    found = ForwardFile()
    for line in text.split(b"\n"):
        if line.startswith(b"#"):
            continue
        try:
            for address in _addresses(line):
                _take(found, address, rewriter, user, host)
        except Unparsable:
            raise BadForwardFile(f"unable to parse this line: {line.decode('utf-8', 'replace')}") from None
    return found


def _addresses(line: bytes) -> "list[list[Token]]":
    """Return the addresses of a line, they and the tokens of each from right to left.  Raises Unparsable."""
    found: list[list[Token]] = []
    tokens = lex(line)
    if any(kind in {":", ";"} for kind, _ in tokens):
        raise Unparsable("a group")
    rewrite_addresses([(ATOM, b"to"), (":", b""), *tokens], lambda address: found.append(address[:]))
    return found


def _take(found: ForwardFile, address: "list[Token]", rewriter: "Rewriter", user: bytes, host: bytes) -> None:
    """Note an address, its tokens from right to left.  Raises Unparsable."""
    raw = unquote(address[::-1])
    has_at = any(kind == "@" for kind, _ in address)
    if not raw:
        return
    if not has_at and raw.startswith(b"|"):
        found.programs.append(raw[1:])
        found.shown.append(b"pipe through " + raw[1:])
    elif not has_at and raw.startswith(b"/"):
        raise BadForwardFile(f"file delivery {raw.decode('utf-8', 'replace')} not supported")
    elif raw.lower() == (user + b"@" + host if has_at else user).lower():
        found.is_delivered_here = True
    else:
        rewriter.rewrite(address)
        if not address:
            raise Unparsable("dots and nothing else")  # or mail would go nowhere, and be gone
        found.addresses.append(rewriter.envelope(address))
        found.shown.append(b"forward " + found.addresses[-1])
