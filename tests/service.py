"""A real Paperpath service for tests: `paperpath init`, then `paperpath serve`, in a folder of its own.

    with running_service(settings={"queue": {"lifetime": 0}}) as service:
        service.send("from@there.test", [ACCOUNT], "Subject: x\n\ny\n")
        service.wait_for("delivery.delivered", recipient=ACCOUNT)
        assert len(service.messages(ACCOUNT)) == 1

All processes of a service write their log to one pipe, which tells three things without sleeping: what happened (the
lines), when everything has ended (the end of the pipe), and which processes belong to it (those that hold the pipe).
Deadlines here only end a wait that would never end; no test is about how long something took.
"""

import json
import os
import random
import re
import shutil
import signal
import smtplib
import socket
import subprocess
import sys
import tempfile
import threading
import time
import tomllib
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any, BinaryIO, Final, TypeVar

PATIENCE_S: Final = 45.0
HOSTNAME: Final = "mx.here.test"
ACCOUNT: Final = "user@here.test"

_PROGRAM: Final = Path(sys.executable).parent / "paperpath"
_PORTS: Final = range(12_000, 32_000)
"""Below the range that the kernel takes ports for connections from (ip_local_port_range)."""

_MANAGER: Final = """
import os, sys
given = [os.dup2(int(number), 200 + at) for at, number in enumerate(sys.argv[1].split(","))]
for at, number in enumerate(given):
    os.dup2(number, 3 + at)
os.environ["LISTEN_PID"] = str(os.getpid())
os.closerange(3 + len(given), 300)
os.execv(sys.argv[2], sys.argv[2:])
"""
"""What hands sockets over as systemd does: from descriptor 3 on, to the process that serves."""

T = TypeVar("T")

Line = dict[str, Any]
Settings = Mapping[str, Any]


def free_port() -> int:
    """Return a port of the loopback that nobody listens on."""
    while True:
        port = random.SystemRandom().choice(_PORTS)
        with socket.socket() as probe:
            try:
                probe.bind(("127.0.0.1", port))
            except OSError:
                continue
            return port


