"""qsmhook: runs a local mailer of sendmail's on the message (qmail-interfaces 17.2)."""

import os

from paperpath.inject.command import PERMANENT, TEMPORARY, Usage, fatal, options
from paperpath.inject.preline import feeder
from paperpath.system import helpers

_NEEDED = (b"DTLINE", b"RPLINE", b"UFLINE", b"LOCAL", b"HOST", b"SENDER")


def main(argv: list[str]) -> int:
    """Return the program's exit status; 100 where it is called wrongly, 111 where the program crashes."""
    words = [os.fsencode(word) for word in argv[1:]]
    environment = os.environb
    if not all(name in environment for name in _NEEDED):
        return fatal("qsmhook", "incorrect usage", PERMANENT)
    shown = {b"F": True, b"R": False, b"D": False}
    local = environment[b"LOCAL"]
    try:
        for letter, value in options(words, b"DFlMmnPs", b"x"):
            if letter == b"x" and local.lower().startswith(value.lower()):
                local = local[len(value) :]
            elif letter in b"lnP":
                shown[{b"l": b"D", b"n": b"F", b"P": b"R"}[letter]] = letter != b"n"
    except Usage:
        return PERMANENT
    if not words:
        return fatal("qsmhook", "incorrect usage", PERMANENT)
    names = {b"F": b"UFLINE", b"R": b"RPLINE", b"D": b"DTLINE"}
    lines = b"".join([environment[name] for letter, name in names.items() if shown[letter]])
    values = {b"%": b"%", b"g": environment[b"SENDER"], b"h": environment[b"HOST"], b"u": local}
    try:
        status = helpers.run([_filled(word, values) for word in words], feeder(lines), "qsmhook", "command not found")
    except OSError:
        return fatal("qsmhook", "unable to read message", TEMPORARY)
    return status if status >= 0 else fatal("qsmhook", "temporary problem", TEMPORARY)


def _filled(word: bytes, values: dict[bytes, bytes]) -> bytes:
    """Return a word with what stands for ``%g``, ``%h``, ``%u`` and ``%%``; other letters stand for nothing."""
    found, at = b"", 0
    while at < len(word):
        letter = word[at : at + 1]
        if letter == b"%":
            at += 1
            letter = values.get(word[at : at + 1], b"")
        found += letter
        at += 1
    return found
