"""A process at the other end of a conversation, played by a test."""

import asyncio
import os
import socket
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import msgspec

from paperpath.system.channel import Channel, serve_channels


class Peer:
    """Listens at a path as the supervisor would, and serves while a test lets it."""

    def __init__(self, path: Path, types: Any) -> None:
        self.path = str(path)
        self.heard: asyncio.Queue[Any] = asyncio.Queue()
        self.channels: asyncio.Queue[Channel] = asyncio.Queue()
        """Conversations that were begun."""
        self.attached: list[str] = []
        """Files whose descriptors came with frames."""
        self._open: list[Channel] = []
        self._types = types
        self._listener = socket.socket(socket.AF_UNIX)
        self._listener.bind(self.path)
        self._listener.listen()
        self._stop = serve_channels(self._listener, self._connected)

    def send(self, frame: msgspec.Struct, descriptor: int | None = None) -> None:
        """Say something in the conversation begun last."""
        self._open[-1].send(frame, descriptor)

    def hang_up(self) -> None:
        """End every conversation, as a process does that dies."""
        for channel in self._open:
            channel.close()

    def close(self) -> None:
        """Be gone."""
        self.hang_up()
        if self._listener.fileno() >= 0:
            self._stop()
            self._listener.close()

    def _connected(self, sock: socket.socket) -> None:
        def take(frame: Any, descriptor: int | None) -> None:
            if descriptor is not None:
                self.attached.append(os.readlink(f"/proc/self/fd/{descriptor}"))
                os.close(descriptor)
            self.heard.put_nowait(frame)

        channel = Channel(sock, self._types, take, lambda _: None)
        self._open.append(channel)
        self.channels.put_nowait(channel)


@contextmanager
def listening(path: Path, types: Any) -> Iterator[Peer]:
    peer = Peer(path, types)
    try:
        yield peer
    finally:
        peer.close()
