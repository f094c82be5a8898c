"""What each SMTP command says: its argument in, a typed value or a refusal out.  Nothing here knows of a session."""

import re
from collections.abc import Callable
from functools import partial
from typing import Any, Final

from paperpath.base.limits import ADDRESS_MOST_BYTES, DOMAIN_BYTES
from paperpath.base.terms import RecipientTerms
from paperpath.protocol import smtp_parameters as parameters
from paperpath.protocol.smtp_events import RecipientGiven, Refusal, SenderGiven
from paperpath.protocol.smtp_grammar import is_domain, parse_number, parse_parameters, parse_path
from paperpath.protocol.smtp_refusals import (
    BDAT_SYNTAX,
    MAIL_SYNTAX,
    PARAMETER_SYNTAX,
    PARAMETER_UNKNOWN,
    RCPT_SYNTAX,
    RECIPIENT_BAD,
    SENDER_BAD,
    TLS_FIRST,
    TOO_BIG,
    UTF8_NOT_ANNOUNCED,
)

_XTEXT: Final = re.compile(rb"(?:[!-*,-<>-~]|\+[0-9A-F]{2})+")

CHUNK_MOST_DIGITS: Final = 10
"""Digits of a chunk size: ten say 9.9 GB, more than any message."""


def _size(value: bytes | None) -> int | None:
    """RFC 1870 6: SIZE=size-value."""
    return None if value is None else parse_number(value)


def _body(value: bytes | None) -> str | None:
    """RFC 6152 3: BODY=7BIT or BODY=8BITMIME.  BINARYMIME is not offered, so nobody may ask for it."""
    return None if value is None else {b"7BIT": "7BIT", b"8BITMIME": "8BITMIME"}.get(value.upper())


def _smtputf8(value: bytes | None) -> bool | None:
    """RFC 6531 3.4: SMTPUTF8 takes no value."""
    return True if value is None else None


def _auth(value: bytes | None) -> bytes | None:
    """RFC 4954 5: AUTH=mailbox as xtext.  Read, and believed by nobody: who a client is it has proved already."""
    return value if value is not None and _XTEXT.fullmatch(value) else None


# Keyword: the field that it sets, and the reader of its value, which returns None for a bad one.
_Parameters = dict[bytes, tuple[str, Callable[[bytes | None], object]]]
_ALWAYS: Final[_Parameters] = {
    b"SIZE": ("size", _size),
    b"BODY": ("body", _body),
    b"SMTPUTF8": ("smtputf8", _smtputf8),
    b"RET": ("returns", parameters.read_returns),
    b"ENVID": ("envelope_id", parameters.read_envelope_id),
}
_UNDER_TLS: Final[_Parameters] = {b"REQUIRETLS": ("require_tls", parameters.read_require_tls)}
_AUTHENTICATED: Final[_Parameters] = {
    b"HOLDFOR": ("hold", parameters.read_hold_for),
    b"HOLDUNTIL": ("hold", parameters.read_hold_until),
    b"BY": ("by", parameters.read_by),
    b"MT-PRIORITY": ("priority", parameters.read_priority),
    b"AUTH": ("auth", _auth),
}
_MAIL_PARAMETERS: Final[dict[tuple[bool, bool], _Parameters]] = {
    (secure, authenticated): _ALWAYS | (_UNDER_TLS if secure else {}) | (_AUTHENTICATED if authenticated else {})
    for secure in (False, True)
    for authenticated in (False, True)
}
_RCPT_PARAMETERS: Final[dict[bool, _Parameters]] = {
    smtputf8: {
        b"NOTIFY": ("notify", parameters.read_notify),
        b"ORCPT": ("original", partial(parameters.read_original, smtputf8=smtputf8)),
    }
    for smtputf8 in (False, True)
}
_ASKED: Final = frozenset(parameters.Asked.__struct_fields__)


def _read_parameters(text: bytes, known: _Parameters) -> dict[str, Any] | Refusal:
    """Return the fields that the parameters set."""
    given = parse_parameters(text)
    if given is None:
        return PARAMETER_SYNTAX
    fields: dict[str, Any] = {}
    for keyword, raw in given.items():
        if keyword not in known:
            return TLS_FIRST if keyword in _UNDER_TLS else PARAMETER_UNKNOWN
        name, read = known[keyword]
        if (value := read(raw)) is None or name in fields:
            return PARAMETER_SYNTAX
        fields[name] = value
    return fields


