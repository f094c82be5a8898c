"""bouncesaying: fails a message with a text, where a program says so or at once (qmail-interfaces 17.2)."""

from paperpath.inject.command import PERMANENT, TEMPORARY, say, usage
from paperpath.inject.deciding import decide


def main(argv: list[str]) -> int:
    """Return 100 where the program, if any, exits 0; 111 where it says so or crashes; 0 for all else it says."""
    if len(argv) < 2:
        return usage("bouncesaying error [ program [ arg ... ] ]")
    if len(argv) > 2 and (status := decide("bouncesaying", argv[2:])):
        return TEMPORARY if status == TEMPORARY else 0
    say(argv[1])
    return PERMANENT
