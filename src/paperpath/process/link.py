"""A conversation with another process that is kept up: connected by path, connected again when it ends.

The sockets are the supervisor's, so they outlive the process behind them; a connection made while that process is
being started again waits in the listener's line.
"""

import asyncio
import socket
from collections.abc import Callable
from typing import Any

import msgspec

from paperpath.system.channel import Channel, OnFrame, connect
from paperpath.wire.frame import VERSION, Hello

_AGAIN_FIRST_S = 0.05
_AGAIN_MOST_S = 2.0


class Link:
    """One end that connects.  ``on_up`` is called after each connection is made, ``on_down`` after each is lost."""

    def __init__(
        self,
        path: str,
        role: str,
        types: Any,
        on_frame: OnFrame,
        *,
        on_up: Callable[[], None] = lambda: None,
        on_down: Callable[[], None] = lambda: None,
    ) -> None:
        self._path, self._role, self._types, self._on_frame = path, role, types, on_frame
        self._on_up, self._on_down = on_up, on_down
        self._channel: Channel | None = None
        self._ended = asyncio.Event()
        self._task = asyncio.create_task(self._keep_up())

    @property
    def pending_bytes(self) -> int:
        """Bytes that wait for the other process to read."""
        return 0 if self._channel is None else self._channel.pending_bytes

    def send(self, frame: msgspec.Struct, descriptor: int | None = None) -> bool:
        """Send a frame; False where there is no conversation now, and nothing was sent."""
        if self._channel is None:
            return False
        self._channel.send(frame, descriptor)
        return True

    def close(self) -> None:
        """End the conversation for good."""
        self._task.cancel()
        if self._channel is not None:
            self._channel.close()

    async def _keep_up(self) -> None:
        pause = _AGAIN_FIRST_S
        while True:
            try:
                sock = await connect(self._path)
            except OSError:
                begun = False
            else:
                begun = self._begin(sock)
                await self._ended.wait()
            if begun:
                pause = _AGAIN_FIRST_S
            await asyncio.sleep(pause)
            if not begun:
                pause = min(pause * 2, _AGAIN_MOST_S)

    def _begin(self, sock: socket.socket) -> bool:
        """Begin a conversation; one whose beginning fails here is ended, and False returned: a later may succeed."""
        self._ended.clear()
        channel = self._channel = Channel(sock, self._types, self._on_frame, self._lost)
        try:
            channel.send(Hello(VERSION, self._role))
            self._on_up()
        except Exception as error:  # a defect of the owner's must not end the link for good
            loop = asyncio.get_running_loop()
            loop.call_exception_handler({"message": f"beginning to talk at {self._path}", "exception": error})
            loop.call_soon(channel.close, "broken")
            return False
        return True

    def _lost(self, _reason: str) -> None:
        self._channel = None
        self._ended.set()
        self._on_down()
