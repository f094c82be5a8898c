"""SMTP replies (RFC 5321 4.2) with their enhanced codes (RFC 3463, RFC 2034)."""

import re
from dataclasses import dataclass, field

_STATUS = re.compile(r"[245]\.[0-9]{1,3}\.[0-9]{1,3}")  # RFC 3463 2


@dataclass(frozen=True, slots=True)
class Reply:
    """One reply: three-digit code, enhanced status (empty for greetings and 354), and its lines of text."""

    code: int
    status: str
    lines: tuple[str, ...]
    _wire: bytes = field(init=False, repr=False, compare=False)
    """The encoded reply: a constant reply is encoded once and sent a million times."""

    def __post_init__(self) -> None:
        if not 200 <= self.code <= 599:
            raise ValueError(f"a reply code is 200 to 599, not {self.code}")
        if self.status and not _STATUS.fullmatch(self.status):
            raise ValueError(f"not an enhanced status: {self.status!r}")
        if self.status and self.status[0] != str(self.code)[0]:
            raise ValueError(f"enhanced status {self.status} contradicts reply code {self.code}")
        if not self.lines or any(not line.isprintable() for line in self.lines):
            raise ValueError("a reply has at least one line, and no control characters")
        lead = f"{self.status} " if self.status else ""
        last = len(self.lines) - 1
        text = "".join(f"{self.code}{' ' if i == last else '-'}{lead}{line}\r\n" for i, line in enumerate(self.lines))
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
