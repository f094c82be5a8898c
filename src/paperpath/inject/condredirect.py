"""condredirect: sends a message on to another address, where a program says so (qmail-interfaces 17.2)."""

import os

from paperpath.inject.command import PERMANENT, TEMPORARY, fatal, reason, say, usage
from paperpath.inject.queueing import enqueue, limit_bytes
from paperpath.system import helpers, injection

_REDIRECTED = 99
"""Tells qmail-local that the instructions that follow are not to be carried out."""


def main(argv: list[str]) -> int:
    """Return 99 where the program exits 0 and the message was queued; 0 where it is not to be redirected."""
    if len(argv) < 3:
        return usage("condredirect newaddress program [ arg ... ]")
    address, *program = [os.fsencode(word) for word in argv[1:]]
    status = helpers.run(program)
    if status < 0:
        return fatal("condredirect", "child crashed", TEMPORARY)
    if status == TEMPORARY:
        return fatal("condredirect", "temporary child error", TEMPORARY)
    return 0 if status else _redirect(address)


def _redirect(address: bytes) -> int:
    try:
        os.lseek(0, 0, os.SEEK_SET)
    except OSError as error:
        return fatal("condredirect", f"unable to rewind: {reason(error)}", TEMPORARY)
    sender, line = os.environb.get(b"SENDER"), os.environb.get(b"DTLINE")
    if sender is None or line is None:
        return fatal("condredirect", f"{'SENDER' if sender is None else 'DTLINE'} not set", PERMANENT)
    try:
        message = injection.read_to_end(0, limit_bytes())
    except OSError as error:
        return fatal("condredirect", f"unable to read message: {reason(error)}", TEMPORARY)
    if message is None:
        return fatal("condredirect", "message exceeds the largest size taken here (#5.3.4)", PERMANENT)
    outcome = enqueue(line + message, sender, [address])
    if outcome.text:
        return fatal("condredirect", outcome.text[1:], outcome.exit_code)
    say(f"condredirect: qp {outcome.words.rpartition(' ')[2] or os.getpid()}")
    return _REDIRECTED
