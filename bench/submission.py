"""The load of submission: TLS from the start, AUTH PLAIN, one message and away, from several processes at once.

smtp-source speaks no TLS.  This client is a program in C (`submission.c`), because one in Python takes as long as the
servers do; its share of the machine is part of every number, and the same for everybody.
"""

import base64
import time
from pathlib import Path
from typing import Final

from bench.load import PAYLOAD_BYTES, SESSIONS, limit_s
from bench.programs import require, run

_SOURCE: Final = Path(__file__).with_suffix(".c")


def build(folder: Path) -> Path:
    """Compile the client into ``folder``; raises BenchError where there is no compiler, or no OpenSSL to build with."""
    program = folder / "submission"
    run(require("gcc"), "-O2", "-Wall", "-Wextra", "-Werror", "-o", program, _SOURCE, "-lssl", "-lcrypto")
    return program


def send(program: Path, port: int, user: str, password: str, messages: int) -> float:
    """Submit ``messages`` of 4 KB from ``user`` to itself, a new connection each; return how long that took.

    Raises BenchError at the first refusal.
    """
    login = base64.b64encode(f"\0{user}\0{password}".encode()).decode()
    numbers = map(str, (SESSIONS, messages, PAYLOAD_BYTES))
    began_s = time.monotonic()
    run(program, str(port), user, login, *numbers, within_s=limit_s(messages))
    return time.monotonic() - began_s
