"""smtp-sink: the remote server that mail is relayed to, and the ceiling, because it stores nothing."""

import os
import re
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from bench.peers import SINK_DOMAIN, Job
from bench.programs import find, free_port, require, running, wait_for_port

_BACKLOG: Final = "1000"
_COUNTED: Final = re.compile(rb"mesg=(\d+)\r")
# Longer than one line of counters.
_TAIL_BYTES: Final = 200


@dataclass(frozen=True, slots=True, kw_only=True)
class RunningSink:
    """An smtp-sink that counts."""

    port: int
    pid: int
    recipient: str
    counters: Path

    @property
    def users_domain(self) -> str:
        """It has no users."""
        return ""

    @property
    def tls_port(self) -> int:
        """It knows no TLS."""
        return 0

    def delivered(self) -> int:
        """Messages taken so far."""
        with self.counters.open("rb") as file:
            file.seek(max(0, os.fstat(file.fileno()).st_size - _TAIL_BYTES))
            counts: list[bytes] = _COUNTED.findall(file.read())
        return int(counts[-1]) if counts else 0

    def queued(self) -> int:
        """Nothing ever waits here."""
        return 0


@dataclass(frozen=True, slots=True, kw_only=True)
class Sink:
    """How to run smtp-sink; `folder` takes its counters and is on no volume under test."""

    folder: Path
    name: str = "smtp-sink"

    def missing(self) -> str:
        """Say why it cannot run here."""
        return "" if find("smtp-sink") and find("smtp-source") else "the postfix package is not installed"

    def version(self) -> str:
        """It comes with Postfix and has no version of its own."""
        return "Postfix's own"

    @contextmanager
    def running(self, job: Job) -> Iterator[RunningSink]:
        """Run it; no job makes a difference to it."""
        port = free_port()
        counters = self.folder / f"sink-{port}"
        # It refuses to be root.
        user = ["-u", "nobody"] if os.geteuid() == 0 else []
        argv = [require("smtp-sink"), *user, "-4", "-c", f"127.0.0.1:{port}", _BACKLOG]
        with running(argv, output=counters, errors=self.folder / f"sink-{port}.errors") as process:
            wait_for_port(port, 10)
            yield RunningSink(port=port, pid=process.pid, recipient=f"recipient@{SINK_DOMAIN}", counters=counters)
