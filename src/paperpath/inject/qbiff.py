"""qbiff: tells a user on his terminals that a message came (qmail-interfaces 17.2)."""

import os
import struct

from paperpath.inject.command import printable
from paperpath.message.composing import field_name, split_message
from paperpath.system import helpers

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterator

_UTMP = "/var/run/utmp"
_UTMP_MOST_BYTES = 16 * 1024 * 1024
_RECORD = struct.Struct("h2xi32s4s32s256s52x")
"""As utmp(5) of Linux has it: type, process, line, id, user, host; the rest is not needed."""
_USER_PROCESS = 7
_OWNER_EXECUTES = 0o100
"""What biff(1) sets on a terminal that wants to be told."""
_TEXT_MOST_BYTES = 78
_READ_BYTES = 256 * 1024


def main(_argv: list[str]) -> int:
    """Return 0, whatever comes of it: the message is delivered by other instructions."""
    environment = os.environb
    user, local, sender = (environment.get(name) for name in (b"USER", b"LOCAL", b"SENDER"))
    if user is None or local is None or sender is None:
        return 0
    try:
        note = describe(os.read(0, _READ_BYTES), local, sender)
        with open(_UTMP, "rb") as file:
            lines = list(terminals(file.read(_UTMP_MOST_BYTES), user))
    except OSError:
        return 0
    for line in lines:
        try:
            helpers.write_to_terminal(b"/dev/" + line, note, _OWNER_EXECUTES)
        except OSError:
            continue
    return 0


def describe(message: bytes, local: bytes, sender: bytes) -> bytes:
    """Return the two lines about a message, each with the line end of a terminal."""
    fields, body = split_message(message)
    subjects = [field.partition(b":")[2] for field in fields if field_name(field) == b"subject"]
    text = b"".join([subject.lstrip(b" \t\r\n") for subject in subjects]) + body
    to_from = printable(b"*** TO <" + local + b"> FROM <" + sender + b">", b"_")
    return b"\r\n\a" + to_from + b"\r\n" + printable((b"    " + text)[:_TEXT_MOST_BYTES], b"/") + b"\r\n"


def terminals(utmp: bytes, user: bytes) -> "Iterator[bytes]":
    """Yield the lines that a user is logged in on; none that could name a file elsewhere."""
    for at in range(0, len(utmp) - _RECORD.size + 1, _RECORD.size):
        kind, _, line, _, name, _ = _RECORD.unpack_from(utmp, at)
        line = line.rstrip(b"\0")
        if kind == _USER_PROCESS and name.rstrip(b"\0") == user and line and b"." not in line and line[:1] != b"/":
            yield line
