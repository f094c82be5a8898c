"""What `paperpath explain` tells of an address that only the table of aliases may know."""

from typing import TYPE_CHECKING

from paperpath.base.text import show

if TYPE_CHECKING:
    from paperpath.config.schema import Config


def tell_alias(config: "Config", address: bytes) -> "tuple[tuple[str, ...], bool | None]":
    """Return what the aliases say of ``address``, without doing it: lines, and whether it exists, None: not known."""
    from paperpath.base.aliases import Expansion
    from paperpath.config.cdb_file import CdbFile

    lines: list[str] = []

    def note_list(path: bytes) -> bytes:
        lines.append(f"  list {show(path)}")
        return b""

    file = f"{config.local.aliases}.cdb"
    try:
        table = CdbFile(file).load()
        if table is None:
            return (f"{file}: not there, mail waits; `newaliases` makes it",), None
        expansion = Expansion(table, b"", lambda command: lines.append(f"  program {show(command[1:])}"), note_list)
        if not expansion.expand(address):
            return (f"{file}: no alias {show(address)}: refused at RCPT",), False
    except OSError as error:
        return (f"{file}: {error.strerror}: mail waits",), None
    except ValueError as error:
        return (f"{file}: {error}: mail waits",), None
    lines += [f"  forward {show(one)}" for one in expansion.addresses]
    return (f"{file}: alias {show(address)}", *lines), True
