"""A `pop3` process that somebody has taken over: it tries what it should not be able to do, and tells what came of it.

Started as the supervisor starts `pop3`, with the same life and the same confinement.  What it tries is told in the
settings' hostname, as JSON; what came of it is said to whoever connects to its listener, as JSON too.
"""

import asyncio
import ctypes
import json
import os
import signal
import socket
import subprocess
import threading
from collections.abc import Callable

import msgspec

from paperpath.process.child import Listeners, run_role
from paperpath.process.settings import Pop3Settings
from paperpath.telemetry.log import Log
from paperpath.wire.accounts import Lookup, StartWorker
from paperpath.wire.frame import VERSION, Hello, encode
from paperpath.wire.intake import Submit
from paperpath.wire.mailbox import OpenMailbox

_PTRACE_ATTACH = 16


class Hostile:
    """In the place of `Pop3Role`."""

    def __init__(self, _log: Log) -> None: ...

    async def configure(self, settings: Pop3Settings, listeners: Listeners) -> None:
        wanted = json.loads(settings.hostname)
        ((_, listener),) = listeners
        found: dict[str, str] = {}
        done = threading.Thread(target=_try_all, args=(settings.run, wanted, found))
        done.start()
        while done.is_alive():
            await asyncio.sleep(0)
        listener.setblocking(True)

        def tell() -> None:
            with listener, listener.accept()[0] as sock:
                sock.sendall(json.dumps(found).encode())

        threading.Thread(target=tell, daemon=True).start()

    async def drain(self, grace_s: float) -> None: ...


def _try_all(run: str, wanted: dict[str, str], found: dict[str, str]) -> None:
    attempts: dict[str, Callable[[], object]] = {
        "read accounts": lambda: os.open(wanted["accounts"], os.O_RDONLY),
        "read mail": lambda: os.open(wanted["mail"], os.O_RDONLY),
        "list mail": lambda: os.listdir(os.path.dirname(wanted["mail"])),
        "write": lambda: os.open(wanted["mail"] + ".new", os.O_WRONLY | os.O_CREAT),
        "read another's memory": lambda: os.open(f"/proc/{wanted['local']}/mem", os.O_RDONLY),
        "start a program": lambda: subprocess.run(["/bin/true"], check=True),
        "fork": os.fork,
        "trace": lambda: _trace(int(wanted["local"])),
        "mailbox without a pass": lambda: _ask(run, "local.mailboxes", OpenMailbox(1, "joe@box.test", b"")),
        "mailbox with another's pass": lambda: _ask(
            run, "local.mailboxes", OpenMailbox(1, "joe@box.test", bytes.fromhex(wanted["pass"]))
        ),
        "mailbox by path": lambda: _ask(
            run, "local.mailboxes", OpenMailbox(1, "../box.test/joe@box.test", bytes.fromhex(wanted["pass"]))
        ),
        "worker": lambda: _ask(run, "local.workers", StartWorker(1, "mailboxes")),
        "worker at the door of mailboxes": lambda: _ask(run, "local.mailboxes", StartWorker(1, "mailboxes")),
        "lookup": lambda: _ask(run, "local.lookup", Lookup(1, b"joe@box.test")),
        "send mail": lambda: _ask(run, "queue.intake", Submit(1, b"", (b"joe@box.test",), b"", b"x\n", 2, "pop3")),
        "end others": lambda: os.kill(int(wanted["local"]), signal.SIGTERM),
    }
    for name in wanted["only"].split(",") if wanted["only"] else attempts:
        try:
            attempts[name]()
        except (OSError, EOFError, subprocess.SubprocessError) as error:
            found[name] = type(error).__name__
        else:
            found[name] = "done"


def _trace(pid: int) -> None:
    libc = ctypes.CDLL(None, use_errno=True)
    if libc.ptrace(_PTRACE_ATTACH, pid, None, None):
        raise OSError(ctypes.get_errno(), "ptrace")


def _ask(run: str, door: str, frame: msgspec.Struct) -> None:
    """Ask; EOFError where nobody listens to us, PermissionError where the answer is no."""
    with socket.socket(socket.AF_UNIX) as sock:
        sock.settimeout(10)
        sock.connect(f"{run}/{door}")
        sock.sendall(encode(Hello(VERSION, "pop3")) + encode(frame))
        data = sock.recv(4096)
    if not data:
        raise EOFError
    if b"refused" in data:
        raise PermissionError


if __name__ == "__main__":
    run_role("pop3", Pop3Settings, Hostile)
