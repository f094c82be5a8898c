"""Which dot-qmail file instructs a delivery, with what it says, and who forwards come from (dot-qmail(5)).

What is not there is passed over; whatever else hinders a look is temporary.
"""

import errno
import os
from dataclasses import dataclass

from paperpath.base.address import is_bounce_sender
from paperpath.base.dotqmail_names import candidates, owner_names
from paperpath.base.errno_words import describe
from paperpath.base.outcome import Deferred
from paperpath.delivery.checks import read_instructions
from paperpath.delivery.environment import forwarding_sender
from paperpath.delivery.errand import Message, Refused
from paperpath.wire.accounts import Account

DOTQMAIL_MOST_BYTES = 4 * 1024 * 1024
"""Room for a list of 100,000 recipients; a file beyond that is a mistake, and would be read for every message."""

_NOT_THERE = {errno.ENOENT, errno.ENOTDIR, errno.ELOOP, errno.ENAMETOOLONG, errno.ENXIO, errno.ENODEV}
_OWNER_EXECUTE = 0o100


@dataclass(frozen=True, slots=True)
class Chosen:
    """The file that instructs a delivery."""

    name: bytes
    content: bytes
    forward_only: bool


def choose(home: str, dash: bytes, extension: bytes) -> Chosen | None:
    """Return the first file that is there, or None.  Raises Refused for one that cannot be trusted or read."""
    folder = os.fsencode(home) + b"/"
    for name in candidates(dash, extension):
        try:
            found = read_instructions(folder + name, DOTQMAIL_MOST_BYTES, ".qmail file")
        except OSError as error:
            if error.errno in _NOT_THERE:
                continue
            raise _unable(name, error) from None
        if found is not None:
            return Chosen(name, found[0], forward_only=bool(found[1] & _OWNER_EXECUTE))
    return None


def sender_of_forwards(account: Account, message: Message) -> bytes:
    """Return NEWSENDER.  Raises Refused where it cannot be told whether there is an owner."""
    if is_bounce_sender(message.sender):
        return message.sender
    owner, owner_default = owner_names(account.dash, account.extension)
    has_owner = _is_there(account.home, owner)
    return forwarding_sender(
        message.sender,
        message.recipient,
        has_owner=has_owner,
        has_owner_default=has_owner and _is_there(account.home, owner_default),
    )


def _is_there(home: str, name: bytes) -> bool:
    try:
        os.stat(os.fsencode(home) + b"/" + name)
    except OSError as error:
        if error.errno in _NOT_THERE:
            return False
        raise _unable(name, error) from None
    return True


def _unable(name: bytes, error: OSError) -> Refused:
    return Refused(Deferred(f"Unable to open {os.fsdecode(name)}: {describe(error)}.", code="3.0"))
