"""The conversation with `queue`, or another process, on its control socket: one connection, one request, one answer."""

from typing import Any, TypeVar

import msgspec

from paperpath.cli.faults import Fault, TemporaryFault
from paperpath.process.troubles import read_troubles
from paperpath.system import asking
from paperpath.wire import control
from paperpath.wire.frame import FrameError

T = TypeVar("T")

_START = "start the server with `paperpath serve`, or name the right --config"
_ANOTHER_VERSION = "it may run another version: restart it"

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
    try:
        answer = asking.ask(path, request, answers)
    except (FileNotFoundError, ConnectionRefusedError):
        raise TemporaryFault(f"the server does not run: nobody listens on {path}; {_START}") from None
    except PermissionError:
        raise Fault(f"you may not operate {who} at {path}; become root or the server's user") from None
    except TimeoutError:
        raise TemporaryFault(f"{who} at {path} has not answered for {asking.TIMEOUT_S:.0f} s; try again") from None
    except (FrameError, msgspec.MsgspecError):
        raise TemporaryFault(f"the answer of {who} is not understood; {_ANOTHER_VERSION}") from None
    if answer is None:
        raise TemporaryFault(
            f"{who} at {path} hung up; either you may not operate it (become root or the server's user)"
            " or the server is just stopping"
        )
    return answer


def expect(kind: type[T], answer: object, who: str = "the queue") -> T:
    """Return the answer where it is one of the kind that was asked for.  Raises Fault."""
    if not isinstance(answer, kind):
        raise Fault(f"{who} gave an answer to another question; {_ANOTHER_VERSION}")
    return answer


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
