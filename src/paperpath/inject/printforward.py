"""printforward: the source of a table of aliases, from the table on standard input (qmail-interfaces 20.1)."""

from paperpath.base.cdb import Cdb
from paperpath.inject.command import PERMANENT, TEMPORARY, fatal, reason
from paperpath.system import injection

_TABLE_MOST_BYTES = 1 << 32
_QUOTED = frozenset(b"\\#:,; \t\n")


def main(_argv: list[str]) -> int:
    """Print it in the order of the table; return 100 where it is none, 111 where it cannot be read."""
    try:
        table = injection.read_to_end(0, _TABLE_MOST_BYTES)
        injection.write_all(1, describe(table or b""))
    except OSError as error:
        return fatal("printforward", f"unable to read input: {reason(error)}", TEMPORARY)
    except ValueError:
        # The original forgot to change the name that it took this from.
        return fatal("printmaillist", "bad database format", PERMANENT)
    return 0


def describe(table: bytes) -> bytes:
    """Return lines that setforward makes the same table of.  Raises ValueError."""
    lines: list[bytes] = []
    for key, data in Cdb(table):
        target = _quote(key[1:])
        if key[:1] == b"?":
            lines.append(target + b": ?" + _quote(data) + b";\n")
        elif key[:1] == b":":
            commands = b"".join([b", " + _quote(command) + b"\n" for command in data.split(b"\0")[:-1]])
            lines.append(target + b":\n" + commands + b";\n")
    return b"".join(lines)


def _quote(text: bytes) -> bytes:
    return b"".join(b"\\" + text[at : at + 1] if text[at] in _QUOTED else text[at : at + 1] for at in range(len(text)))
