"""qmail-newmrh: makes control/morercpthosts.cdb from control/morercpthosts (qmail-interfaces 18)."""

import os

from paperpath.base.cdb import build
from paperpath.inject.command import TEMPORARY, fatal, qmail_home, reason

_MODE = 0o644


def main(_argv: list[str]) -> int:
    """Return 0, or 111; then the old file is in place."""
    home = qmail_home()
    file = home + "/control/morercpthosts"
    try:
        os.chdir(home)
    except OSError as error:
        return fatal("qmail-newmrh", f"unable to chdir to {home}: {reason(error)}", TEMPORARY)
    try:
        with open(file, "rb") as stream:
            hosts = stream.read()
    except OSError as error:
        return fatal("qmail-newmrh", f"unable to read control/morercpthosts: {reason(error)}", TEMPORARY)
    entries = [line.rstrip(b" \t").lower() for line in hosts.split(b"\n")]
    from paperpath.system.files import write_file_durably

    try:
        table = build((entry, b"") for entry in entries if entry and not entry.startswith(b"#"))
        write_file_durably(file + ".cdb", table, _MODE)
    except (OSError, ValueError) as error:
        text = reason(error) if isinstance(error, OSError) else str(error)
        return fatal("qmail-newmrh", f"unable to write to control/morercpthosts.tmp: {text}", TEMPORARY)
    return 0
