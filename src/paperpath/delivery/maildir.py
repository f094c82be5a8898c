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
import itertools
import os
import socket
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from paperpath.base.outcome import Deferred, Delivered, Outcome
from paperpath.delivery.errand import Message, Refused
from paperpath.delivery.quota import Quota, quota_of
from paperpath.message.trace import delivered_to, return_path
from paperpath.system.batch import FolderNotSynced, NewFile, create_files_durably
from paperpath.system.clock import now_microseconds
from paperpath.system.files import open_folder

_HOST_MOST_BYTES = 64
_MISSING = {errno.ENOENT, errno.ENOTDIR, errno.ELOOP, errno.EACCES}

DELIVERED = Delivered("did 1+0+0")
"""What comes of a delivery into a Maildir, in qmail-local's words."""


@dataclass(frozen=True, slots=True)
class Delivery:
    """One message for one Maildir."""

    folder: str
    """The Maildir itself."""
    message: Message
    counted: bool = False
    """Whether a quota of the Maildir counts, where it has one; the file's name then tells its size."""


class Names:
    """Makes the unique names of one process's deliveries: ``TIME.M<microseconds>P<pid>Q<count>.HOST``."""

    def __init__(self, now_us: Callable[[], int], pid: int, host: bytes) -> None:
        self._now_us = now_us
        self._counts = itertools.count(1)
        self._pid = pid
        self._host = host.replace(b"/", rb"\057").replace(b":", rb"\072")

    def __call__(self) -> bytes:
        """Return a name that was never used; threads may ask at once."""
        seconds, micro = divmod(self._now_us(), 1_000_000)
        return b"%d.M%dP%dQ%d.%b" % (seconds, micro, self._pid, next(self._counts), self._host)


def process_names() -> Names:
    """Return the names of this process on this host."""
    return Names(now_microseconds, os.getpid(), os.fsencode(socket.gethostname())[:_HOST_MOST_BYTES])


def deliver(deliveries: Sequence[Delivery], next_name: Callable[[], bytes]) -> list[Outcome | Exception]:
    """Make all deliveries durable together and return what became of each.  One's failure is no other's.

    An exception in the place of an outcome is one that nobody expected while that delivery was prepared.
    """
    outcomes: list[Outcome | Exception] = [DELIVERED] * len(deliveries)
    folders = _Folders()
    prepared: list[tuple[int, NewFile, _Count | None]] = []
    try:
        for place, delivery in enumerate(deliveries):
            try:
                prepared.append((place, *_new_file(delivery, folders, next_name)))
            except Refused as refused:
                outcomes[place] = refused.outcome
            except OSError as error:
                outcomes[place] = _deferred(error)
            except Exception as error:
                outcomes[place] = error
        failures = create_files_durably([file for _, file, _ in prepared])
        for (place, _, count), failure in zip(prepared, failures, strict=True):
            if failure is not None:
                outcomes[place] = _deferred(failure)
            elif count is not None:
                count[0].delivered(count[1])
        folders.write_quotas()
    finally:
        folders.close()
    return outcomes


_Count = tuple[Quota, int]
"""A quota, and how much of it a file is."""


class _Folders:
    """The ``tmp`` and ``new`` of each Maildir in a batch, opened once.

    Not kept from one batch to the next: a Maildir that was removed or replaced meanwhile is then simply seen,
    and two opens cost a tenth of one delivery.
    """

    def __init__(self) -> None:
        self._open: dict[str, tuple[int, int] | Refused] = {}
        self._quotas: dict[str, Quota | None] = {}

    def of(self, folder: str) -> tuple[int, int]:
        found = self._open.get(folder)
        if found is None:
            try:
                found = self._look(folder)
            except Refused as refused:
                found = refused
            self._open[folder] = found
        if isinstance(found, Refused):
            raise found
        return found

    def quota_of(self, folder: str) -> Quota | None:
        if folder not in self._quotas:
            self._quotas[folder] = quota_of(folder)
        return self._quotas[folder]

    def write_quotas(self) -> None:
        for quota in self._quotas.values():
            if quota is not None:
                quota.write()

    def close(self) -> None:
        for found in self._open.values():
            if not isinstance(found, Refused):
                os.close(found[0])
                os.close(found[1])

    def _look(self, folder: str) -> tuple[int, int]:
        try:
            tmp = open_folder(os.path.join(folder, "tmp"))
        except OSError as error:
            raise Refused(_no_maildir(error)) from None
        try:
            return tmp, open_folder(os.path.join(folder, "new"))
        except OSError as error:
            os.close(tmp)
            raise Refused(_no_maildir(error)) from None


def _new_file(delivery: Delivery, folders: _Folders, next_name: Callable[[], bytes]) -> tuple[NewFile, _Count | None]:
    message = delivery.message
    tmp, new = folders.of(delivery.folder)
    first = return_path(message.sender), delivered_to(message.recipient)
    pieces = (*first, message.trace, message.content)
    quota = folders.quota_of(delivery.folder) if delivery.counted else None
    if quota is None:
        return NewFile(tmp, new, next_name(), pieces, message.source, message.size), None
    size = sum(map(len, pieces)) + (message.size if message.source is not None else 0)
    quota.admit(size)
    name = b"%b,S=%d" % (next_name(), size)
    return NewFile(tmp, new, name, pieces, message.source, message.size), (quota, size)


def _no_maildir(error: OSError) -> Deferred:
    if error.errno in _MISSING:
        return Deferred("Unable to chdir to maildir.", code="2.1")
    return _deferred(error)


def _deferred(error: OSError) -> Deferred:
    if isinstance(error, FolderNotSynced):
        text = f"The Maildir could not be synced: {error.strerror}. The message may be in it twice later."
        return Deferred(text, code="3.0")
    return Deferred(f"Unable to write to the Maildir: {error.strerror}.", code=code_of(error))


def code_of(error: OSError) -> str:
    """Return the status that RFC 3463 has for a mailbox that could not be written to."""
    return {errno.EDQUOT: "2.2", errno.ENOSPC: "3.1", errno.ENOENT: "2.1"}.get(error.errno or 0, "3.0")
