"""What the small qmail programs share: their options, their last words, the qmail home."""

import os
import sys

from paperpath.inject.places import NoConfiguration, find_places
from paperpath.system import injection

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterator

PERMANENT, TEMPORARY = 100, 111


class Usage(Exception):
    """The command line has an option that is none, or one without its value."""


def options(words: list[bytes], flags: bytes, valued: bytes = b"") -> "Iterator[tuple[bytes, bytes]]":
    """Take options off the front of ``words`` as qmail's getopt does; yield each letter with its value.

    A word that begins with two dashes is the last.  Raises Usage, and has said why.
    """
    while words and words[0][:1] == b"-" and words[0] != b"-":
        word = words.pop(0)
        if word[:2] == b"--":
            return
        for at in range(1, len(word)):
            letter, rest = word[at : at + 1], word[at + 1 :]
            if letter in valued:
                if not rest and not words:
                    raise _unusable("option requires an argument", letter)
                yield letter, rest or words.pop(0)
                break
            if letter not in flags:
                raise _unusable("illegal option", letter)
            yield letter, b""


def _unusable(fault: str, letter: bytes) -> Usage:
    say(f"{os.path.basename(sys.argv[0])}: {fault} -- {os.fsdecode(letter)}")
    return Usage()


def say(text: str) -> None:
    """Write a line to standard error."""
    injection.write_all(2, os.fsencode(text + "\n"))


def fatal(program: str, text: str, code: int) -> int:
    """Say why a program ends; return its exit code."""
    say(f"{program}: fatal: {text}")
    return code


def usage(line: str) -> int:
    """Say how a program is called; its name is the first word.  Return the exit code for that."""
    say(f"{line.partition(' ')[0]}: usage: {line}")
    return PERMANENT


def printable(data: bytes, stand_in: bytes = b"?") -> bytes:
    """Return bytes from a stranger with ``stand_in`` for each that is no printable ASCII."""
    return bytes(byte if 32 <= byte <= 126 else stand_in[0] for byte in data)


def reason(error: OSError) -> str:
    """Return what an error says in qmail's words, without the file."""
    from paperpath.base.errno_words import describe  # most programs have nothing to complain about

    return describe(error)


def blame(error: OSError, otherwise: str = "message") -> str:
    """Return which file an error is about, or what is meant where it names none, and what it says."""
    return f"{os.fsdecode(error.filename or otherwise)}: {reason(error)}"


def qmail_home() -> str:
    """Return the qmail home: the environment's, else the configuration's, else ``/var/qmail``."""
    from paperpath.config.control import home

    try:
        return home(find_places().qmail_home)
    except NoConfiguration:
        return home()


def defaults() -> tuple[bytes, bytes, bytes]:
    """Return what completes addresses: the default host, the default domain, and what ``+`` stands for.

    The control files say it, else ``me``, else the configuration's host name.  Raises OSError.
    """
    from paperpath.config.control import Control

    control = Control(qmail_home())
    me = control.read_line("me")
    if me is None:
        try:
            me = os.fsencode(find_places().hostname)
        except NoConfiguration:
            me = b"me"
    return control.completion(me)
