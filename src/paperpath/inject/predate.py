"""predate: runs a program on the message with a Date field in local time before it (qmail-interfaces 17.2)."""

import os
import time

from paperpath.base.calendar import MONTHS
from paperpath.inject.command import TEMPORARY, fatal, usage
from paperpath.inject.preline import feeder
from paperpath.system import clock, injection


def main(argv: list[str]) -> int:
    """Run the program that the arguments name; return its exit status."""
    if len(argv) < 2:
        return usage("predate child")
    return run([os.fsencode(word) for word in argv[1:]])


def run(words: list[bytes]) -> int:
    """Run a program with a Date field and standard input on its standard input; return its exit status."""
    date = date_field(int(clock.now()))

    status = injection.run_with_input(words, feeder(date), "predate")
    return status if status >= 0 else fatal("predate", "child crashed", TEMPORARY)


def date_field(now: int) -> bytes:
    """Return the Date field for ``now``, seconds since the epoch, in the time zone of TZ or of this host."""
    local = time.localtime(now)
    minutes = local.tm_gmtoff // 60
    sign, minutes = ("-", -minutes) if minutes < 0 else ("+", minutes)
    clock_time = f"{local.tm_hour:02d}:{local.tm_min:02d}:{local.tm_sec:02d}"
    zone = f"{sign}{minutes // 60:02d}{minutes % 60:02d}"
    return f"Date: {local.tm_mday} {MONTHS[local.tm_mon - 1]} {local.tm_year} {clock_time} {zone}\n".encode()
