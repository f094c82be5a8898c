"""The queue's control socket, for programs that show the queue: one question, one answer."""

from typing import Any

import msgspec

from paperpath.inject.places import NoConfiguration, find_places
from paperpath.system import asking
from paperpath.wire import control
from paperpath.wire.frame import FrameError

_answers = msgspec.msgpack.Decoder(control.FromQueue)


class NoAnswer(Exception):
    """The queue cannot be asked; the text says why."""


def ask(question: msgspec.Struct) -> Any:
    """Return the queue's answer.  Raises NoAnswer."""
    try:
        answer = asking.ask(f"{find_places().run}/queue.control", question, _answers)
    except NoConfiguration as error:
        raise NoAnswer(str(error)) from None
    except (OSError, FrameError, msgspec.MsgspecError) as error:
        words = (error.strerror or error) if isinstance(error, OSError) else error
        raise NoAnswer(f"unable to ask the queue: {words}") from None
    if answer is None:
        raise NoAnswer("the queue hung up; only root and the server's users may look into it")
    return answer
