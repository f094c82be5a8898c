"""A tiny queue: it speaks the real frames on a real socket, and answers what the test says."""

import os
import socket
import threading
from collections.abc import Callable
from types import TracebackType
from typing import Any

import msgspec

from paperpath.wire.control import FromOperator
from paperpath.wire.frame import VERSION, FrameBuffer, Hello, encode

Answer = Callable[[msgspec.Struct], msgspec.Struct | bytes | None]
"""The answer to a request; bytes are sent as they are, None hangs up."""


class ControlServer:
    """Runs in a thread between `with` and its end; ``requests`` has what was asked, without the greetings."""

    def __init__(self, path: str, answer: Answer, requests: Any = FromOperator) -> None:
        self.requests: list[msgspec.Struct] = []
        self._answer, self._types = answer, requests
        self._listener = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        os.makedirs(os.path.dirname(path), exist_ok=True)
        self._listener.bind(path)
        self._listener.listen()
        self._path = path
        self._thread = threading.Thread(target=self._serve)

    def __enter__(self) -> "ControlServer":
        self._thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._listener.shutdown(socket.SHUT_RDWR)
        self._thread.join()
        self._listener.close()
        os.unlink(self._path)

    def _serve(self) -> None:
        while True:
            try:
                sock, _ = self._listener.accept()
            except OSError:
                return
            with sock:
                self._converse(sock)

    def _converse(self, sock: socket.socket) -> None:
        frames, decoder, greeted = FrameBuffer(), msgspec.msgpack.Decoder(self._types), False
        while data := sock.recv(65536):
            for body in frames.feed(data):
                frame = decoder.decode(body)
                if not greeted:
                    assert frame == Hello(VERSION, "operator")
                    greeted = True
                    continue
                self.requests.append(frame)
                answer = self._answer(frame)
                if answer is None:
                    return
                sock.sendall(answer if isinstance(answer, bytes) else encode(answer))