class Service:
    """One configuration with its state, and the service that runs on it, or does not between ``stop`` and ``start``."""

    program: Sequence[str | Path] = (_PROGRAM,)
    """How it is called."""

    def __init__(self, folder: Path, accounts: Sequence[str], settings: Settings) -> None:
        self.folder, self.port = folder, free_port()
        self.config = folder / "paperpath.toml"
        self.log: list[Line] = []
        """Every line of every start so far."""
        self.stray: list[str] = []
        """What came on standard error and is no line of the log."""
        self.held: dict[str, socket.socket] = {}
        """Listening sockets by service, which a service manager holds and hands over with each start."""
        self._changed = threading.Condition()
        self._process: subprocess.Popen[bytes] | None = None
        self._reader: threading.Thread | None = None
        self._pipe = ""
        self.init(accounts)
        self.configure({"log": {"format": "json"}, "stop": {"grace": 10}})
        self.configure(settings)

    # Its configuration

    def init(self, accounts: Sequence[str]) -> None:
        """Make the file, the folders and the accounts."""
        named = [word for account in accounts for word in ("--account", account)]
        self.run("init", str(self.folder), *self.init_options(), *named, config=False)

    def init_options(self) -> tuple[str, ...]:
        """Return what every `paperpath init` here is told."""
        return ("--hostname", HOSTNAME, "--listen", f"smtp=127.0.0.1:{self.port}")

    def configure(self, settings: Settings) -> None:
        """Change the file: tables are merged, everything else is replaced."""
        file = self.config_file()
        file.write_text(_toml(_merged(tomllib.loads(file.read_text()), settings)))

    def config_file(self) -> Path:
        """Return where the test finds the file; the service may see it elsewhere."""
        return self.config

    def run(self, *words: str, config: bool = True, expect: int = 0) -> str:
        """Run ``paperpath WORDS``; return what it printed, on standard error where it was to fail."""
        option = ["--config", str(self.config)] if config else []
        call = [*self.program, *words, *option]
        done = subprocess.run(call, stdin=subprocess.DEVNULL, capture_output=True, text=True, timeout=PATIENCE_S)
        assert done.returncode == expect, f"paperpath {words}: {done.returncode}\n{done.stderr}"
        return done.stderr if expect else done.stdout

    def queue(self, *words: str) -> Any:
        """Run ``paperpath queue WORDS --json``; return what it said."""
        return json.loads(self.run("queue", *words, "--json"))

    # Its life

    def start(self) -> None:
        """Start it and wait until it serves."""
        since = self.mark()
        reading, writing = os.pipe()
        self._pipe = f"pipe:[{os.fstat(writing).st_ino}]"
        descriptors = [sock.fileno() for sock in self.held.values()]
        manager = [sys.executable, "-c", _MANAGER, ",".join(map(str, descriptors))] if descriptors else []
        self._process = subprocess.Popen(
            [*manager, *self.program, "serve", "--config", self.config],
            pass_fds=descriptors,
            env={**os.environ, "LISTEN_FDS": str(len(descriptors)), "LISTEN_FDNAMES": ":".join(self.held)},
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            stderr=writing,
            start_new_session=True,
        )
        os.close(writing)
        reader = threading.Thread(target=self._read, args=(os.fdopen(reading, "rb"),), daemon=True)
        reader.start()
        self._reader = reader  # one that lives: another thread may be waiting for a line meanwhile
        self.wait_for("service.ready", since=since)

    def stop(self) -> None:
        """End it with TERM: exit 0 is expected, and that nobody is left."""
        self.signal(signal.SIGTERM)
        self.ended()

    def ended(self, expect: int = 0) -> None:
        """Wait until all of it has ended by itself, the supervisor with this status."""
        assert self._process is not None and self._reader is not None
        status = self._process.wait(PATIENCE_S)
        self._reader.join(PATIENCE_S)
        assert not self._reader.is_alive(), f"left behind: {self.processes()}"
        self._process = None
        assert status == expect, f"exit {status}\n{self.tail()}"

    def kill(self) -> None:
        """End every process of it at once, the supervisor first."""
        if self._process is None or self._reader is None:
            return
        self._process.kill()
        self._process.wait()
        while self._reader.is_alive():
            for pid in self.processes():
                _kill(pid)
            self._reader.join(0.02)
        self._process = None

    def kill_supervisor(self) -> None:
        """End the supervisor alone; the others see that, and end by themselves when nothing is under way."""
        assert self._process is not None
        self._process.kill()
        self._process.wait()

    def signal(self, number: signal.Signals) -> None:
        """Send the supervisor a signal."""
        assert self._process is not None
        self._process.send_signal(number)

    def reload(self) -> Line:
        """Send HUP; return the line that tells what came of it."""
        since = self.mark()
        self.signal(signal.SIGHUP)
        return self.wait_until(
            lambda: next((line for line in self.log[since:] if line["event"] in _RELOADS), None), "an answer to HUP"
        )

    # Its processes

    def processes(self) -> dict[int, str]:
        """Return the living processes by id, each with the module that it runs."""
        found = {}
        for entry in Path("/proc").iterdir():
            if entry.name.isdigit():
                try:
                    if os.readlink(entry / "fd" / "2") == self._pipe:
                        words = (entry / "cmdline").read_bytes().split(b"\0")
                        found[int(entry.name)] = _module(words)
                except OSError:
                    continue
        return found

    def pid_of(self, role: str) -> int:
        """Return the id of the process started last in this role: ``queue``, ``receive`` (any of several) …"""
        names = re.compile(rf"{re.escape(role)}(-\d+)?")
        for line in reversed(self.log):
            if line["event"] == "process.started" and names.fullmatch(line["role"]):
                return int(line["pid"])
        raise AssertionError(f"no {role} was started")

    # Its log

    def mark(self) -> int:
        """Return where the log ends now, for ``since``."""
        return len(self.log)

    def events(self, event: str, *, since: int = 0, **fields: object) -> list[Line]:
        """Return the lines of this event with these fields."""
        return [line for line in self.log[since:] if _matches(line, event, fields)]

    def wait_for(self, event: str, *, since: int = 0, count: int = 1, **fields: object) -> Line:
        """Wait for the ``count``-th line of this event with these fields, and return it."""

        def there() -> Line | None:
            found = self.events(event, since=since, **fields)
            return found[count - 1] if len(found) >= count else None

        return self.wait_until(there, f"{event} {fields}")

    def wait_until(self, look: Callable[[], T | None], what: str) -> T:
        """Wait until ``look``, called after each new line, returns something true; return that."""
        end = time.monotonic() + PATIENCE_S
        with self._changed:
            while not (found := look()):
                running = self._reader is not None and self._reader.is_alive()
                if not running or time.monotonic() > end:
                    raise AssertionError(f"{what} did not come; the log ends with\n{self.tail()}")
                self._changed.wait(1.0)
            return found

    def tail(self) -> str:
        """Return the end of the log, to be shown."""
        return "\n".join([json.dumps(line) for line in self.log[-25:]] + self.stray[-60:])

    def check_log(self) -> None:
        """Fail where it reported a defect of its own, or anything printed something that is no line of the log."""
        broken = self.events("process.broken")
        assert not broken and not self.stray, f"{broken}\n" + "\n".join(self.stray)

    # Its mail

    def maildir(self, address: str) -> Path:
        """Return the Maildir of an account."""
        local, _, domain = address.rpartition("@")
        return self.folder / "state" / "mail" / domain / local / "Maildir"

    def messages(self, address: str) -> list[Path]:
        """Return the new messages of an account."""
        return sorted((self.maildir(address) / "new").iterdir())

    def message(self, address: str, text: str) -> bytes:
        """Return the only new message of an account that contains ``text``."""
        contents = [path.read_bytes() for path in self.messages(address)]
        (found,) = [content for content in contents if text.encode() in content]
        return found

    def wait_done(self, reply: str | bytes) -> None:
        """Wait until the message that was acknowledged so has left the queue."""
        found = re.search(r"Accepted as (\S+)", reply if isinstance(reply, str) else reply.decode())
        assert found, reply
        self.wait_for("message.done", message=found[1])

    def client(self) -> smtplib.SMTP:
        """Return a client that has read the greeting."""
        return smtplib.SMTP("127.0.0.1", self.port, local_hostname="client.test", timeout=PATIENCE_S)

    def send(self, sender: str, recipients: Sequence[str], message: str) -> None:
        """Send one message on a connection of its own."""
        with self.client() as client:
            refused = client.sendmail(sender, recipients, message)
        assert not refused, refused

    def queue_empty(self) -> bool:
        """Tell whether nothing is left in the queue."""
        return int(self.queue("stats")["messages"]) == 0

    def _read(self, pipe: BinaryIO) -> None:
        with pipe:
            for raw in pipe:
                self._take(raw.decode(errors="backslashreplace").rstrip("\n"))
        with self._changed:
            self._changed.notify_all()

    def _take(self, text: str) -> None:
        try:
            line = json.loads(text)
        except ValueError:
            line = None
        with self._changed:
            if isinstance(line, dict) and "event" in line:
                self.log.append(line)
            else:
                self.stray.append(text)
            self._changed.notify_all()


