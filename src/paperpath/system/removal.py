"""Giving up files that nothing needs any more."""

import os


def remove_if_there(path: str) -> None:
    """Remove a file; one that is gone already is no trouble.

    Not synced: a name that comes back after a power cut is an orphan, which its owner removes at the next
    start. Raises OSError where the file stays.
    """
    try:
        os.unlink(path)
    except FileNotFoundError:
        pass
