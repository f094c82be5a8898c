"""What a program of a dot-qmail file is told in its environment (qmail-command(8)).  Pure.

The values are strangers' words: a program must quote them.
"""

import time

from paperpath.base.address import DOUBLE_BOUNCE_SENDER, NULL_SENDER, split
from paperpath.message.trace import delivered_to, return_path

_NO_BLANKS = bytes.maketrans(b" \t\n", b"---")
_DAYS = (b"Mon", b"Tue", b"Wed", b"Thu", b"Fri", b"Sat", b"Sun")
_MONTHS = (b"Jan", b"Feb", b"Mar", b"Apr", b"May", b"Jun", b"Jul", b"Aug", b"Sep", b"Oct", b"Nov", b"Dec")


def from_line(sender: bytes, now: int) -> bytes:
    """Return the line that begins a message in an mbox (qmail's UFLINE), its date in GMT."""
    t = time.gmtime(now)
    name = sender.translate(_NO_BLANKS) or b"MAILER-DAEMON"
    date = b"%b %b %02d %02d:%02d:%02d %d" % (
        _DAYS[t.tm_wday], _MONTHS[t.tm_mon - 1], t.tm_mday, t.tm_hour, t.tm_min, t.tm_sec, t.tm_year,
    )  # fmt: skip
    return b"From %b %b\n" % (name, date)


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
    if sender in (NULL_SENDER, DOUBLE_BOUNCE_SENDER) or not has_owner:
        return sender
    local, host = split(recipient)
    if has_owner_default:
        return local + b"-owner-@" + host + b"-@[]"
    return local + b"-owner@" + host
