"""datemail: sendmail, with a Date field in local time (qmail-interfaces 17.2)."""

import os

from paperpath.inject import predate


def main(argv: list[str]) -> int:
    """Run the sendmail that lies beside us; return its exit status."""
    folder = os.path.dirname(os.path.abspath(argv[0]))
    return predate.run([os.fsencode(f"{folder}/sendmail"), *map(os.fsencode, argv[1:])])
