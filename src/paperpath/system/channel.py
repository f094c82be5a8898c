"""A framed, ordered conversation with one other process of ours, over a connected Unix stream socket.

Frames sent in one turn of the loop leave in one system call.  A descriptor may travel with a frame whose type has a
true ``attached`` field: it goes with that frame's first bytes, so it has arrived when the frame is complete.

Whatever the other side sends that is not a frame of this conversation ends the conversation and nothing else.
"""

import array
import asyncio
import errno
import os
import socket
import struct
from collections import deque
from collections.abc import Callable
from itertools import islice
from typing import Any

import msgspec

from paperpath.base.limits import FRAME_MOST_BYTES
from paperpath.wire.frame import FrameBuffer, FrameError, encode

_READ_BYTES = 256 * 1024
_READ_VIEW = memoryview(bytearray(_READ_BYTES))
"""Where every channel of this process reads to, and copies from: a buffer of this size for each read would come from
the kernel, page by page, and go back to it."""
_READ_INTO = (_READ_VIEW,)
_TRUNCATED = int(socket.MSG_CTRUNC)
"""As a plain int: the enum's own ``&`` costs a microsecond a read."""
_DESCRIPTORS_MOST = 16
"""Per read; each needs a frame of its own, so more can only be abuse."""
_ANCILLARY_BYTES = socket.CMSG_SPACE(_DESCRIPTORS_MOST * array.array("i").itemsize)
_BUFFERS_MOST = 512
"""Vectors in one sendmsg; the kernel's own bound is 1024."""
_NO_ROOM = {errno.EMFILE, errno.ENFILE, errno.ENOBUFS, errno.ENOMEM}
_ACCEPT_AGAIN_S = 1.0
"""Pause of accepting where there is no room for another connection: who waits in line would wake us for ever."""

OnFrame = Callable[[Any, int | None], None]
OnClose = Callable[[str], None]


