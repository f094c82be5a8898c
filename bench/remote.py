"""How fast `remote` hands mail to another server: rate, and CPU time of the process for a message.

    python -m bench.remote [--messages 5000] [--size 4096] [--recipients 1] [--jobs 20]

A stand-in for the queue keeps ``--jobs`` jobs under way, all to one destination, where Postfix's `smtp-sink` throws
them away.  The process is the real one, started as the supervisor starts it.
"""

import argparse
import asyncio
import os
import shutil
import socket
import subprocess
import sys
import tempfile
import time
from collections import Counter
from pathlib import Path

import msgspec

from paperpath.base.outcome import Delivered
from paperpath.config.routing import RoutingTable
from paperpath.process.settings import RemoteSettings
from paperpath.system.channel import Channel, serve_channels
from paperpath.wire.delivery import FromAgent, Job, Report, Target
from paperpath.wire.supervision import Configure, Drain, FromChild

_START = (
    "import sys; sys.path.insert(0, sys.argv.pop(1));"
    "import runpy; runpy.run_module('paperpath.remote', run_name='__main__')"
)
_SOURCE = str(Path(__file__).resolve().parent.parent / "src")


def free_port() -> int:
    """Return a port that nobody listens on just now."""
    with socket.socket() as sock:
        sock.bind(("127.0.0.1", 0))
        return int(sock.getsockname()[1])


def settings(run: str) -> RemoteSettings:
    """Return settings as the supervisor would cut them."""
    routing = RoutingTable(b"client.test", frozenset(), frozenset(), {}, frozenset(), {})
    return RemoteSettings(
        hostname="client.test",
        run=run,
        log_as_json=False,
        helo="client.test",
        connect_timeout_s=10,
        resolver="127.0.0.1:1",
        port=25,
        tls="opportunistic",
        connections_most=100,
        routing=routing,
    )


def cpu_s(pid: int) -> float:
    """Return the CPU time that a process has used."""
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def wait_until_open(port: int) -> None:
    """Return when somebody accepts connections on the port."""
    until = time.monotonic() + 10
    while time.monotonic() < until:
        try:
            socket.create_connection(("127.0.0.1", port), 1).close()
        except OSError:
            time.sleep(0.02)
        else:
            return
    sys.exit("smtp-sink does not start")


class Feeder:
    """The queue's side: keeps so many jobs under way until all are reported."""

    def __init__(self, arguments: argparse.Namespace, route: str) -> None:
        self._left = self._open = 0
        self._jobs = arguments.jobs
        self._total = arguments.messages
        self._number = 0
        line = b"The quick brown fox jumps over the lazy dog, and then once more.\n"
        content = b"Subject: bench\n\n" + line * max(1, (arguments.size - 16) // len(line))
        targets = tuple(Target(number, b"u%d@sink.test" % number) for number in range(arguments.recipients))
        trace = b"Received: from bench by client.test; Thu, 1 Jan 1970 00:00:00 +0000\n"
        self._job = Job(1, 1, b"sender@client.test", targets, trace, content, len(content), "sink.test", route)
        self.results: Counter[str] = Counter()
        self.done = asyncio.Event()
        self._channel: Channel | None = None

    def connected(self, sock: socket.socket) -> None:
        self._channel = Channel(sock, FromAgent, self._took, lambda _: self.done.set())

    def _took(self, frame: msgspec.Struct, _descriptor: int | None) -> None:
        if isinstance(frame, Report):
            self._open -= 1
            for result in frame.results:
                self.results[type(result.outcome).__name__] += 1
                if not isinstance(result.outcome, Delivered):
                    self.results[result.outcome.text] += 1
            if self._number == self._total and not self._open:
                self.done.set()
        while self._open < self._jobs and self._number < self._total:
            self._number += 1
            self._open += 1
            assert self._channel is not None
            self._channel.send(msgspec.structs.replace(self._job, job=self._number))


async def measure(arguments: argparse.Namespace, run: str, route: str) -> None:
    """Start the process, feed it, print what it took."""
    listener = socket.socket(socket.AF_UNIX)
    listener.bind(f"{run}/queue.remote")
    listener.listen()
    feeder = Feeder(arguments, route)
    serve_channels(listener, feeder.connected)
    ours, theirs = socket.socketpair()
    command = [sys.executable, "-I", "-c", _START, _SOURCE, str(theirs.fileno())]
    process = subprocess.Popen(command, pass_fds=[theirs.fileno()])
    theirs.close()
    ready = asyncio.Event()
    ended = asyncio.Event()
    control = Channel(ours, FromChild, lambda frame, _: ready.set(), lambda _: ended.set())
    control.send(Configure(msgspec.msgpack.encode(settings(run))))
    await ready.wait()
    cpu_before, before = cpu_s(process.pid), time.monotonic()
    await feeder.done.wait()
    elapsed, cpu = time.monotonic() - before, cpu_s(process.pid) - cpu_before
    memory = next(line for line in Path(f"/proc/{process.pid}/smaps_rollup").read_text().splitlines() if "Pss:" in line)
    messages, recipients = arguments.messages, arguments.messages * arguments.recipients
    print(f"{messages / elapsed:8.0f} messages/s {recipients / elapsed:8.0f} recipients/s", end="")
    print(f" {cpu / messages * 1e6:6.0f} us CPU a message   {dict(feeder.results)}   {' '.join(memory.split())}")
    control.send(Drain(5.0))
    await ended.wait()
    process.wait()


def main() -> None:
    """Run the sink and the measurement."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--messages", type=int, default=5000)
    parser.add_argument("--size", type=int, default=4096)
    parser.add_argument("--recipients", type=int, default=1)
    parser.add_argument("--jobs", type=int, default=20)
    arguments = parser.parse_args()
    sink = shutil.which("smtp-sink", path="/usr/sbin:/usr/bin:/usr/local/sbin")
    if sink is None:
        sys.exit("smtp-sink is missing: apt-get install postfix")
    port = free_port()
    as_nobody = ["-u", "nobody"] if os.geteuid() == 0 else []
    server = subprocess.Popen([sink, *as_nobody, f"127.0.0.1:{port}", "100"])
    try:
        wait_until_open(port)
        with tempfile.TemporaryDirectory() as run:
            asyncio.run(measure(arguments, run, f"smtp://127.0.0.1:{port}"))
    finally:
        server.terminate()
        server.wait()


if __name__ == "__main__":
    main()
