"""qmail-tcpto: the hosts that did not answer lately, as qmail-remote notes them (qmail-interfaces 12.6 and 18)."""

import os

from paperpath.inject.command import TEMPORARY, qmail_home, reason
from paperpath.inject.tcpto import TABLE, TABLE_BYTES, describe
from paperpath.system import clock, helpers, injection


def main(_argv: list[str]) -> int:
    """Print a line for each host of the table; return 111 where it cannot be read."""
    try:
        os.chdir(os.path.dirname(f"{qmail_home()}/{TABLE}"))
    except OSError as error:
        injection.write_all(1, f"fatal: unable to chdir: {reason(error)}\n".encode())
        return TEMPORARY
    try:
        table = helpers.read_locked(os.path.basename(TABLE), TABLE_BYTES)
    except OSError as error:
        injection.write_all(1, f"fatal: unable to open tcpto: {reason(error)}\n".encode())
        return TEMPORARY
    injection.write_all(1, describe(table, int(clock.now())))
    return 0
