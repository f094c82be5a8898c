"""What a program of a dot-qmail file is told in its environment (qmail-command(8)).  Pure.

The values are strangers' words: a program must quote them.
"""

import time

from paperpath.base.address import VERP_SUFFIX, is_bounce_sender, split
from paperpath.base.calendar import DAYS, MONTHS
from paperpath.message.trace import delivered_to, return_path

_NO_BLANKS = bytes.maketrans(b" \t\n", b"---")


def from_line(sender: bytes, now: int) -> bytes:
    """Return the line that begins a message in an mbox (qmail's UFLINE), its date in GMT."""
    t = time.gmtime(now)
    name = sender.translate(_NO_BLANKS) or b"MAILER-DAEMON"
    clock_time = f"{t.tm_hour:02d}:{t.tm_min:02d}:{t.tm_sec:02d}"
    date = f"{DAYS[t.tm_wday]} {MONTHS[t.tm_mon - 1]} {t.tm_mday:02d} {clock_time} {t.tm_year}"
    return b"From %b %b\n" % (name, date.encode())


def environment(
    *,
    user: bytes,
    home: bytes,
    recipient: bytes,
    extension: bytes,
    sender: bytes,
    new_sender: bytes,
    default_part: bytes | None,
    now: int,
) -> dict[bytes, bytes]:
    """Return the variables; ``DEFAULT`` is among them only where there is a ``default_part``."""
    local, host = split(recipient)
    variables = {
        b"SENDER": sender,
        b"NEWSENDER": new_sender,
        b"RECIPIENT": recipient,
        b"USER": user,
        b"HOME": home,
        b"LOCAL": local,
        b"HOST": host,
        b"EXT": extension,
        b"DTLINE": delivered_to(recipient),
        b"RPLINE": return_path(sender),
        b"UFLINE": from_line(sender, now),
    }
    for number in (b"2", b"3", b"4"):
        host = host.rpartition(b".")[0] if b"." in host else host
        extension = extension.partition(b"-")[2]
        variables[b"HOST" + number] = host
        variables[b"EXT" + number] = extension
    if default_part is not None:
        variables[b"DEFAULT"] = default_part
    return variables


def forwarding_sender(sender: bytes, recipient: bytes, *, has_owner: bool, has_owner_default: bool) -> bytes:
    """Return the sender of forwards: the list's owner where it has one, and one for each recipient (VERP) where
    the owner's ``-default`` can take what comes back."""
    if is_bounce_sender(sender) or not has_owner:
        return sender
    local, host = split(recipient)
    if has_owner_default:
        return local + b"-owner-@" + host + VERP_SUFFIX
    return local + b"-owner@" + host
