"""What the helpers of `auth` have in common: questions come at a door, each is judged in a thread, and is answered."""

import socket
from collections.abc import Callable, Collection
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from typing import Any, Generic, TypeVar

import msgspec

from paperpath.base.text import describe
from paperpath.process.child import Listeners
from paperpath.process.doors import Doors
from paperpath.system.channel import Channel
from paperpath.system.threads import in_thread
from paperpath.wire.frame import Hello
from paperpath.wire.outside import OUTSIDE_FRAME_MOST_BYTES, CheckBearer, Checked, CheckOutside

_AT_ONCE = 4
_WAITING_MOST = 100
"""Questions that wait for a thread: more can only be guesses."""

Q = TypeVar("Q", CheckOutside, CheckBearer)


class Answering(Generic[Q]):
    """Answers questions of one kind."""

    def __init__(self, frames: Any, name: str) -> None:
        """``frames``: the union of what may come."""
        self._frames = frames
        self._threads = ThreadPoolExecutor(max_workers=_AT_ONCE, thread_name_prefix=name)
        self._waiting = 0
        self._judge: Callable[[Q], Checked]
        self._doors = Doors()
        self._channels: set[Channel] = set()

    def serve(self, listeners: Listeners, users: Collection[int], judge: Callable[[Q], Checked]) -> None:
        """Answer these users from now on by ``judge``, which is called in a thread and raises nothing."""
        self._judge = judge
        self._doors.serve(listeners, {name: (users, self._connected) for name, _ in listeners})

    def close(self) -> None:
        """Answer nobody any more; what is being judged is let go."""
        self._doors.close()
        for channel in list(self._channels):
            channel.flush()
            channel.close()
        self._threads.shutdown(wait=False, cancel_futures=True)

    def _connected(self, sock: socket.socket) -> None:
        def take(frame: Hello | Q, _descriptor: int | None) -> None:
            self._asked(channel, frame)

        def ended(_reason: str) -> None:
            self._channels.discard(channel)

        channel: Channel = Channel(sock, self._frames, take, ended, frame_most_bytes=OUTSIDE_FRAME_MOST_BYTES)
        self._channels.add(channel)

    def _asked(self, channel: Channel, frame: Hello | Q) -> None:
        if isinstance(frame, Hello):
            return
        if self._waiting >= _WAITING_MOST:
            channel.send(Checked(frame.ticket, "unknown", reason="too many logins wait"))
            return
        self._waiting += 1
        in_thread(self._threads, partial(self._judge, frame), partial(self._answered, channel, frame.ticket))

    def _answered(self, channel: Channel, ticket: int, result: Checked | Exception) -> None:
        self._waiting -= 1
        checked = Checked(0, "unknown", reason=describe(result)) if isinstance(result, Exception) else result
        channel.send(msgspec.structs.replace(checked, ticket=ticket))
