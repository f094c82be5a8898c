"""What bouncesaying, condredirect and except share: a program that decides (qmail-interfaces 17.2)."""

import os

from paperpath.inject.command import TEMPORARY, fatal
from paperpath.system import helpers


def decide(name: str, words: list[str]) -> int:
    """Run a program and return its exit status, 111 also where it crashed; both are said, as the program ``name``."""
    status = helpers.run([os.fsencode(word) for word in words])
    if status < 0:
        return fatal(name, "child crashed", TEMPORARY)
    if status == TEMPORARY:
        return fatal(name, "temporary child error", TEMPORARY)
    return status
