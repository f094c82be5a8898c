"""tcprules: makes a table of access rules for tcpserver (qmail-interfaces 19.3)."""

import os

from paperpath.base.cdb import build
from paperpath.base.tcp_rules import BadRule, records
from paperpath.inject.command import PERMANENT, TEMPORARY, fatal, reason, usage
from paperpath.system import injection

_MODE = 0o644
_SOURCE_MOST_BYTES = 256 * 1024 * 1024


def main(argv: list[str]) -> int:
    """Make the table from the rules on standard input; where it fails, the old one is in place."""
    if len(argv) < 3:
        return usage("tcprules rules.cdb rules.tmp")
    table, temporary = argv[1:3]
    try:
        source = injection.read_to_end(0, _SOURCE_MOST_BYTES)
        if source is None:
            raise OSError(0, "too much")
    except OSError as error:
        return fatal("tcprules", f"unable to read input: {reason(error)}", TEMPORARY)
    try:
        made = build(records(source))
    except BadRule as bad:
        return fatal("tcprules", f"unable to parse this line: {os.fsdecode(bad.args[0])}", PERMANENT)
    from paperpath.system.files import write_file_durably

    try:
        write_file_durably(table, made, _MODE)
    except (OSError, ValueError) as error:
        text = reason(error) if isinstance(error, OSError) else str(error)
        return fatal("tcprules", f"unable to create {temporary}: {text}", TEMPORARY)
    return 0
