"""The protocol between qmail-send and its spawners (qmail-interfaces 12.1).

A command is a byte that names a slot, then message file, sender and recipient, a NUL behind each.  A report is the
slot's byte, ``K``, ``Z`` or ``D`` with a text, and NUL.
"""

SLOTS = 120
"""Deliveries at a time; the byte that a spawner begins with says so."""

_FIELDS = 3
_FIELD_MOST_BYTES = 64 * 1024
_MESSAGE_MOST_BYTES = 100
"""Of a message's name, its NUL included."""

_OUT_OF_MEMORY = b"Zqmail-spawn out of memory. (#4.3.0)\n"
_SLOT_TOO_BIG = b"ZInternal error: delnum too big. (#4.3.5)\n"
_NO_NUMBER = b"DInternal error: messid has nonnumerics. (#5.3.5)\n"
_TOO_LONG = b"DInternal error: messid too long. (#5.3.5)\n"
_TOO_SHORT = b"DInternal error: messid too short. (#5.3.5)\n"
_NO_HOST = b"DSorry, address must include host name. (#5.1.3)\n"
SLOT_IN_USE = b"ZInternal error: delnum in use. (#4.3.5)\n"


class Command:
    """One delivery that is wanted."""

    __slots__ = ("fault", "message", "recipient", "sender", "slot")

    def __init__(self, slot: int, fields: list[bytes], *, is_cut: bool) -> None:
        self.slot = slot
        self.message, self.sender, self.recipient = fields
        self.fault = _OUT_OF_MEMORY if is_cut else _fault(slot, self.message, self.recipient)
        """The report where it cannot be done; nothing where it can."""


def _fault(slot: int, message: bytes, recipient: bytes) -> bytes:
    if slot >= SLOTS:
        return _SLOT_TOO_BIG
    numbers = message[:1] + message[1:].replace(b"/", b"")
    if numbers and not numbers.isdigit():
        return _NO_NUMBER
    if len(message) >= _MESSAGE_MOST_BYTES:
        return _TOO_LONG
    if not message:
        return _TOO_SHORT
    return b"" if b"@" in recipient else _NO_HOST


class Commands:
    """Puts commands together from whatever pieces they come in."""

    __slots__ = ("_fields", "_is_cut", "_piece", "_slot")

    def __init__(self) -> None:
        self._slot: int | None = None
        self._fields: list[bytes] = []
        self._piece, self._is_cut = b"", False

    def feed(self, data: bytes) -> list[Command]:
        """Take what was read; return the commands that are complete with it."""
        found: list[Command] = []
        at = 0
        while at < len(data):
            if self._slot is None:
                self._slot, at = data[at], at + 1
                continue
            end = data.find(b"\0", at)
            self._take(data[at : end if end >= 0 else len(data)])
            if end < 0:
                break
            at = end + 1
            self._fields.append(self._piece)
            self._piece = b""
            if len(self._fields) == _FIELDS:
                found.append(Command(self._slot, self._fields, is_cut=self._is_cut))
                self._slot, self._fields, self._is_cut = None, [], False
        return found

    def _take(self, piece: bytes) -> None:
        self._piece += piece
        if len(self._piece) > _FIELD_MOST_BYTES:
            self._piece, self._is_cut = self._piece[:_FIELD_MOST_BYTES], True


def until_nul(text: bytes) -> bytes:
    """Return what stands before the first NUL."""
    return text.partition(b"\0")[0]
