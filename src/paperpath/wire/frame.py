"""Frames: a four-byte length, big end first, then one msgpack array whose first item names its type.

The types are declared in this folder, one file a conversation.  Both ends run the same release: the
supervisor starts them together, and the programs that connect from outside (`paperpath queue`, `sendmail`)
say ``Hello`` first, so that a mismatch after an upgrade is a clear error and not a misread frame.
"""

from collections.abc import Iterator

import msgspec

from paperpath.base.limits import FRAME_MOST_BYTES

VERSION = 1

_encoder = msgspec.msgpack.Encoder()
_LENGTH_BYTES = 4


class FrameError(ValueError):
    """What arrived is not a frame of this conversation; the conversation ends."""


class Hello(msgspec.Struct, frozen=True, array_like=True, tag="hello", gc=False):
    """First frame of whoever connects."""

    version: int
    role: str


def encode(frame: msgspec.Struct) -> bytes:
    """Return the frame as bytes.  Raises FrameError where it would exceed ``FRAME_MOST_BYTES``."""
    body = _encoder.encode(frame)
    if len(body) > FRAME_MOST_BYTES:
        raise FrameError(f"a frame of {len(body)} bytes exceeds {FRAME_MOST_BYTES}")
    return len(body).to_bytes(_LENGTH_BYTES, "big") + body


class FrameBuffer:
    """Collects bytes as they arrive and cuts them into frame bodies.

    Every byte is copied a bounded number of times, however small the pieces: they are joined only when the
    length is known, and when the frame is whole.  Bytes that hold whole frames are not copied at all.
    """

    __slots__ = ("_most", "_pieces", "_size", "_wanted")

    def __init__(self, most_bytes: int = FRAME_MOST_BYTES) -> None:
        self._pieces: list[bytes] = []
        self._size = 0
        self._wanted = _LENGTH_BYTES
        self._most = most_bytes

    def feed(self, data: bytes) -> Iterator[memoryview]:
        """Yield the body of every frame that ``data`` completes.

        Raises FrameError as soon as a length is announced that this conversation does not allow, and from
        then on. Whoever stops before the last frame gets the rest with the next call.
        """
        self._pieces.append(data)
        self._size += len(data)
        if self._size < self._wanted:
            return
        if len(self._pieces) > 1:
            data = b"".join(self._pieces)
        view = memoryview(data)
        at = 0
        try:
            while (length := self._announced(view[at : at + _LENGTH_BYTES])) >= 0:
                start, end = at + _LENGTH_BYTES, at + _LENGTH_BYTES + length
                if end > len(data):
                    break
                at = end
                yield view[start:end]
        finally:
            self._keep(data[at:])

    def _announced(self, prefix: memoryview) -> int:
        """Return the length that ``prefix`` announces; -1 where it is not complete."""
        if len(prefix) < _LENGTH_BYTES:
            return -1
        length = int.from_bytes(prefix, "big")
        if length > self._most:
            raise FrameError(f"a frame of {length} bytes exceeds {self._most}")
        return length

    def _keep(self, rest: bytes) -> None:
        """Keep what has not been given out, and note how many bytes it takes before looking again is worth while."""
        self._pieces = [rest] if rest else []
        self._size = len(rest)
        length = int.from_bytes(rest[:_LENGTH_BYTES], "big") if len(rest) >= _LENGTH_BYTES else 0
        self._wanted = _LENGTH_BYTES + (length if length <= self._most else 0)
