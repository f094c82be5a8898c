"""What qmail-local looks at before it delivers: the home, its files, and whether the message was here before."""

import os
import stat

from paperpath.base.outcome import Deferred, Failed
from paperpath.delivery.errand import Message, Refused
from paperpath.message.trace import delivered_to
from paperpath.system.files import open_if_regular, read_some

FORBIDDEN_MODE = stat.S_IWOTH
"""qmail's ``patrn``: a home or an instruction file that anybody may write to is nobody's word."""


def check_home(home: str, *, may_be_edited: bool = False) -> None:
    """Refuse a home that anybody may write to, and one whose owner set the sticky bit to edit in peace.

    ``may_be_edited`` passes over the sticky bit: for looking only.  Raises OSError where there is no home.
    """
    mode = os.stat(home).st_mode
    if mode & FORBIDDEN_MODE:
        raise Refused(Deferred("Uh-oh: home directory is writable.", code="7.0"))
    if mode & stat.S_ISVTX and not may_be_edited:
        raise Refused(Deferred("Home directory is sticky: user is editing his .qmail file.", code="2.1"))


def read_instructions(path: bytes, most_bytes: int, name: str) -> tuple[bytes, int] | None:
    """Return content and mode of a file that says what to do with mail, None for what is no regular file.

    Refuses one that anybody may write to and one that is longer, under the ``name`` that the owner knows it by.  Raises
    OSError.
    """
    descriptor = open_if_regular(path)
    if descriptor is None:
        return None
    try:
        mode = os.fstat(descriptor).st_mode
        if mode & FORBIDDEN_MODE:
            raise Refused(Deferred(f"Uh-oh: {name} is writable.", code="7.0"))
        content = read_some(descriptor, most_bytes + 1)
    finally:
        os.close(descriptor)
    if len(content) > most_bytes:
        raise Refused(Deferred(f"Uh-oh: {name} is too large.", code="3.0"))
    return content, mode


def check_loop(message: Message) -> None:
    """Refuse a message whose header has this recipient's Delivered-To line already, byte for byte."""
    line = delivered_to(message.recipient)
    if _is_in_header(line, message.trace) or _is_in_header(line, message.beginning()):
        raise Refused(_LOOPING)


_LOOPING = Failed("This message is looping: it already has my Delivered-To line.", code="4.6")


def _is_in_header(line: bytes, message: bytes) -> bool:
    """Tell whether one of the lines before the first empty one is exactly ``line``, which ends in LF."""
    if line not in message:
        return False
    header = b"\n" + message.partition(b"\n\n")[0] + b"\n"
    return not message.startswith(b"\n") and b"\n" + line in header
