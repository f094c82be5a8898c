"""TLS handshakes: a certificate, `openssl s_server` as the one to compare with, and `openssl s_time` as the load."""

import re
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from bench.errors import BenchError
from bench.peers import Job
from bench.programs import find, free_port, require, run, running, wait_for_text

_CLIENTS: Final = 4
"""Clients at once: one alone waits for each answer, and would measure that."""

_COUNTED: Final = re.compile(r"^(\d+) connections in (\d+) real seconds", re.MULTILINE)


@dataclass(frozen=True, slots=True)
class Pair:
    """Files of a certificate and of its key."""

    certificate: Path
    key: Path


def make_pair(folder: Path, name: str, *, rsa: bool = False) -> Pair:
    """Make a certificate that signs itself, on P-256 or with RSA of 2048 bits."""
    pair = Pair(folder / "tls.pem", folder / "tls.key")
    key = ("rsa:2048",) if rsa else ("ec", "-pkeyopt", "ec_paramgen_curve:prime256v1")
    kind = ("-x509", "-newkey", *key, "-nodes", "-days", "30")
    subject = ("-subj", f"/CN={name}", "-addext", f"subjectAltName=DNS:{name}")
    run(require("openssl"), "req", *kind, *subject, "-keyout", pair.key, "-out", pair.certificate)
    return pair


def handshakes_per_s(port: int, how: str, version: str, for_s: int) -> float:
    """Return how many handshakes a second several `openssl s_time` together get done; ``how``: ``new``, ``reuse``."""
    words = [require("openssl"), "s_time", "-connect", f"127.0.0.1:{port}", f"-{how}", f"-{version}"]
    clients = [
        subprocess.Popen(
            [*words, "-time", str(for_s)], stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT
        )
        for _ in range(_CLIENTS)
    ]
    return sum(_rate(client, for_s) for client in clients)


def _rate(client: subprocess.Popen[bytes], for_s: int) -> float:
    said = client.communicate(timeout=for_s + 30)[0].decode(errors="replace")
    found = _COUNTED.search(said)
    if client.returncode != 0 or found is None:
        raise BenchError(f"openssl s_time: status {client.returncode}: {said[-200:]}")
    # It stops when the second changes for which it was told, and rounds up.
    return int(found[1]) / max(1, int(found[2]) - 1)


@dataclass(frozen=True, slots=True, kw_only=True)
class RunningOpenSsl:
    """An `openssl s_server`: it takes connections, one after the other, and no mail."""

    tls_port: int
    pid: int
    port: int = 0
    recipient: str = ""
    users_domain: str = ""

    def delivered(self) -> int:
        """It takes no mail."""
        return 0

    def queued(self) -> int:
        """It takes no mail."""
        return 0


@dataclass(frozen=True, slots=True, kw_only=True)
class OpenSsl:
    """How to run `openssl s_server`."""

    folder: Path
    name: str = "openssl"

    def missing(self) -> str:
        """Say why it cannot run here."""
        return "" if find("openssl") else "openssl is not installed"

    def version(self) -> str:
        """What it calls itself."""
        return run(require("openssl"), "version").split()[1]

    @contextmanager
    def running(self, job: Job) -> Iterator[RunningOpenSsl]:
        """Run it; no job makes a difference to it."""
        pair, port = make_pair(self.folder, "openssl.test"), free_port()
        output = self.folder / f"s_server-{port}"
        # As a web server, it is not ended by the end of its standard input.
        words = ("s_server", "-www", "-accept", f"127.0.0.1:{port}", "-cert", pair.certificate, "-key", pair.key)
        with running((require("openssl"), *words), output=output, errors=output.with_suffix(".errors")) as process:
            wait_for_text(output, b"ACCEPT", process, 10)
            yield RunningOpenSsl(tls_port=port, pid=process.pid)
