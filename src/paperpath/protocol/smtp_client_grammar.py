"""What an SMTP client writes and reads besides plain replies: paths in commands, capabilities in the reply to EHLO."""

import re
from typing import Final

from paperpath.base.address import quote
from paperpath.protocol.smtp_client_events import Capabilities
from paperpath.protocol.smtp_replies import PeerReply

# What can stand in a command without breaking out of it.  A domain or literal is without blanks, brackets and controls;
# a quoted local part without controls (RFC 5321 4.1.2 qtextSMTP, quoted-pairSMTP).
_SAFE_PATH = re.compile(
    rb'(?:[^\x00-\x20\x7f<>()\[\]\\,;:@"]+|"(?:[^\x00-\x1f\x7f"\\]|\\[\x20-\x7e])*")'
    rb"(?:@(?:[^\x00-\x20\x7f<>()\[\]\\,;:@\"]+|\[[^\x00-\x20\x7f<>\[\]\\]*\]))?"
)

_KEYWORDS: Final = {
    b"PIPELINING": "pipelining",
    b"SIZE": "size",
    b"8BITMIME": "eight_bit",
    b"SMTPUTF8": "smtputf8",
    b"CHUNKING": "chunking",
    b"STARTTLS": "starttls",
    b"ENHANCEDSTATUSCODES": "enhanced_codes",
}
_SIZE_MOST_DIGITS = 20  # RFC 1870 3


def parse_capabilities(reply: PeerReply) -> Capabilities:
    """Return what a positive reply to EHLO offers (RFC 5321 4.1.1.1); the first line is only a greeting."""
    found: dict[str, bool] = {}
    size_most = 0
    for line in reply.lines[1:]:
        words = line.upper().split()
        field = _KEYWORDS.get(words[0]) if words else None
        if field is None:
            continue
        found[field] = True
        if field == "size" and len(words) > 1 and len(words[1]) <= _SIZE_MOST_DIGITS and words[1].isdigit():
            size_most = int(words[1])
    return Capabilities(size_most=size_most, **found)


def wire_path(address: bytes) -> bytes | None:
    """Return the address as it stands between angle brackets, or None where no command can carry it."""
    path = quote(address)
    return path if not path or _SAFE_PATH.fullmatch(path) else None