class Channel:
    """One end of a conversation.

    ``types`` is the union of frames that the other side may send.  ``on_frame(frame, descriptor)`` gets each, and owns
    the descriptor; a ValueError from it ends the conversation.  ``on_close(reason)`` is called once, however it ends.
    """

    def __init__(
        self,
        sock: socket.socket,
        types: Any,
        on_frame: OnFrame,
        on_close: OnClose,
        *,
        frame_most_bytes: int = FRAME_MOST_BYTES,
    ) -> None:
        sock.setblocking(False)
        self._sock = sock
        self._loop = asyncio.get_running_loop()
        self._decode = msgspec.msgpack.Decoder(types).decode
        self._frames = FrameBuffer(frame_most_bytes)
        self._on_frame = on_frame
        self._on_close = on_close
        self._outgoing: deque[tuple[bytes | memoryview, int | None]] = deque()
        self._descriptors: deque[int] = deque()
        self._flush_scheduled = False
        self._writing = False
        self._closed = False
        self.pending_bytes = 0
        """Bytes that wait to be sent: what a sender looks at before it sends more."""
        self._loop.add_reader(sock.fileno(), self._readable)

    @property
    def closed(self) -> bool:
        """Whether the conversation is over."""
        return self._closed

    def send(self, frame: msgspec.Struct, descriptor: int | None = None) -> None:
        """Queue a frame; it leaves at the end of this turn of the loop.  The descriptor is duplicated."""
        if self._closed:
            return
        data = encode(frame)
        self._outgoing.append((data, None if descriptor is None else os.dup(descriptor)))
        self.pending_bytes += len(data)
        if not self._flush_scheduled and not self._writing:
            self._flush_scheduled = True
            self._loop.call_soon(self._flush)

    def flush(self) -> None:
        """Send now what can be sent without waiting."""
        if not self._writing and not self._closed:
            self._flush()

    def close(self, reason: str = "closed") -> None:
        """End the conversation; what was not sent yet is dropped."""
        if self._closed:
            return
        self._closed = True
        self._loop.remove_reader(self._sock.fileno())
        self._loop.remove_writer(self._sock.fileno())
        self._sock.close()
        for _, descriptor in self._outgoing:
            if descriptor is not None:
                os.close(descriptor)
        for descriptor in self._descriptors:
            os.close(descriptor)
        self._outgoing.clear()
        self._descriptors.clear()
        self._on_close(reason)
        self._on_frame = self._on_close = _to_nobody  # whoever it was for most often refers to this in turn

    def _flush(self) -> None:
        self._flush_scheduled = False
        if self._closed:
            return
        try:
            while self._outgoing:
                self._send_some()
        except BlockingIOError:
            if not self._writing:
                self._writing = True
                self._loop.add_writer(self._sock.fileno(), self._flush)
        except OSError as error:
            self.close(f"cannot send: {error.strerror}")
        else:
            if self._writing:
                self._writing = False
                self._loop.remove_writer(self._sock.fileno())

    def _send_some(self) -> None:
        """Send a run of frames, up to the next one that carries a descriptor (which then begins a run)."""
        first, descriptor = self._outgoing[0]
        ancillary = [] if descriptor is None else [(socket.SOL_SOCKET, socket.SCM_RIGHTS, struct.pack("i", descriptor))]
        buffers = [first]
        for data, other in islice(self._outgoing, 1, _BUFFERS_MOST):
            if other is not None:
                break
            buffers.append(data)
        sent = self._sock.sendmsg(buffers, ancillary) if ancillary or len(buffers) > 1 else self._sock.send(first)
        if descriptor is not None:
            os.close(descriptor)
            self._outgoing[0] = (first, None)
        self.pending_bytes -= sent
        while sent:
            data = self._outgoing[0][0]
            if sent < len(data):
                self._outgoing[0] = (memoryview(data)[sent:], None)
                return
            sent -= len(data)
            self._outgoing.popleft()

    def _readable(self) -> None:
        try:
            size, ancillary, flags, _ = self._sock.recvmsg_into(_READ_INTO, _ANCILLARY_BYTES, socket.MSG_CMSG_CLOEXEC)
        except (BlockingIOError, InterruptedError):
            return
        except OSError as error:
            self.close(f"cannot receive: {error.strerror}")
            return
        for _, _, raw in ancillary:
            self._descriptors.extend(struct.unpack(f"{len(raw) // 4}i", raw[: len(raw) // 4 * 4]))
        if not size or flags & _TRUNCATED or len(self._descriptors) > _DESCRIPTORS_MOST:
            self.close("ended by the other side" if not size else "too many descriptors")
            return
        self._take(bytes(_READ_VIEW[:size]))

    def _take(self, data: bytes) -> None:
        try:
            for body in self._frames.feed(data):
                frame = self._decode(body)
                attached = getattr(frame, "attached", False)
                self._on_frame(frame, self._descriptors.popleft() if attached else None)
                if self._closed:
                    return
        except (FrameError, msgspec.MsgspecError, ValueError, IndexError) as error:
            self.close(f"not understood: {error}")
        except Exception:
            # A defect of ours: the frames that follow would wait for the next to come, so nothing may follow.
            self.close("broken")
            raise


def _to_nobody(*_: object) -> None:
    pass


def peer_uid(sock: socket.socket) -> int:
    """Return the user id at the other end of a Unix socket, as the kernel knows it (SO_PEERCRED)."""
    size = struct.calcsize("3i")
    _, uid, _ = struct.unpack("3i", sock.getsockopt(socket.SOL_SOCKET, socket.SO_PEERCRED, size))
    return int(uid)


def serve_channels(listener: socket.socket, on_connect: Callable[[socket.socket], None]) -> Callable[[], None]:
    """Accept on a Unix listener and give each connection to ``on_connect``; return what stops the accepting."""
    listener.setblocking(False)
    loop = asyncio.get_running_loop()
    again: asyncio.TimerHandle | None = None

    def ready() -> None:
        for _ in range(64):
            try:
                sock, _ = listener.accept()
            except (BlockingIOError, InterruptedError, ConnectionAbortedError):
                return
            except OSError as error:
                if error.errno not in _NO_ROOM:
                    raise
                pause()
                return
            on_connect(sock)

    def start() -> None:
        nonlocal again
        again = None
        loop.add_reader(listener.fileno(), ready)

    def pause() -> None:
        nonlocal again
        loop.remove_reader(listener.fileno())
        again = loop.call_later(_ACCEPT_AGAIN_S, start)

    def stop() -> None:
        loop.remove_reader(listener.fileno())
        if again is not None:
            again.cancel()

    start()
    return stop


async def connect(path: str) -> socket.socket:
    """Return a socket connected to the Unix listener at ``path``.  Raises OSError."""
    sock = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM | socket.SOCK_CLOEXEC)
    sock.setblocking(False)
    try:
        await asyncio.get_running_loop().sock_connect(sock, path)
    except BaseException:
        sock.close()
        raise
    return sock
