"""mailsubj: mails standard input under a subject to the recipients named (qmail-interfaces 17.2)."""

import os

from paperpath.inject import qmail_inject
from paperpath.inject.command import PERMANENT, fatal, usage
from paperpath.inject.queueing import TOO_LARGE, limit_bytes
from paperpath.system import injection


def main(argv: list[str]) -> int:
    """Queue the message; return qmail-inject's exit code."""
    if len(argv) < 2:
        return usage("mailsubj subject recipient ...")
    body = injection.read_to_end(0, limit_bytes())
    if body is None:
        return fatal("mailsubj", TOO_LARGE, PERMANENT)
    subject, *recipients = map(os.fsencode, argv[1:])
    head = b"Subject: %b\nTo: %b\n\n" % (subject, b" ".join(recipients))
    return qmail_inject.inject([], head + body)
