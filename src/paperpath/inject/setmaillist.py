"""setmaillist: makes a list that fastforward reads of lines on standard input (qmail-interfaces 20.1)."""

from paperpath.inject.command import PERMANENT, TEMPORARY, blame, fatal, usage
from paperpath.system import injection

_SOURCE_MOST_BYTES = 1 << 30
_ADDRESS_MOST_BYTES = 800
_MODE = 0o644
_FILES = (b".", b"/")


class BadList(ValueError):
    """The lines are no list; the text says why."""


def main(argv: list[str]) -> int:
    """Return 0; 111 where a line is wrong or a file cannot be used; then the old list is in place.

    The second file is qmail's: what is new is written beside the list here, and takes its place at once.
    """
    if len(argv) < 3:
        return usage("setmaillist list.bin list.tmp")
    from paperpath.system.files import write_file_durably

    try:
        source = injection.read_to_end(0, _SOURCE_MOST_BYTES)
        if source is None:
            return fatal("setmaillist", "the list is too large", PERMANENT)
        write_file_durably(argv[1], b"".join(members(source)), _MODE)
    except OSError as error:
        return fatal("setmaillist", blame(error, argv[1]), TEMPORARY)
    except BadList as error:
        return fatal("setmaillist", str(error), TEMPORARY)
    return 0


def members(source: bytes) -> list[bytes]:
    """Return the entries of a list, each with its NUL.  Raises BadList."""
    found: list[bytes] = []
    for line in source.split(b"\n"):
        entry = line.rstrip(b" \t")
        if not entry or entry.startswith(b"#"):
            continue
        if b"\0" in entry:
            raise BadList("NUL in input")
        if not entry.startswith((b"&", *_FILES)):
            entry = b"&" + entry
        if entry.startswith(b"&") and len(entry) > _ADDRESS_MOST_BYTES:
            raise BadList("addresses must be under 800 bytes")
        found.append(entry + b"\0")
    return found