# A path as nearly all are: in brackets, an atom or several (RFC 5321 4.1.2), a domain, no parameters.  What it
# matches means the same to the functions below, in one step instead of ten.
USUAL_PATH: Final = re.compile(rb"<([\w.+=-]{1,64}@[a-zA-Z0-9.-]{1,255})>", re.ASCII)
_usual_path = USUAL_PATH.fullmatch


def _is_address(address: bytes) -> bool:
    """Tell whether an unquoted, non-empty address is within the limits and has a domain that could be one."""
    if len(address) > ADDRESS_MOST_BYTES or b"\0" in address:
        return False
    local, at, domain = address.rpartition(b"@")
    return not at or (bool(local) and len(domain) <= DOMAIN_BYTES and is_domain(domain))


def _judge_international(address: bytes, smtputf8: bool, bad: Refusal) -> Refusal | None:
    """RFC 6531 3.4, 3.5: an address beyond ASCII needs SMTPUTF8, and must then be UTF-8."""
    if not smtputf8:
        return UTF8_NOT_ANNOUNCED
    try:
        address.decode()
    except UnicodeDecodeError:
        return bad
    return None


def parse_mail(
    argument: bytes, size_most: int, *, secure: bool = False, authenticated: bool = False
) -> SenderGiven | Refusal:
    """Read what follows ``MAIL`` (RFC 5321 4.1.1.2); ``size_most`` is the largest size taken, in octets.

    Some parameters are taken from a client that uses TLS only, or from one that has proved who it is.
    """
    if argument[:5].upper() != b"FROM:":
        return MAIL_SYNTAX
    text = argument[5:].lstrip(b" ")
    if usual := _usual_path(text):
        return SenderGiven(usual[1])
    parsed = parse_path(text)
    if not text or parsed is None:
        return SENDER_BAD
    address, rest = parsed
    given: SenderGiven = SenderGiven(address)
    if rest:
        fields = _read_parameters(rest, _MAIL_PARAMETERS[secure, authenticated])
        if isinstance(fields, Refusal):
            return fields
        fields.pop("auth", None)
        if not _ASKED.isdisjoint(fields):
            asked = {name: fields.pop(name) for name in _ASKED & fields.keys()}
            fields["asked"] = parameters.Asked(**asked)
        given = SenderGiven(address, **fields)
    if address and not _is_address(address):
        return SENDER_BAD
    if not address.isascii() and (refusal := _judge_international(address, given.smtputf8, SENDER_BAD)):
        return refusal
    return TOO_BIG if given.size > size_most else given


def parse_rcpt(argument: bytes, smtputf8: bool) -> RecipientGiven | Refusal:
    """Read what follows ``RCPT`` (RFC 5321 4.1.1.3); ``smtputf8`` says whether MAIL asked for it."""
    if argument[:3].upper() != b"TO:":
        return RCPT_SYNTAX
    text = argument[3:].lstrip(b" ")
    if usual := _usual_path(text):
        return RecipientGiven(usual[1])
    parsed = parse_path(text)
    if parsed is None:
        return RECIPIENT_BAD
    address, rest = parsed
    terms = None
    if rest:
        fields = _read_parameters(rest, _RCPT_PARAMETERS[smtputf8])
        if isinstance(fields, Refusal):
            return fields
        terms = RecipientTerms(**fields) if fields else None
    if not address or not _is_address(address):
        return RECIPIENT_BAD
    if not address.isascii() and (refusal := _judge_international(address, smtputf8, RECIPIENT_BAD)):
        return refusal
    return RecipientGiven(address, terms)


def parse_bdat(argument: bytes) -> tuple[int, bool] | Refusal:
    """Read what follows ``BDAT`` (RFC 3030 2): octets of the chunk, and whether it is the last one."""
    words = argument.split()
    octets = parse_number(words[0], CHUNK_MOST_DIGITS) if words else None
    is_last = len(words) == 2 and words[1].upper() == b"LAST"
    if octets is None or (len(words) > 1 and not is_last):
        return BDAT_SYNTAX
    return octets, is_last


def bytes_of(given: RecipientGiven) -> int:
    """Return what a recipient takes of the envelope."""
    return len(given.address) if given.terms is None else len(given.address) + len(given.terms.original)
