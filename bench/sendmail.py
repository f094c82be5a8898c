"""What one `sendmail` call costs, against a Python that is started and does nothing.

Both are started in turn, the same number of times, and the medians are compared; each call hands in a message to the
running server and returns when that is durable.
"""

import os
import subprocess
import sys
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from statistics import median
from typing import Final

from bench.errors import BenchError
from bench.paperpath import RunningPaperpath
from bench.peers import Running
from bench.programs import run

_WARM_UP: Final = 3


def measure(running: Running, calls: int) -> Mapping[str, float]:
    """Return the median time of a call, that of an empty Python, and how many times the one is the other."""
    if not isinstance(running, RunningPaperpath):
        raise BenchError("only Paperpath has such programs")
    programs = running.config.parent / "programs"
    run(running.program, "programs", programs)
    environment = {**os.environ, "PAPERPATH_CONFIG": str(running.config)}
    sendmail: list[str | Path] = [programs / "sendmail", "-i", running.recipient]
    # The interpreter itself, as the programs name it: a virtual environment's link costs time of its own.
    empty: list[str | Path] = [os.path.realpath(sys.executable), "-I", "-S", "-c", "pass"]
    sendmail_s, empty_s = [], []
    for call in range(calls + _WARM_UP):
        took_s = _timed(sendmail, environment), _timed(empty, environment)
        if call >= _WARM_UP:
            sendmail_s.append(took_s[0])
            empty_s.append(took_s[1])
    ours, theirs = median(sendmail_s), median(empty_s)
    return {"sendmail_s": ours, "empty_python_s": theirs, "sendmail_times": ours / theirs}


def _timed(command: Sequence[str | Path], environment: Mapping[str, str]) -> float:
    began_s = time.perf_counter()
    done = subprocess.run(command, input=b"Subject: x\n\nbody\n", env=environment, capture_output=True)
    took_s = time.perf_counter() - began_s
    if done.returncode:
        raise BenchError(f"{command[0]}: status {done.returncode}: {done.stderr.decode(errors='replace')}")
    return took_s
