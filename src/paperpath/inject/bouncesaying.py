"""bouncesaying: fails a message with a text, where a program says so or at once (qmail-interfaces 17.2)."""

import os

from paperpath.inject.command import PERMANENT, TEMPORARY, fatal, say, usage
from paperpath.system import helpers


def main(argv: list[str]) -> int:
    """Return 100 where the program, if any, exits 0; 111 where it says so or crashes; 0 for all else it says."""
    if len(argv) < 2:
        return usage("bouncesaying error [ program [ arg ... ] ]")
    if len(argv) > 2:
        status = helpers.run([os.fsencode(word) for word in argv[2:]])
        if status < 0:
            return fatal("bouncesaying", "child crashed", TEMPORARY)
        if status == TEMPORARY:
            return fatal("bouncesaying", "temporary child error", TEMPORARY)
        if status:
            return 0
    say(argv[1])
    return PERMANENT
