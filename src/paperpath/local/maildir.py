"""Delivery into Maildirs, a batch at a time.

Each file is made as qmail makes it: a name of its own in ``tmp``; Return-Path, Delivered-To, then the message
unchanged; synced and closed; then its name in ``new``, where readers look, and the folder synced.  Only then
is it delivered.  A Maildir is never created: one that is missing is a reason to wait.

Why this is safe on NFS and without locks.  No two deliveries ever use one name: it holds the time in
microseconds, this process's id, a counter that never repeats in this process, and the host.  Files are
created with O_EXCL and appear in ``new`` by a rename that refuses to replace, or, where the file system has
no such rename (NFS), by link, which never replaces; so even a clash costs a retry and no message.  A reader
sees a name in ``new`` only when the whole file is on disk.  If the server's answer to a link is lost, the
delivery counts as failed and is repeated: a duplicate, never a loss.
"""

import errno
import os
import socket
import stat
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from paperpath.base.outcome import Deferred, Delivered, Failed, Outcome
from paperpath.message.trace import delivered_to, return_path
from paperpath.system.batch import FolderNotSynced, NewFile, create_files_durably
from paperpath.system.clock import now_microseconds
from paperpath.system.files import open_folder, read_all

HEADER_MOST_BYTES = 256 * 1024
"""How much of a large message is read to find its own Delivered-To line; loops beyond that are caught by
hops."""

_HOST_MOST_BYTES = 64
_MISSING = {errno.ENOENT, errno.ENOTDIR, errno.ELOOP, errno.EACCES}


@dataclass(frozen=True, slots=True)
class Delivery:
    """One message for one Maildir."""

    home: str
    """The folder that holds ``Maildir``."""
    recipient: bytes
    sender: bytes
    trace: bytes
    content: bytes
    """Empty where there is a ``source``."""
    source: int | None
    """Descriptor of a file whose first ``size`` bytes are the content."""
    size: int


class Names:
    """Makes the unique names of one process's deliveries: ``TIME.M<microseconds>P<pid>Q<count>.HOST``."""

    def __init__(self, now_us: Callable[[], int], pid: int, host: bytes) -> None:
        self._now_us = now_us
        self._count = 0
        self._pid = pid
        self._host = host.replace(b"/", rb"\057").replace(b":", rb"\072")

    def __call__(self) -> bytes:
        """Return a name that was never used."""
        self._count += 1
        seconds, micro = divmod(self._now_us(), 1_000_000)
        return b"%d.M%dP%dQ%d.%b" % (seconds, micro, self._pid, self._count, self._host)


def process_names() -> Names:
    """Return the names of this process on this host."""
    return Names(now_microseconds, os.getpid(), os.fsencode(socket.gethostname())[:_HOST_MOST_BYTES])


def deliver(deliveries: Sequence[Delivery], next_name: Callable[[], bytes]) -> list[Outcome | Exception]:
    """Make all deliveries durable together and return what became of each.  One's failure is no other's.

    An exception in the place of an outcome is one that nobody expected while that delivery was prepared.
    """
    outcomes: list[Outcome | Exception] = [_DELIVERED] * len(deliveries)
    folders = _Folders()
    places: list[int] = []
    files: list[NewFile] = []
    try:
        for place, delivery in enumerate(deliveries):
            try:
                file = _new_file(delivery, folders, next_name)
            except _Refused as refused:
                outcomes[place] = refused.outcome
            except OSError as error:
                outcomes[place] = _deferred(error)
            except Exception as error:
                outcomes[place] = error
            else:
                places.append(place)
                files.append(file)
        for place, failure in zip(places, create_files_durably(files), strict=True):
            if failure is not None:
                outcomes[place] = _deferred(failure)
    finally:
        folders.close()
    return outcomes


_DELIVERED = Delivered("did 1+0+0")
_LOOPING = Failed("This message is looping: it already has my Delivered-To line.", code="4.6")


class _Refused(Exception):
    """This delivery cannot be tried."""

    def __init__(self, outcome: Outcome) -> None:
        super().__init__(outcome)
        self.outcome = outcome


class _Folders:
    """The ``tmp`` and ``new`` of each home in a batch, opened once.

    Not kept from one batch to the next: a Maildir that was removed or replaced meanwhile is then simply seen,
    and two opens cost a tenth of one delivery.
    """

    def __init__(self) -> None:
        self._open: dict[str, tuple[int, int] | _Refused] = {}

    def of(self, home: str) -> tuple[int, int]:
        found = self._open.get(home)
        if found is None:
            try:
                found = self._look(home)
            except _Refused as refused:
                found = refused
            self._open[home] = found
        if isinstance(found, _Refused):
            raise found
        return found

    def close(self) -> None:
        for found in self._open.values():
            if not isinstance(found, _Refused):
                os.close(found[0])
                os.close(found[1])

    def _look(self, home: str) -> tuple[int, int]:
        try:
            _check_home(home)
            tmp = open_folder(home + "/Maildir/tmp")
        except OSError as error:
            raise _Refused(_no_maildir(error)) from None
        try:
            return tmp, open_folder(home + "/Maildir/new")
        except OSError as error:
            os.close(tmp)
            raise _Refused(_no_maildir(error)) from None


def _check_home(home: str) -> None:
    """Refuse what qmail-local refuses: a home that anybody may write to, and one whose owner set the sticky
    bit."""
    mode = os.stat(home).st_mode
    if mode & stat.S_IWOTH:
        raise _Refused(Deferred("Uh-oh: home directory is writable.", code="7.0"))
    if mode & stat.S_ISVTX:
        raise _Refused(Deferred("Home directory is sticky: its owner is editing .qmail files.", code="2.1"))


def _new_file(delivery: Delivery, folders: _Folders, next_name: Callable[[], bytes]) -> NewFile:
    line = delivered_to(delivery.recipient)
    if _is_in_header(line, delivery.trace) or _is_in_header(line, _start(delivery)):
        raise _Refused(_LOOPING)
    tmp, new = folders.of(delivery.home)
    pieces = (return_path(delivery.sender), line, delivery.trace, delivery.content)
    return NewFile(tmp, new, next_name(), pieces, delivery.source, delivery.size)


def _start(delivery: Delivery) -> bytes:
    if delivery.source is None:
        return delivery.content
    return read_all(delivery.source, min(delivery.size, HEADER_MOST_BYTES))


def _is_in_header(line: bytes, message: bytes) -> bool:
    """Tell whether one of the lines before the first empty one is exactly ``line``, which ends in LF."""
    if line not in message:
        return False
    header = b"\n" + message.partition(b"\n\n")[0] + b"\n"
    return not message.startswith(b"\n") and b"\n" + line in header


def _no_maildir(error: OSError) -> Deferred:
    if error.errno in _MISSING:
        return Deferred(f"Unable to enter the Maildir: {error.strerror}.", code="2.1")
    return _deferred(error)


def _deferred(error: OSError) -> Deferred:
    if isinstance(error, FolderNotSynced):
        text = f"The Maildir could not be synced: {error.strerror}. The message may be in it twice later."
        return Deferred(text, code="3.0")
    code = {errno.EDQUOT: "2.2", errno.ENOSPC: "3.1", errno.ENOENT: "2.1"}.get(error.errno or 0, "3.0")
    return Deferred(f"Unable to write to the Maildir: {error.strerror}.", code=code)
