"""A mail server that takes every CR and every LF for the end of a line, in commands and in content: who can smuggle
through somebody, can smuggle into this one."""

import re
import socketserver
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

_LINE = re.compile(rb"([^\r\n]*)(\r\n|\r(?=[^\n])|\n)")


@dataclass
class LenientSink:
    """What it saw."""

    port: int
    senders: list[bytes] = field(default_factory=list)
    """Of every message that it took for one."""
    contents: list[bytes] = field(default_factory=list)
    """Their lines, each with LF, dots unstuffed."""
    wire: bytes = b""
    """All that clients sent, of all connections."""

    @property
    def route(self) -> str:
        """The next hop to it, for ``[routes]``."""
        return f"smtp://127.0.0.1:{self.port}"


class _Conversation(socketserver.BaseRequestHandler):
    server: "_Server"

    def handle(self) -> None:
        self._buffer = b""
        self._say("220 lenient.test")
        sender = b""
        while (line := self._line()) is not None:
            verb = line[:4].upper()
            if verb == b"MAIL":
                sender = line[10:].partition(b">")[0].strip(b"<: ")
            elif verb == b"DATA":
                self._say("354 Go on")
                self._content(sender)
                continue
            elif verb == b"QUIT":
                self._say("221 Bye")
                return
            self._say("250 Fine")

    def _content(self, sender: bytes) -> None:
        lines = []
        while (line := self._line()) not in (b".", None):
            assert line is not None
            lines.append(line.removeprefix(b".") + b"\n")
        with self.server.lock:
            self.server.sink.senders.append(sender)
            self.server.sink.contents.append(b"".join(lines))
        self._say("250 Taken")

    def _line(self) -> bytes | None:
        while (found := _LINE.match(self._buffer)) is None:
            data = self.request.recv(65536)
            if not data:
                return None
            with self.server.lock:
                self.server.sink.wire += data
            self._buffer += data
        self._buffer = self._buffer[found.end() :]
        return found[1]

    def _say(self, reply: str) -> None:
        self.request.sendall(reply.encode() + b"\r\n")


class _Server(socketserver.ThreadingTCPServer):
    daemon_threads = True
    block_on_close = False
    sink: LenientSink
    lock = threading.Lock()

    def handle_error(self, request: Any, client_address: Any) -> None:
        raise


@contextmanager
def running_lenient_sink() -> Iterator[LenientSink]:
    """Run one on a port of its own."""
    with _Server(("127.0.0.1", 0), _Conversation) as server:
        server.sink = LenientSink(server.server_address[1])
        thread = threading.Thread(target=server.serve_forever, args=(0.02,), daemon=True)
        thread.start()
        try:
            yield server.sink
        finally:
            server.shutdown()
            thread.join()
