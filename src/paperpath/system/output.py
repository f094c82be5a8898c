"""Standard error, where the log goes."""

import contextlib
import os


def write_stderr(data: bytes) -> None:
    """Write log lines, all of them; a log that nobody reads any more must not end the process."""
    rest = memoryview(data)
    with contextlib.suppress(OSError):
        while rest:
            rest = rest[os.write(2, rest) :]
