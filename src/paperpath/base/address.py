"""Envelope addresses (RFC 5321 4.1.2), held as qmail holds them: unquoted bytes.

Quoting is a matter of transport only.  Whoever reads an address from a command or a header field removes it
(`protocol.smtp_grammar`), whoever writes one adds it back (`quote`).  Everything after the *last* ``@`` is the
domain; what stands before it is the local part and may hold any byte but NUL.  The empty address is the null
reverse-path of a bounce and is never a recipient.
"""

import re

NULL_SENDER = b""
DOUBLE_BOUNCE_SENDER = b"#@[]"
"""Envelope sender of a double bounce; a message from it that fails is dropped (qmail's triple bounce)."""

VERP_SUFFIX = b"-@[]"
"""A sender that ends so asks for one sender a recipient (qmail's variable envelope return path)."""

# RFC 5321 4.1.2 Dot-string over atext.  Bytes above 127 need no quotes: RFC 6531 3.3 extends atext by them.
_ATOM = rb"[A-Za-z0-9!#$%&'*+\-/=?^_`{|}~\x80-\xff]++"
_DOT_STRING = re.compile(rb"%b(?:\.%b)*+" % (_ATOM, _ATOM))
_NEEDS_BACKSLASH = re.compile(rb'[\r\n"\\]')


def split(address: bytes) -> tuple[bytes, bytes]:
    """Return the local part and the domain; the domain is empty where there is no ``@``."""
    local, at, domain = address.rpartition(b"@")
    return (local, domain) if at else (address, b"")


def domain_of(address: bytes) -> bytes:
    """Return the domain in lower case (ASCII only, byte for byte), or nothing."""
    return split(address)[1].lower()


def quote(address: bytes) -> bytes:
    """Return the address as it is written between angle brackets: the local part quoted where it must be."""
    local, at, domain = address.rpartition(b"@")
    if not at:
        local, domain = domain, b""
    if not address or _DOT_STRING.fullmatch(local):
        return address
    return b'"' + _NEEDS_BACKSLASH.sub(rb"\\\g<0>", local) + b'"' + at + domain


def is_bounce_sender(sender: bytes) -> bool:
    """Tell whether mail from this sender is itself a report, so that its failure makes a double bounce at most."""
    return sender in (NULL_SENDER, DOUBLE_BOUNCE_SENDER)


def expand_verp(sender: bytes, recipient: bytes) -> bytes:
    """Return the sender to use for this recipient: ``pre`` ``box=host`` ``@origin`` where the sender asks for VERP."""
    if not sender.endswith(VERP_SUFFIX):
        return sender
    prefix, at, origin = sender[: -len(VERP_SUFFIX)].rpartition(b"@")
    box, at_recipient, host = recipient.rpartition(b"@")
    if not at or not at_recipient:
        return sender
    return b"%s%s=%s@%s" % (prefix, box, host, origin)


def bounce_recipient(sender: bytes) -> bytes:
    """Return the address that a failure report about mail from ``sender`` goes to: VERP senders lose their
    suffix."""
    return sender.removesuffix(VERP_SUFFIX)
