"""What a sender asked for beside the delivery: parameters of MAIL and RCPT that travel with a message to its end.

Most messages come without any, and have None in the place of these values.
"""

import re

import msgspec

from paperpath.base.xtext import is_xtext

ENVELOPE_ID_MOST_BYTES = 100
"""RFC 3461 5.4: a server takes that many; no client of today sends more."""

ORIGINAL_MOST_BYTES = 500
"""RFC 3461 5.4, of an ORCPT value."""

PRIORITY_LEAST, PRIORITY_MOST = -9, 9
"""RFC 6710 3."""

NEVER = "NEVER"
NOTIFY_WORDS = ("SUCCESS", "FAILURE", "DELAY")
NOTIFY_VALUES = frozenset(
    {"", NEVER}
    | {",".join(word for bit, word in enumerate(NOTIFY_WORDS) if chosen >> bit & 1) for chosen in range(1, 8)}
)
"""Every value of ``RecipientTerms.notify``: the words once each, in the order above."""

# RFC 3461 4.2: original-recipient-address = addr-type ";" xtext; addr-type is an atom.
_ORIGINAL = re.compile(rb"([A-Za-z0-9!#$%&'*\-/?^_`{|}~]+);(.*)", re.DOTALL)
# RFC 6533 3: an address of type utf-8 in bytes above 127, or with its escapes, which xtext may hold as they are.
_UTF8_ADDRESS = re.compile(rb"[!-<>-~\x80-\xff]+")
_HOLD = re.compile(r"|for;[1-9][0-9]{0,8}|until;[0-9TZ:.+-]{20,40}")


class MessageTerms(msgspec.Struct, frozen=True, array_like=True, gc=False):
    """Parameters of MAIL.  Times are seconds since the epoch, 0 where nothing was said."""

    returns: str = ""
    """RET (RFC 3461 4.3): ``FULL`` or ``HDRS``."""
    envelope_id: bytes = b""
    """ENVID (RFC 3461 4.4) as it came, in xtext."""
    require_tls: bool = False
    """REQUIRETLS (RFC 8689 2)."""
    hold: str = ""
    """What FUTURERELEASE asked for (RFC 4865 5.1.2): ``for;3600`` or ``until;2026-11-22T10:30:17Z``."""
    hold_until: int = 0
    """When the first attempt may be made."""
    deliver_by: int = 0
    """DELIVERBY (RFC 2852 4): by when it should be delivered; may be past."""
    by_mode: str = ""
    """``R``: afterwards it fails; ``N``: the sender is told, and it goes on; empty: no time was given."""
    by_trace: bool = False
    """Each relay reports (RFC 2852 4.1.4)."""
    priority: int = 0
    """MT-PRIORITY (RFC 6710 3)."""


class RecipientTerms(msgspec.Struct, frozen=True, array_like=True, gc=False):
    """Parameters of RCPT, and which reports were sent that are sent once."""

    notify: str = ""
    """NOTIFY (RFC 3461 4.1): one of ``NOTIFY_VALUES``; empty where nothing was said."""
    original: bytes = b""
    """ORCPT (RFC 3461 4.2) as it came: ``rfc822;`` and xtext."""
    delay_told: bool = False
    """The sender knows that it takes long."""
    late_told: bool = False
    """The sender knows that it was not delivered by the time that was asked for."""


NOTHING_ASKED = RecipientTerms()


def wants_failure(terms: RecipientTerms | None) -> bool:
    """Tell whether the sender is to hear of a failure (RFC 3461 5.2.6); it is, where nothing was said."""
    return terms is None or not terms.notify or "FAILURE" in terms.notify


def wants_success(terms: RecipientTerms | None) -> bool:
    """Tell whether the sender asked to hear of success."""
    return terms is not None and "SUCCESS" in terms.notify


def wants_delay(terms: RecipientTerms | None) -> bool:
    """Tell whether the sender asked to hear of delay."""
    return terms is not None and "DELAY" in terms.notify


def is_never(terms: RecipientTerms | None) -> bool:
    """Tell whether the sender asked to hear nothing at all."""
    return terms is not None and terms.notify == NEVER


def is_envelope_id(text: bytes) -> bool:
    """Tell whether this is a value of ENVID."""
    return 0 < len(text) <= ENVELOPE_ID_MOST_BYTES and is_xtext(text)


def is_original(text: bytes, *, international: bool = True) -> bool:
    """Tell whether this is a value of ORCPT; bytes above 127 are right in ``international`` ones only (RFC 6533 3)."""
    found = _ORIGINAL.fullmatch(text)
    if found is None or len(text) > ORIGINAL_MOST_BYTES:
        return False
    kind, address = found.groups()
    if kind.lower() != b"utf-8":
        return bool(address) and is_xtext(address)
    return _UTF8_ADDRESS.fullmatch(address) is not None and (address.isascii() or (international and _is_utf8(address)))


def _is_utf8(text: bytes) -> bool:
    try:
        text.decode()
    except UnicodeDecodeError:
        return False
    return True


def check_message_terms(terms: MessageTerms) -> None:
    """Raise ValueError where these are terms that no SMTP command could have said."""
    if terms.returns not in ("", "FULL", "HDRS"):
        raise ValueError("RET")
    if terms.envelope_id and not is_envelope_id(terms.envelope_id):
        raise ValueError("ENVID")
    if terms.by_mode not in ("", "R", "N") or not _HOLD.fullmatch(terms.hold):
        raise ValueError("times")
    if not PRIORITY_LEAST <= terms.priority <= PRIORITY_MOST:
        raise ValueError("MT-PRIORITY")


def check_recipient_terms(terms: RecipientTerms) -> None:
    """The same for those of a recipient."""
    if terms.notify not in NOTIFY_VALUES:
        raise ValueError("NOTIFY")
    if terms.original and not is_original(terms.original):
        raise ValueError("ORCPT")
