"""maildirmake: makes a Maildir (qmail-interfaces 17.2)."""

import os

from paperpath.inject.command import TEMPORARY, fatal, reason, usage

_MODE = 0o700


def main(argv: list[str]) -> int:
    """Return 0, or 111 where it, or anything of its name, is there already."""
    if len(argv) < 2:
        return usage("maildirmake name")
    os.umask(0o077)
    for folder in ("", "/tmp", "/new", "/cur"):  # noqa: S108
        path = argv[1] + folder
        try:
            os.mkdir(path, _MODE)
        except OSError as error:
            return fatal("maildirmake", f"unable to mkdir {path}: {reason(error)}", TEMPORARY)
    return 0
