"""What programs said, as delivery reports carry it: bounded as qmail-lspawn bounds it, and fit to be shown."""

from paperpath.base.text import show

OUTPUT_MOST_BYTES = 3000
_TOO_LONG = b"\nError report too long, sorry.\n"
_SPARE_BYTES = 3


def bounded(report: bytes) -> bytes:
    """Return a report as it is, or where it is too long, its beginning and a line that says so."""
    if len(report) <= OUTPUT_MOST_BYTES:
        return report
    return report[: OUTPUT_MOST_BYTES - len(_TOO_LONG) - _SPARE_BYTES] + _TOO_LONG


def shown(output: bytes, last: bytes) -> str:
    """Return output and our own last words as text: what stands before the first NUL, cut to the bound.

    Lines stay lines; other bytes that do not print are shown as escapes.
    """
    if output and not output.endswith(b"\n"):
        output += b"\n"
    report = bounded((output + last).partition(b"\0")[0])
    return "\n".join(show(line.replace(b"\t", b" ")) for line in report.rstrip(b"\n").split(b"\n"))
