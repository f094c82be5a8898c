"""qmail-tcpok: forgets which hosts did not answer lately (qmail-interfaces 18)."""

import os

from paperpath.inject.command import TEMPORARY, fatal, qmail_home, reason
from paperpath.inject.tcpto import TABLE, TABLE_BYTES
from paperpath.system import helpers


def main(_argv: list[str]) -> int:
    """Return 0, or 111 where the table cannot be written."""
    home = qmail_home()
    table = f"{home}/{TABLE}"
    for folder in (home, os.path.dirname(table)):
        try:
            os.chdir(folder)
        except OSError as error:
            return fatal("qmail-tcpok", f"unable to chdir to {folder}: {reason(error)}", TEMPORARY)
    try:
        helpers.overwrite_locked(table, bytes(TABLE_BYTES))
    except OSError as error:
        return fatal("qmail-tcpok", f"unable to write {table}: {reason(error)}", TEMPORARY)
    return 0
