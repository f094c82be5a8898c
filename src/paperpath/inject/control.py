"""The queue's control socket, for programs that show the queue: one question, one answer."""

import socket
from typing import Any

import msgspec

from paperpath.inject.places import NoConfiguration, find_places
from paperpath.wire import control
from paperpath.wire.frame import VERSION, FrameBuffer, FrameError, Hello, encode

_TIMEOUT_S = 60.0
_READ_BYTES = 256 * 1024
_decoder = msgspec.msgpack.Decoder(control.FromQueue)


class NoAnswer(Exception):
    """The queue cannot be asked; the text says why."""


def ask(request: msgspec.Struct) -> Any:
    """Return the queue's answer.  Raises NoAnswer."""
    try:
        path = f"{find_places().run}/queue.control"
        with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as sock:
            sock.settimeout(_TIMEOUT_S)
            sock.connect(path)
            sock.sendall(encode(Hello(VERSION, "operator")) + encode(request))
            return _answer(sock)
    except NoConfiguration as error:
        raise NoAnswer(str(error)) from None
    except (OSError, FrameError, msgspec.MsgspecError) as error:
        words = (error.strerror or error) if isinstance(error, OSError) else error
        raise NoAnswer(f"unable to ask the queue: {words}") from None


def _answer(sock: socket.socket) -> control.FromQueue:
    frames = FrameBuffer()
    while data := sock.recv(_READ_BYTES):
        for body in frames.feed(data):
            found: control.FromQueue = _decoder.decode(body)
            return found
    raise NoAnswer("the queue hung up; only root and the server's users may look into it")
