"""The conversation with `queue`, or another process, on its control socket: one connection, one request, one answer."""

import socket
from typing import Any

import msgspec

from paperpath.cli.faults import Fault, TemporaryFault
from paperpath.process.troubles import read_troubles
from paperpath.wire import control
from paperpath.wire.frame import VERSION, FrameBuffer, FrameError, Hello, encode

_TIMEOUT_S = 60.0
"""Silence after which we give up; an operation on a long queue is the slowest answer."""
_READ_BYTES = 256 * 1024
_START = "start the server with `paperpath serve`, or name the right --config"

_queue_answers = msgspec.msgpack.Decoder(control.FromQueue)


def ask(path: str, request: msgspec.Struct) -> control.FromQueue:
    """Send one request to the queue at the socket ``path`` and return its answer.

    Raises what ``converse`` raises; TemporaryFault where the queue says that it cannot, Fault where the message is not
    there.
    """
    answer: control.FromQueue = converse(path, request, _queue_answers, "the queue")
    return _judged(answer)


def converse(path: str, request: msgspec.Struct, answers: "msgspec.msgpack.Decoder[Any]", who: str) -> Any:
    """Send one request to the process at the socket ``path`` and return its answer.

    Raises TemporaryFault where the server does not run or does not answer, Fault where this user may not ask.
    """
    run, _, name = path.rpartition("/")
    if how := read_troubles(run).get(name.partition(".")[0]):
        # Its socket takes whoever comes, and nobody is there.
        raise TemporaryFault(f"{who} does not run, it keeps ending: {how}; the log tells more")
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as sock:
        sock.settimeout(_TIMEOUT_S)
        try:
            sock.connect(path)
            sock.sendall(encode(Hello(VERSION, "operator")) + encode(request))
            answer = _answer(sock, answers, who)
        except (FileNotFoundError, ConnectionRefusedError):
            raise TemporaryFault(f"the server does not run: nobody listens on {path}; {_START}") from None
        except PermissionError:
            raise Fault(f"you may not operate {who} at {path}; become root or the server's user") from None
        except TimeoutError:
            raise TemporaryFault(f"{who} at {path} has not answered for {_TIMEOUT_S:.0f} s; try again") from None
        except (ConnectionResetError, BrokenPipeError):
            answer = None
    if answer is None:
        # It hangs up on users who are not its operators, and when it ends.
        raise TemporaryFault(
            f"{who} at {path} hung up; either you may not operate it (become root or the server's user)"
            " or the server is just stopping"
        )
    return answer


def _answer(sock: socket.socket, answers: "msgspec.msgpack.Decoder[Any]", who: str) -> Any:
    """Return the first frame that comes, or None where the conversation ends without one."""
    frames = FrameBuffer()
    while data := sock.recv(_READ_BYTES):
        try:
            for body in frames.feed(data):
                return answers.decode(body)
        except (FrameError, msgspec.MsgspecError):
            raise TemporaryFault(
                f"the answer of {who} is not understood; it may run another version: restart it"
            ) from None
    return None


def _judged(answer: control.FromQueue) -> control.FromQueue:
    if isinstance(answer, control.Trouble):
        raise TemporaryFault(f"the queue could not do it: {answer.reason}")
    if isinstance(answer, control.NoSuchMessage):
        from paperpath.base.ids import show_id

        raise Fault(
            f"message {show_id(answer.message)} is not in the queue; it may have been delivered, failed or removed:"
            " the log knows"
        )
    return answer
