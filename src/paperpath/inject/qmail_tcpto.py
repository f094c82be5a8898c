"""qmail-tcpto: the hosts that did not answer lately, as qmail-remote notes them (qmail-interfaces 12.6 and 18)."""

from paperpath.inject.command import TEMPORARY, qmail_home, reason
from paperpath.system import clock, helpers, injection

TABLE = "queue/lock/tcpto"
TABLE_BYTES = 1024
_RECORD_BYTES = 16


def main(_argv: list[str]) -> int:
    """Print a line for each host of the table; return 111 where it cannot be read."""
    try:
        table = helpers.read_locked(f"{qmail_home()}/{TABLE}", TABLE_BYTES)
    except OSError as error:
        injection.write_all(1, f"fatal: unable to open tcpto: {reason(error)}\n".encode())
        return TEMPORARY
    injection.write_all(1, describe(table, int(clock.now())))
    return 0


def describe(table: bytes, now: int) -> bytes:
    """Return the lines for a table; ``now`` in seconds since the epoch."""
    lines = []
    for at in range(0, len(table) - _RECORD_BYTES + 1, _RECORD_BYTES):
        count, when = table[at + 4], int.from_bytes(table[at + 8 : at + 12], "little")
        if count:
            address = ".".join(map(str, table[at : at + 4]))
            lines.append(f"{address} timed out {now - when} seconds ago; # recent timeouts: {count}\n")
    return "".join(lines).encode()
