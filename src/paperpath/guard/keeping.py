"""The file that bans are kept in: written as a whole and durably, never oftener than the disk bears."""

import asyncio
import os
from collections.abc import Callable

import msgspec

from paperpath.system.clock import monotonic
from paperpath.system.files import open_to_read, read_all, write_file_durably
from paperpath.wire.guard import BanView

_FILE = "bans.kept"
_FORMAT = 1
_MOST_BYTES = 64 * 1024 * 1024
_PAUSE_LEAST_S = 0.5
_PAUSE_SHARE = 20
"""Times as long as the last write took does the next one wait: a flood of bans costs a twentieth of the time."""


class _Kept(msgspec.Struct, frozen=True, array_like=True):
    version: int
    bans: tuple[BanView, ...]


class Keeping:
    """Keeps what ``content`` returns in a folder."""

    def __init__(
        self, folder: str, content: Callable[[], tuple[BanView, ...]], on_error: Callable[[str], None]
    ) -> None:
        self._path = os.path.join(folder, _FILE)
        self._content, self._on_error = content, on_error
        self._next = 0.0
        self._timer: asyncio.TimerHandle | None = None

    def read(self) -> tuple[BanView, ...]:
        """Return what was kept; nothing where there is nothing, or nothing that can be read."""
        try:
            descriptor = open_to_read(self._path)
        except FileNotFoundError:
            return ()
        except OSError as error:
            self._on_error(str(error))
            return ()
        try:
            size = min(os.fstat(descriptor).st_size, _MOST_BYTES)
            kept = msgspec.msgpack.decode(read_all(descriptor, size), type=_Kept)
        except (OSError, msgspec.MsgspecError) as error:
            self._on_error(f"{self._path}: {error}")
            return ()
        finally:
            os.close(descriptor)
        return kept.bans if kept.version == _FORMAT else ()

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
            write_file_durably(self._path, msgspec.msgpack.encode(_Kept(_FORMAT, self._content())))
        except OSError as error:
            self._on_error(str(error))
        self._next = monotonic() + max(_PAUSE_LEAST_S, (monotonic() - began) * _PAUSE_SHARE)
