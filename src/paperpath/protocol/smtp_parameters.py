"""Values of the parameters that SMTP extensions add to MAIL and RCPT: bytes in, typed values out; None for a bad one.

Which of them a session may use is for `smtp_commands` to say.
"""

import re
from datetime import UTC, datetime
from typing import Final

import msgspec

from paperpath.base.terms import (
    NOTIFY_VALUES,
    NOTIFY_WORDS,
    PRIORITY_LEAST,
    PRIORITY_MOST,
    MessageTerms,
    is_envelope_id,
    is_original,
)

# RFC 4865 3: 1 to 999,999,999 seconds, without leading zeros.
_INTERVAL: Final = re.compile(rb"[1-9][0-9]{0,8}")
# RFC 4865 3, RFC 3339 5.6: a moment in UTC.
_MOMENT: Final = re.compile(
    rb"[0-9]{4}-[0-9]{2}-[0-9]{2}[Tt][0-9]{2}:[0-9]{2}:[0-9]{2}(?:\.[0-9]{1,6})?(?:[Zz]|\+00:00)"
)
# RFC 2852 4: by-time ";" by-mode [by-trace].
_BY: Final = re.compile(rb"([+-]?[0-9]{1,9});([NRnr])([Tt]?)")
# RFC 6710 7.
_PRIORITY: Final = re.compile(rb"-?[0-9]")


class By(msgspec.Struct, frozen=True, gc=False):
    """BY (RFC 2852 4): so many seconds from now."""

    seconds: int
    mode: str
    """``R`` or ``N``."""
    trace: bool


class Hold(msgspec.Struct, frozen=True, gc=False):
    """HOLDFOR or HOLDUNTIL (RFC 4865 3): an interval in seconds, or a moment in seconds since the epoch."""

    seconds: int
    is_moment: bool
    text: str
    """As the report shows it (RFC 4865 5.1.2)."""


class Asked(msgspec.Struct, frozen=True, gc=False):
    """What parameters of MAIL beyond the message's own say, times as they were given."""

    returns: str = ""
    envelope_id: bytes = b""
    require_tls: bool = False
    hold: Hold | None = None
    by: By | None = None
    priority: int = 0

    def terms(self, now: int) -> MessageTerms:
        """Return the same with times since the epoch."""
        hold, by = self.hold, self.by
        until = 0 if hold is None else hold.seconds if hold.is_moment else now + hold.seconds
        return MessageTerms(
            returns=self.returns,
            envelope_id=self.envelope_id,
            require_tls=self.require_tls,
            hold="" if hold is None else hold.text,
            hold_until=until,
            deliver_by=0 if by is None else now + by.seconds,
            by_mode="" if by is None else by.mode,
            by_trace=by is not None and by.trace,
            priority=self.priority,
        )


def read_returns(value: bytes | None) -> str | None:
    """RFC 3461 4.3: RET=FULL or RET=HDRS."""
    return {b"FULL": "FULL", b"HDRS": "HDRS"}.get((value or b"").upper())


def read_envelope_id(value: bytes | None) -> bytes | None:
    """RFC 3461 4.4, 5.4: ENVID, at most 100 characters of xtext."""
    return value if value is not None and is_envelope_id(value) else None


def read_notify(value: bytes | None) -> str | None:
    """RFC 3461 4.1: NOTIFY=NEVER, or SUCCESS, FAILURE and DELAY, each once at the most."""
    words = (value or b"").upper().decode("ascii", "replace").split(",")
    ordered = ",".join(word for word in NOTIFY_WORDS if word in words)
    if words == ["NEVER"]:
        return "NEVER"
    return ordered if ordered in NOTIFY_VALUES and ordered.count(",") == len(words) - 1 and ordered else None


def read_original(value: bytes | None, smtputf8: bool) -> bytes | None:
    """RFC 3461 4.2, RFC 6533 3: ORCPT=type;address, at most 500 characters."""
    return value if value is not None and is_original(value, international=smtputf8) else None


def read_require_tls(value: bytes | None) -> bool | None:
    """RFC 8689 2: REQUIRETLS takes no value."""
    return True if value is None else None


def read_hold_for(value: bytes | None) -> Hold | None:
    """RFC 4865 3: HOLDFOR=seconds."""
    if value is None or not _INTERVAL.fullmatch(value):
        return None
    return Hold(int(value), False, f"for;{value.decode()}")


def read_hold_until(value: bytes | None) -> Hold | None:
    """RFC 4865 3: HOLDUNTIL=moment, of UTC."""
    if value is None or not _MOMENT.fullmatch(value):
        return None
    text = value.decode().upper()
    try:
        moment = datetime.fromisoformat(text).astimezone(UTC)
    except ValueError:
        return None
    return Hold(int(moment.timestamp()), True, f"until;{text}")


def read_by(value: bytes | None) -> By | None:
    """RFC 2852 4: BY=seconds;mode; a message to be returned must have time left."""
    found = _BY.fullmatch(value or b"")
    if found is None:
        return None
    by = By(int(found[1]), found[2].upper().decode(), bool(found[3]))
    return None if by.mode == "R" and by.seconds <= 0 else by


def read_priority(value: bytes | None) -> int | None:
    """RFC 6710 7: MT-PRIORITY, from -9 to 9."""
    if value is None or not _PRIORITY.fullmatch(value):
        return None
    priority = int(value)
    return priority if PRIORITY_LEAST <= priority <= PRIORITY_MOST else None
