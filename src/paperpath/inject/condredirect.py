"""condredirect: sends a message on to another address, where a program says so (qmail-interfaces 17.2)."""

import os

from paperpath.base.exit_codes import STOP_HERE
from paperpath.inject.command import PERMANENT, TEMPORARY, fatal, reason, say, usage
from paperpath.inject.deciding import decide
from paperpath.inject.queueing import forward


def main(argv: list[str]) -> int:
    """Return 99 where the program exits 0 and the message was queued; 0 where it is not to be redirected."""
    if len(argv) < 3:
        return usage("condredirect newaddress program [ arg ... ]")
    if status := decide("condredirect", argv[2:]):
        return TEMPORARY if status == TEMPORARY else 0
    return _redirect(os.fsencode(argv[1]))


def _redirect(address: bytes) -> int:
    try:
        os.lseek(0, 0, os.SEEK_SET)
    except OSError as error:
        return fatal("condredirect", f"unable to rewind: {reason(error)}", TEMPORARY)
    for name in ("SENDER", "DTLINE"):
        if name not in os.environ:
            return fatal("condredirect", f"{name} not set", PERMANENT)
    try:
        outcome = forward(os.environb[b"SENDER"], [address])
    except OSError as error:
        return fatal("condredirect", f"unable to read message: {reason(error)}", TEMPORARY)
    if outcome.text:
        return fatal("condredirect", outcome.text[1:], outcome.exit_code)
    say(f"condredirect: qp {outcome.number}")
    return STOP_HERE
