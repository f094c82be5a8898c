"""What qmail-local looks at before it delivers anything: the home, and whether the message was here before."""

import os
import stat

from paperpath.base.outcome import Deferred, Failed
from paperpath.delivery.errand import Message, Refused
from paperpath.message.trace import delivered_to

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
