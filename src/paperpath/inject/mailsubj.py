"""mailsubj: mails standard input under a subject to the recipients named (qmail-interfaces 17.2)."""

import os

from paperpath.inject import qmail_inject
from paperpath.inject.queueing import limit_bytes
from paperpath.system import injection


def main(argv: list[str]) -> int:
    """Queue the message; return qmail-inject's exit code."""
    if len(argv) < 2:
        injection.write_all(2, b"mailsubj: usage: mailsubj subject recipient ...\n")
        return qmail_inject.EXIT_PERMANENT
    body = injection.read_to_end(0, limit_bytes())
    if body is None:
        injection.write_all(2, b"mailsubj: fatal: message exceeds the largest size taken here (#5.3.4)\n")
        return qmail_inject.EXIT_PERMANENT
    subject, *recipients = map(os.fsencode, argv[1:])
    head = b"Subject: %b\nTo: %b\n\n" % (subject, b" ".join(recipients))
    return qmail_inject.inject([], head + body)
