"""qmail-tcpok: forgets which hosts did not answer lately (qmail-interfaces 18)."""

from paperpath.inject.command import TEMPORARY, fatal, qmail_home, reason
from paperpath.inject.tcpto import TABLE, TABLE_BYTES
from paperpath.system import helpers


def main(_argv: list[str]) -> int:
    """Return 0, or 111 where the table cannot be written."""
    try:
        helpers.overwrite_locked(f"{qmail_home()}/{TABLE}", bytes(TABLE_BYTES))
    except OSError as error:
        return fatal("qmail-tcpok", f"unable to write tcpto: {reason(error)}", TEMPORARY)
    return 0
