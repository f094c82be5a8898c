"""except: turns a program's answer round (qmail-interfaces 17.2)."""

from paperpath.inject.command import PERMANENT, TEMPORARY, usage
from paperpath.inject.deciding import decide


def main(argv: list[str]) -> int:
    """Return 100 where the program exits 0; 111 where it says so or crashes; 0 for all else it says."""
    if len(argv) < 2:
        return usage("except program [ arg ... ]")
    return {0: PERMANENT, TEMPORARY: TEMPORARY}.get(decide("except", argv[1:]), 0)
