"""Files that survive a power cut.

The order is always the same: content, name, folder.  A file is written and synced, then it gets the name that
counts, then the folder of that name is synced; only after that may anybody be told.  Every function here
raises OSError as soon as the kernel reports one.  Nothing is tried again: after a failed fsync the kernel may
have dropped the pages, and a second one that succeeds proves nothing.
"""

import errno
import os
import stat
from collections.abc import Sequence

CREATE = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC | os.O_NOFOLLOW
"""Make a new file or fail: never through a link, never over another."""
_CANNOT = {errno.EINVAL, errno.ENOSYS, errno.EOPNOTSUPP, errno.EXDEV, errno.EBADF}
"""What the kernel answers where two files, or a file system, cannot do what a faster call asks for."""
_COPY_MOST_BYTES = 1 << 30
_VECTORS_MOST = 1024


def open_folder(path: str) -> int:
    """Return a descriptor of an existing folder, for the functions that take one."""
    return os.open(path, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)


def sync_folder(path: str) -> None:
    """Make the names in a folder durable."""
    descriptor = open_folder(path)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def make_folders_durably(path: str, mode: int = 0o700) -> None:
    """Create a folder and those above it that are missing, each with exactly ``mode``, and make their names
    durable.

    A folder that exists already is left as it is.
    """
    path = os.path.abspath(path)
    if os.path.isdir(path):
        return
    parent = os.path.dirname(path)
    make_folders_durably(parent, mode)
    try:
        os.mkdir(path, mode)
    except FileExistsError:
        if not os.path.isdir(path):
            raise
        return
    os.chmod(path, mode)
    sync_folder(parent)


def write_file_durably(path: str, data: bytes, mode: int = 0o600, *, beside: str = "") -> None:
    """Put ``data`` in the place of the file ``path``, with exactly ``mode``: after a power cut it is the old
    or the new.

    The data goes to a file beside it first, or in the folder ``beside`` of the same file system; after an error
    that file is gone and the old one untouched, except that an error from the folder's sync comes when the new
    name is already visible.
    """
    folder = os.path.dirname(path) or "."
    _replace(path, data, mode, f"{beside or folder}/.new-{os.urandom(8).hex()}", is_synced=True)
    sync_folder(folder)


def replace_file(path: str, data: bytes, mode: int) -> None:
    """Put ``data`` in the place of the file ``path``: readers see the old or the new.  Nothing waits for the disk, so
    this is for what a power cut may take.
    """
    _replace(path, data, mode, f"{path}.{os.urandom(8).hex()}", is_synced=False)


def _replace(path: str, data: bytes, mode: int, temporary: str, *, is_synced: bool) -> None:
    """Write a new file and give it the name ``path``; after an error it is gone."""
    descriptor = os.open(temporary, CREATE, 0o600)
    try:
        try:
            os.fchmod(descriptor, mode)
            write_pieces(descriptor, (data,))
            if is_synced:
                os.fsync(descriptor)
        finally:
            os.close(descriptor)
        os.rename(temporary, path)
    except BaseException:
        os.unlink(temporary)
        raise


def rename_durably(old: str, new: str) -> None:
    """Rename a file whose content is synced already, replacing ``new``, and make both folders durable."""
    os.rename(old, new)
    target, source = os.path.dirname(new) or ".", os.path.dirname(old) or "."
    sync_folder(target)
    if source != target:
        sync_folder(source)


def write_pieces(descriptor: int, pieces: Sequence[bytes]) -> None:
    """Write all pieces one after the other, at the descriptor's position."""
    written = os.writev(descriptor, pieces) if len(pieces) <= _VECTORS_MOST else 0
    if written == sum(map(len, pieces)):
        return
    rest = memoryview(b"".join(pieces))[written:]
    while rest:
        rest = rest[os.write(descriptor, rest) :]


def create_spool_file(folder: str) -> int:
    """Return a descriptor, to read and write, of a new file without a name: it is gone when the last holder
    closes it.
    """
    try:
        return os.open(folder, os.O_TMPFILE | os.O_RDWR | os.O_CLOEXEC, 0o600)
    except OSError as error:
        if error.errno not in {errno.EOPNOTSUPP, errno.EISDIR, errno.EINVAL}:
            raise
    path = f"{folder}/.spool-{os.urandom(8).hex()}"
    descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC | os.O_NOFOLLOW, 0o600)
    os.unlink(path)
    return descriptor


def open_to_read(path: str) -> int:
    """Return a descriptor to read a regular file from; a symbolic link is not followed."""
    return os.open(path, os.O_RDONLY | os.O_CLOEXEC | os.O_NOFOLLOW)


def open_if_regular(path: bytes) -> int | None:
    """Return a descriptor to read a file from, None where it is not a regular one; links are followed.

    Nothing that may lie there is waited for: a FIFO without a writer, a terminal.
    """
    descriptor = os.open(path, os.O_RDONLY | os.O_CLOEXEC | os.O_NONBLOCK | os.O_NOCTTY)
    if stat.S_ISREG(os.fstat(descriptor).st_mode):
        return descriptor
    os.close(descriptor)
    return None


def read_some(descriptor: int, most: int) -> bytes:
    """Return up to ``most`` bytes from the file's beginning; its position is not used."""
    return os.pread(descriptor, most, 0)


def read_all(descriptor: int, size: int) -> bytes:
    """Return the first ``size`` bytes of a file.  The position of the descriptor, which may be shared, is not
    used.

    Raises OSError (EIO) where the file is shorter.
    """
    pieces: list[bytes] = []
    have = 0
    while have < size:
        piece = os.pread(descriptor, size - have, have)
        if not piece:
            raise _too_short(have, size)
        pieces.append(piece)
        have += len(piece)
    return b"".join(pieces)


def read_piece(descriptor: int, most: int, at: int) -> bytes:
    """Return up to ``most`` bytes of a file from ``at`` on; the position of the descriptor is not used.

    Raises OSError (EIO) where the file ends there.
    """
    piece = os.pread(descriptor, most, at)
    if not piece:
        raise _too_short(at, at + most)
    return piece


def copy_content(source: int, target: int, size: int) -> None:
    """Append the first ``size`` bytes of the file ``source`` to ``target``, inside the kernel.

    The position of ``source``, which may be shared with other processes, is not used.  Raises OSError (EIO)
    where it is shorter.
    """
    done = 0
    while done < size:
        step = _copy_some(source, target, min(size - done, _COPY_MOST_BYTES), done)
        if not step:
            raise _too_short(done, size)
        done += step


def _copy_some(source: int, target: int, count: int, at: int) -> int:
    try:
        if step := os.copy_file_range(source, target, count, offset_src=at):
            return step
    except OSError as error:
        if error.errno not in _CANNOT:
            raise
    return os.sendfile(target, source, at, count)


def copy_descriptor(source: int, path: str, size: int, mode: int = 0o600) -> None:
    """Make a new file ``path`` of the first ``size`` bytes of the file ``source``, durable with its name.

    Raises FileExistsError where the name is taken.  After an error the name is gone, except where the
    folder's sync was what failed.
    """
    descriptor = os.open(path, CREATE, mode)
    try:
        try:
            copy_content(source, descriptor, size)
            os.fsync(descriptor)
        finally:
            os.close(descriptor)
    except BaseException:
        os.unlink(path)
        raise
    sync_folder(os.path.dirname(path) or ".")


def _too_short(have: int, size: int) -> OSError:
    return OSError(errno.EIO, f"the file ends after {have} of {size} bytes")
