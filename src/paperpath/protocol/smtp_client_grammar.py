"""What an SMTP client writes and reads besides plain replies: paths in commands, capabilities in the reply to EHLO."""

import re
from typing import Any, Final

from paperpath.base.address import quote
from paperpath.protocol.smtp_client_events import Capabilities
from paperpath.protocol.smtp_client_terms import read_limits
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
    b"DSN": "dsn",
    b"REQUIRETLS": "require_tls",
    b"DELIVERBY": "deliver_by",
    b"MT-PRIORITY": "mt_priority",
}
_SIZE_MOST_DIGITS = 20  # RFC 1870 3


def parse_capabilities(reply: PeerReply) -> Capabilities:
    """Return what a positive reply to EHLO offers (RFC 5321 4.1.1.1); the first line is only a greeting."""
    found: dict[str, Any] = {}
    for line in reply.lines[1:]:
        words = line.upper().split()
        field = _KEYWORDS.get(words[0]) if words else None
        if field is not None:
            found[field] = True
            if len(words) > 1 and field in ("size", "deliver_by"):
                number = words[1].partition(b",")[0]  # RFC 2852 2: other options may follow
                name = "size_most" if field == "size" else "deliver_by_least_s"
                found[name] = int(number) if number.isdigit() and len(number) <= _SIZE_MOST_DIGITS else 0
        elif words and words[0] == b"LIMITS":
            found |= read_limits(words[1:])
    return Capabilities(**found)


def wire_path(address: bytes) -> bytes | None:
    """Return the address as it stands between angle brackets, or None where no command can carry it."""
    path = quote(address)
    return path if not path or _SAFE_PATH.fullmatch(path) else None
