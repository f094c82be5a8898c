"""A small SMTP server for tests: remembers what it took, and refuses what it is told to refuse."""

import re
import socketserver
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any, Final

_ADDRESS: Final = re.compile(rb"(?:FROM|TO):<([^>]*)>", re.IGNORECASE)

Verdict = Callable[[str, str], str]
"""Given a verb (``MAIL``, ``RCPT``, ``DATA``, ``.``) and its address, returns a refusal, or nothing to accept."""


@dataclass(frozen=True, slots=True)
class Taken:
    """One message that was answered with 250."""

    sender: str
    recipients: tuple[str, ...]
    content: bytes
    """As it came over the wire, without dots that were stuffed."""
    parameters: str
    """Those of MAIL."""


def accept(_verb: str, _address: str) -> str:
    """Refuse nothing."""
    return ""


@dataclass
class Sink:
    """What a running server took, and what it says no to (replace ``verdict`` at any time)."""

    port: int
    verdict: Verdict = accept
    extensions: tuple[str, ...] = ("PIPELINING", "8BITMIME", "SMTPUTF8", "SIZE 100000000")
    taken: list[Taken] = field(default_factory=list)
    connections: int = 0

    @property
    def route(self) -> str:
        """The next hop to it, for ``[routes]``."""
        return f"smtp://127.0.0.1:{self.port}"

    @property
    def contents(self) -> list[bytes]:
        """The content of every message."""
        return [message.content for message in self.taken]


class _Conversation(socketserver.StreamRequestHandler):
    server: "_Server"

    def handle(self) -> None:
        self.server.sink.connections += 1
        try:
            self._converse()
        except OSError:
            pass  # the client went, perhaps because a test killed it

    def _converse(self) -> None:
        self._sender, self._recipients, self._parameters, self._begun = "", list[str](), "", False
        self._say("220 sink.test")
        while line := self.rfile.readline(4096):
            verb = line.split(None, 1)[0].upper().decode("ascii", "replace") if line.strip() else ""
            if verb == "QUIT":
                self._say("221 2.0.0 Bye")
                return
            self._command(verb, line)

    def _command(self, verb: str, line: bytes) -> None:
        match verb:
            case "EHLO":
                names = ("sink.test", *self.server.sink.extensions)
                self._say("\r\n".join(f"250-{name}" for name in names[:-1]) + f"\r\n250 {names[-1]}")
            case "MAIL":
                self._sender, self._parameters = _address(line), line.partition(b">")[2].decode().strip()
                self._recipients.clear()
                self._begun = self._answer("MAIL", self._sender, "250 2.1.0 Fine")
            case "RCPT" if not self._begun:
                self._say("503 5.5.1 MAIL first")
            case "RCPT":
                if self._answer("RCPT", _address(line), "250 2.1.5 Fine"):
                    self._recipients.append(_address(line))
            case "DATA" if not self._recipients:
                self._say("554 5.5.1 No recipients")
            case "DATA":
                if self._answer("DATA", self._sender, "354 Go on"):
                    self._content()
            case "HELO" | "RSET" | "NOOP":
                self._say("250 2.0.0 Fine")
            case _:
                self._say("500 5.5.2 What?")

    def _content(self) -> None:
        lines = []
        while (line := self.rfile.readline()) != b".\r\n":
            if not line:
                raise ConnectionError("ended in the middle of a message")
            lines.append(line.removeprefix(b"."))
        sink = self.server.sink
        refusal = sink.verdict(".", self._sender)
        if not refusal:
            # Remembered before it is acknowledged: a client that goes in between has delivered it all the same.
            sink.taken.append(Taken(self._sender, tuple(self._recipients), b"".join(lines), self._parameters))
        self._say(refusal or "250 2.6.0 Taken")

    def _answer(self, verb: str, address: str, yes: str) -> bool:
        refusal = self.server.sink.verdict(verb, address)
        self._say(refusal or yes)
        return not refusal

    def _say(self, reply: str) -> None:
        self.wfile.write(reply.encode() + b"\r\n")


class _Server(socketserver.ThreadingTCPServer):
    daemon_threads = True
    block_on_close = False
    request_queue_size = 128
    allow_reuse_address = True
    sink: Sink

    def handle_error(self, request: Any, client_address: Any) -> None:
        raise


def _address(line: bytes) -> str:
    found = _ADDRESS.search(line)
    return found[1].decode() if found else ""


@contextmanager
def running_sink(port: int = 0) -> Iterator[Sink]:
    """Run one, on a port of its own unless one is named."""
    with _Server(("127.0.0.1", port), _Conversation) as server:
        server.sink = Sink(server.server_address[1])
        thread = threading.Thread(target=server.serve_forever, args=(0.02,), daemon=True)
        thread.start()
        try:
            yield server.sink
        finally:
            server.shutdown()
            thread.join()
