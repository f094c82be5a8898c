"""setlock: runs a program that holds an exclusive lock (qmail-interfaces 20.3)."""

import os

from paperpath.inject.command import TEMPORARY, Usage, fatal, options, reason, usage
from paperpath.system import helpers

_USAGE = "setlock [ -nNxX ] file program [ arg ... ]"


def main(argv: list[str]) -> int:
    """Become the program; return 111, or 0 with ``-x``, where the lock cannot be had."""
    words = [os.fsencode(word) for word in argv[1:]]
    waits, fails = True, True
    try:
        for letter, _ in options(words, b"nNxX"):
            if letter in b"nN":
                waits = letter == b"N"
            else:
                fails = letter == b"X"
    except Usage:
        return usage(_USAGE)
    if len(words) < 2:
        return usage(_USAGE)
    file, *program = words
    verb = "open"
    try:
        descriptor = helpers.open_lock(file)
        verb = "lock"
        helpers.lock(descriptor, waits=waits)
    except OSError as error:
        text = f"unable to {verb} {os.fsdecode(file)}: {reason(error)}"
        return fatal("setlock", text, TEMPORARY) if fails else 0
    helpers.become_or_say(program, "setlock")
    return TEMPORARY
