"""elq, pinq and qail: a mail reader for mbox files, on what lies in a Maildir (qmail-interfaces 17.2)."""

import os

from paperpath.inject import maildir2mbox
from paperpath.system import helpers

_READERS = {"elq": b"elm", "pinq": b"pine", "qail": b"Mail"}
_NOT_FOUND = 127
"""What a shell exits with, which these were."""


def main(argv: list[str]) -> int:
    """Move the messages, then become the reader that goes with our name."""
    code = maildir2mbox.main([])
    if code:
        return code
    helpers.become([_READERS[os.path.basename(argv[0])], *map(os.fsencode, argv[1:])])
    return _NOT_FOUND
