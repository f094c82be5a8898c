"""Files that outlive the process: written as a whole and durably, never oftener than the disk bears."""

import asyncio
import os
from collections.abc import Callable
from typing import Generic, TypeVar

import msgspec

from paperpath.system.clock import monotonic
from paperpath.system.files import open_to_read, read_all, write_file_durably

_FORMAT = 1
_MOST_BYTES = 64 * 1024 * 1024
_PAUSE_SHARE = 20
"""Times as long as the last write took does the next one wait: a flood of bans costs a twentieth of the time."""


T = TypeVar("T")


class Keeping(Generic[T]):
    """Keeps what ``content`` returns, of the type ``shape``, in a file."""

    def __init__(
        self,
        path: str,
        shape: type[T],
        content: Callable[[], T],
        on_error: Callable[[str], None],
        *,
        pause_least_s: float,
    ) -> None:
        self._path, self._shape, self._pause_least_s = path, shape, pause_least_s
        self._content, self._on_error = content, on_error
        self._next = 0.0
        self._timer: asyncio.TimerHandle | None = None

    def read(self) -> T | None:
        """Return what was kept; None where there is nothing, or nothing that can be read."""
        try:
            descriptor = open_to_read(self._path)
        except FileNotFoundError:
            return None
        except OSError as error:
            self._on_error(str(error))
            return None
        try:
            size = min(os.fstat(descriptor).st_size, _MOST_BYTES)
            version, kept = msgspec.msgpack.decode(read_all(descriptor, size), type=tuple[int, msgspec.Raw])
            return msgspec.msgpack.decode(kept, type=self._shape) if version == _FORMAT else None
        except (OSError, msgspec.MsgspecError) as error:
            self._on_error(f"{self._path}: {error}")
            return None
        finally:
            os.close(descriptor)

    def save_soon(self) -> None:
        """Write: now if the last time is long enough ago, else when it is."""
        if self._timer is None:
            wait = self._next - monotonic()
            if wait <= 0:
                self.save()
            else:
                self._timer = asyncio.get_running_loop().call_later(wait, self.save)

    def save(self) -> None:
        """Write now; what cannot be written is reported, and written with the next change."""
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        began = monotonic()
        try:
            write_file_durably(self._path, msgspec.msgpack.encode((_FORMAT, self._content())))
        except OSError as error:
            self._on_error(str(error))
        self._next = monotonic() + max(self._pause_least_s, (monotonic() - began) * _PAUSE_SHARE)
