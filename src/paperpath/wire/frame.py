"""Frames: a four-byte length, big end first, then one msgpack array whose first item names its type.

The types are declared in this folder, one file a conversation.  Both ends run the same release: the supervisor starts
them together, and the programs that connect from outside (`paperpath queue`, `sendmail`) say ``Hello`` first, so that
a mismatch after an upgrade is a clear error and not a misread frame.
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
    """Collects bytes as they arrive and cuts them into frame bodies."""

    __slots__ = ("_data", "_most")

    def __init__(self, most_bytes: int = FRAME_MOST_BYTES) -> None:
        self._data = b""
        self._most = most_bytes

    def feed(self, data: bytes) -> Iterator[memoryview]:
        """Yield the body of every frame that ``data`` completes.

        Raises FrameError as soon as a length is announced that this conversation does not allow.
        """
        if self._data:
            data = self._data + data
        view = memoryview(data)
        at, end = 0, len(data)
        while end - at >= _LENGTH_BYTES:
            start = at + _LENGTH_BYTES
            length = int.from_bytes(view[at:start], "big")
            if length > self._most:
                raise FrameError(f"a frame of {length} bytes exceeds {self._most}")
            if end - start < length:
                break
            yield view[start : start + length]
            at = start + length
        self._data = data[at:]
