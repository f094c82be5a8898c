"""One question to a process of ours, and its answer: for commands, which have nothing else to do meanwhile."""

import socket
from typing import Any

import msgspec

from paperpath.wire.frame import VERSION, FrameBuffer, Hello, encode

TIMEOUT_S = 60.0
"""Silence after which we give up; an operation on a long queue is the slowest answer."""
_READ_BYTES = 256 * 1024


def ask(path: str, question: msgspec.Struct, answers: "msgspec.msgpack.Decoder[Any]") -> Any:
    """Return the answer of the process that listens at ``path``; None where it hangs up.

    It hangs up on users who are not its operators, and when it ends.  Raises OSError, FrameError and MsgspecError.
    """
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as sock:
        sock.settimeout(TIMEOUT_S)
        sock.connect(path)
        frames = FrameBuffer()
        try:
            sock.sendall(encode(Hello(VERSION, "operator")) + encode(question))
            while data := sock.recv(_READ_BYTES):
                for body in frames.feed(data):
                    return answers.decode(body)
        except (ConnectionResetError, BrokenPipeError):
            pass
    return None
