"""forward: sends a message on, out of a dot-qmail file (qmail-interfaces 17.2)."""

import os

from paperpath.inject import queueing
from paperpath.inject.command import PERMANENT, TEMPORARY, fatal, reason, say


def main(argv: list[str]) -> int:
    """Queue what qmail-local hands over, for the addresses that are the arguments."""
    for name in ("NEWSENDER", "DTLINE"):
        if name not in os.environ:
            return fatal("forward", f"{name} not set", PERMANENT)
    try:
        outcome = queueing.forward(os.environb[b"NEWSENDER"], [os.fsencode(word) for word in argv[1:]])
    except OSError as error:
        return fatal("forward", f"unable to read message: {reason(error)}", TEMPORARY)
    if outcome.text:
        return fatal("forward", outcome.text[1:], outcome.exit_code)
    say(f"forward: qp {outcome.number}")
    return 0