@contextmanager
def running_service(
    *, accounts: Sequence[str] = (ACCOUNT,), settings: Settings | None = None, start: bool = True
) -> Iterator[Service]:
    """Run a service in a new folder; afterwards nothing of it is left.  Its log must be free of defects."""
    # Sockets lie below: their paths are bounded to 107 bytes, and pytest's own folders are long.
    folder = Path(tempfile.mkdtemp(prefix="pp", dir="/tmp"))
    service = None
    try:
        service = Service(folder, accounts, settings or {})
        if start:
            service.start()
        yield service
        service.check_log()
    except BaseException:
        if service is not None:
            print(f"the log ends with\n{service.tail()}")
        raise
    finally:
        if service is not None:
            service.kill()
        shutil.rmtree(folder)


_RELOADS: Final = ("service.reloaded", "service.reload-refused")


def _matches(line: Line, event: str, fields: Mapping[str, object]) -> bool:
    return line["event"] == event and all(line.get(name) == value for name, value in fields.items())


def _module(words: Sequence[bytes]) -> str:
    found = [word.decode() for word in words if word.startswith(b"paperpath.")]
    return found[0].removeprefix("paperpath.") if found else "supervise"


def _kill(pid: int) -> None:
    try:
        os.kill(pid, signal.SIGKILL)
    except ProcessLookupError:
        pass


def _merged(old: Mapping[str, Any], new: Mapping[str, Any]) -> dict[str, Any]:
    merged = dict(old)
    for name, value in new.items():
        merged[name] = _merged(old.get(name, {}), value) if isinstance(value, Mapping) else value
    return merged


def _toml(settings: Mapping[str, Any]) -> str:
    """Write settings as TOML: values, tables of values and of lists of tables, lists of tables."""
    plain, tables = [], []
    for name, value in settings.items():
        if isinstance(value, Mapping):
            deeper = {k: v for k, v in value.items() if isinstance(v, list) and v and isinstance(v[0], Mapping)}
            flat = "".join(f"{json.dumps(k)} = {json.dumps(v)}\n" for k, v in value.items() if k not in deeper)
            tables += [f"\n[{name}]\n{flat}", _toml({f"{name}.{k}": v for k, v in deeper.items()})]
        elif isinstance(value, list) and value and isinstance(value[0], Mapping):
            tables += [f"\n[[{name}]]\n" + "".join(f"{k} = {json.dumps(v)}\n" for k, v in one.items()) for one in value]
        else:
            plain.append(f"{name} = {json.dumps(value)}\n")
    return "".join(plain + tables)
