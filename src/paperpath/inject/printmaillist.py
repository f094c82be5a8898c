"""printmaillist: the lines of a list that fastforward reads, from standard input (qmail-interfaces 20.1)."""

from paperpath.inject.command import PERMANENT, TEMPORARY, fatal, reason
from paperpath.system import injection

_LIST_MOST_BYTES = 1 << 30


def main(_argv: list[str]) -> int:
    """Return 0; 100 where it is no such list, 111 where it cannot be read."""
    try:
        entries = (injection.read_to_end(0, _LIST_MOST_BYTES) or b"").split(b"\0")
        if entries.pop() or any(not entry.startswith((b"&", b".", b"/")) for entry in entries):
            return fatal("printmaillist", "bad mailing list format", PERMANENT)
        injection.write_all(1, b"".join([entry + b"\n" for entry in entries]))
    except OSError as error:
        return fatal("printmaillist", f"unable to read input: {reason(error)}", TEMPORARY)
    return 0
