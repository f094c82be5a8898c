"""except: turns a program's answer round (qmail-interfaces 17.2)."""

import os

from paperpath.inject.command import PERMANENT, TEMPORARY, fatal, usage
from paperpath.system import helpers


def main(argv: list[str]) -> int:
    """Return 100 where the program exits 0; 111 where it says so or crashes; 0 for all else it says."""
    if len(argv) < 2:
        return usage("except program [ arg ... ]")
    status = helpers.run([os.fsencode(word) for word in argv[1:]])
    if status < 0:
        return fatal("except", "child crashed", TEMPORARY)
    if status == TEMPORARY:
        return fatal("except", "temporary child error", TEMPORARY)
    return 0 if status else PERMANENT
