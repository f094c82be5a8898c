"""SMTP replies (RFC 5321 4.2) with their enhanced codes (RFC 3463, RFC 2034)."""

import re
from dataclasses import dataclass, field
from functools import lru_cache

ENHANCED_STATUS = re.compile(r"[245]\.[0-9]{1,3}\.[0-9]{1,3}")
"""RFC 3463 2."""


@lru_cache(maxsize=1000)
def _lead(code: int, status: str) -> str:
    """Return what stands after the code on each line.  Raises ValueError for what no reply begins with."""
    if not 200 <= code <= 599:
        raise ValueError(f"a reply code is 200 to 599, not {code}")
    if not status:
        return ""
    if not ENHANCED_STATUS.fullmatch(status):
        raise ValueError(f"not an enhanced status: {status!r}")
    if status[0] != str(code)[0]:
        raise ValueError(f"enhanced status {status} contradicts reply code {code}")
    return f"{status} "


@dataclass(frozen=True, slots=True)
class Reply:
    """One reply: three-digit code, enhanced status (empty for greetings and 354), and its lines of text."""

    code: int
    status: str
    lines: tuple[str, ...]
    _wire: bytes = field(init=False, repr=False, compare=False)
    """The encoded reply: a constant reply is encoded once and sent a million times."""

    def __post_init__(self) -> None:
        lead = _lead(self.code, self.status)
        if not self.lines or not "".join(self.lines).isprintable():
            raise ValueError("a reply has at least one line, and no control characters")
        *others, last = self.lines
        text = "".join([f"{self.code}-{lead}{line}\r\n" for line in others] + [f"{self.code} {lead}{last}\r\n"])
        object.__setattr__(self, "_wire", text.encode())

    @property
    def is_positive(self) -> bool:
        """Completed or go on: 2yz and 3yz."""
        return self.code < 400

    def encode(self) -> bytes:
        """Return the reply as it goes on the wire, every line but the last with a hyphen after the code."""
        return self._wire


def reply(code: int, status: str, *lines: str) -> Reply:
    """Shorthand: ``reply(550, "5.1.1", "No such mailbox")``."""
    return Reply(code, status, lines)
