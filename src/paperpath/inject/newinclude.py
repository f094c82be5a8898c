"""newinclude: makes LIST.bin, which fastforward reads, of a sendmail :include: file (qmail-interfaces 20.1)."""

from paperpath.inject.command import TEMPORARY, blame, defaults, fatal, usage
from paperpath.inject.newaliases import Defaults, read_members

_MODE = 0o644


def main(argv: list[str]) -> int:
    """Return 0, or 111; then the old list is in place."""
    if len(argv) < 2:
        return usage("newinclude list")
    from paperpath.system.files import write_file_durably

    try:
        with open(argv[1], "rb") as file:
            text = file.read()
        members = read_members(text, Defaults(*defaults()))
        write_file_durably(f"{argv[1]}.bin", b"".join(members), _MODE)
    except OSError as error:
        return fatal("newinclude", f"unable to read {blame(error, argv[1])}", TEMPORARY)
    except ValueError as error:
        return fatal("newinclude", str(error), TEMPORARY)
    return 0
