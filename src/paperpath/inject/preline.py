"""preline: runs a program on the message with the lines before it that an mbox begins with (qmail-interfaces 17.2)."""

import os

from paperpath.inject.command import TEMPORARY, Usage, fatal, options, reason, usage
from paperpath.system import helpers, injection

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable

_LINES = {b"f": b"UFLINE", b"r": b"RPLINE", b"d": b"DTLINE"}


def main(argv: list[str]) -> int:
    """Return the program's exit status, 111 where it crashes."""
    words = [os.fsencode(word) for word in argv[1:]]
    wanted = dict.fromkeys(_LINES, True)
    try:
        for letter, _ in options(words, b"frdFRD"):
            wanted[letter.lower()] = letter.isupper()
    except Usage:
        words = []
    if not words or not all(name in os.environb for name in _LINES.values()):
        return usage("preline cmd [ arg ... ]")
    lines = b"".join([os.environb[name] for letter, name in _LINES.items() if wanted[letter]])
    try:
        status = run(words, lines, "preline")
    except OSError as error:
        return fatal("preline", f"unable to copy input: {reason(error)}", TEMPORARY)
    return status if status >= 0 else fatal("preline", "child crashed", TEMPORARY)


def run(words: list[bytes], lines: bytes, name: str = "") -> int:
    """Run a program on ``lines`` and standard input; return its status, a signal's number below zero.

    Where it cannot be started, we say so as the program ``name``, if there is one.  Raises OSError.
    """
    return helpers.run(words, feeder(lines), name)


def feeder(lines: bytes) -> "Callable[[int], None]":
    """Return what writes ``lines`` and standard input to a descriptor."""

    def feed(descriptor: int) -> None:
        injection.write_all(descriptor, lines)
        injection.copy_to_end(0, descriptor)

    return feed
