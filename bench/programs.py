"""Start other programs, wait for them, and end exactly what was started."""

import os
import shutil
import socket
import subprocess
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Final

from bench.errors import BenchError

STOP_S: Final = 40
"""How long a program may take to end after TERM; Paperpath's own default is 30 s of grace."""

# Debian keeps servers' programs where an ordinary user's PATH does not look.
_SEARCH: Final = os.pathsep.join([os.environ.get("PATH", os.defpath), "/usr/local/sbin", "/usr/sbin", "/sbin"])


def find(program: str) -> str | None:
    """Return the path of `program`, or None."""
    return shutil.which(program, path=_SEARCH)


def require(program: str) -> str:
    """Return the path of `program`; raises BenchError where there is none."""
    found = find(program)
    if found is None:
        raise BenchError(f"{program} is not installed")
    return found


def run(*argv: str | Path, within_s: float = 60) -> str:
    """Run a program to its end and return what it printed; raises BenchError with its last words if it fails."""
    try:
        # A session of its own: Control-C at the terminal is for us, who then end things in order.
        done = subprocess.run(
            argv,
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            errors="replace",
            timeout=within_s,
            start_new_session=True,
        )
    except subprocess.TimeoutExpired:
        raise BenchError(f"{argv[0]}: not finished after {within_s:.0f} s") from None
    if done.returncode != 0:
        raise BenchError(
            f"{' '.join(map(str, argv))}: status {done.returncode}: {_last_words(done.stderr + done.stdout)}"
        )
    return done.stdout


@contextmanager
def running(argv: Sequence[str | Path], *, output: Path, errors: Path) -> Iterator[subprocess.Popen[bytes]]:
    """Run a program in the background with its output in files; it is ended with TERM, or KILL when that is ignored."""
    with output.open("wb") as out, errors.open("wb") as err:
        process = subprocess.Popen(argv, stdin=subprocess.DEVNULL, stdout=out, stderr=err, start_new_session=True)
    try:
        yield process
    finally:
        process.terminate()
        try:
            process.wait(STOP_S)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()


def wait_for_text(file: Path, text: bytes, process: subprocess.Popen[bytes], within_s: float) -> None:
    """Wait until `text` is in `file`, which `process` writes; raises BenchError when that ends or takes too long."""
    began_s = time.monotonic()
    while text not in file.read_bytes():
        if process.poll() is not None:
            raise BenchError(f"{_name(process)} ended with {process.returncode}: {_last_words(file.read_text())}")
        if time.monotonic() - began_s > within_s:
            raise BenchError(f"{_name(process)} is not ready after {within_s:.0f} s: {_last_words(file.read_text())}")
        time.sleep(0.02)


def wait_for_port(port: int, within_s: float) -> None:
    """Wait until something on the loopback greets on `port`; raises BenchError when nothing does."""
    began_s = time.monotonic()
    while True:
        try:
            with socket.create_connection(("127.0.0.1", port), timeout=within_s) as connection:
                if connection.recv(1):
                    return
        except OSError:
            pass
        if time.monotonic() - began_s > within_s:
            raise BenchError(f"nothing answers on port {port} after {within_s:.0f} s")
        time.sleep(0.02)


def wait_for_path(path: Path, within_s: float) -> None:
    """Wait until ``path`` is there.  Raises BenchError."""
    end_s = time.monotonic() + within_s
    while not path.exists():
        if time.monotonic() > end_s:
            raise BenchError(f"{path} did not come within {within_s:.0f} s")
        time.sleep(0.02)


def free_port() -> int:
    """Return a port of the loopback that nothing listens on; it stays free unless somebody is very quick."""
    with socket.create_server(("127.0.0.1", 0)) as probe:
        port: int = probe.getsockname()[1]
        return port


def _name(process: subprocess.Popen[bytes]) -> str:
    argv = process.args
    return str(argv[0] if isinstance(argv, list | tuple) else argv)


def _last_words(text: str) -> str:
    return " / ".join(text.strip().splitlines()[-5:]) or "it said nothing"
