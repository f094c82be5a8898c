"""Quotas as Maildir++ has them, so that Dovecot and Courier count in the same file.

What is counted is what a delivery finds in ``maildirsize``: without that file there is no quota, and the look for it
is all that it costs.  A batch adds one line to it, behind the delivery and unsynced; what a crash or another program
leaves wrong is found out by counting anew: where the file has grown long, where it makes no sense, and before a
message is put off by a count that is older than a quarter of an hour, or has grown since it was made.
"""

import contextlib
import os
import re
from collections.abc import Iterator

from paperpath.base.outcome import Deferred, Failed
from paperpath.base.quota import SIZE_FILE_MOST_BYTES, Limits, SizeFile, Use, read_size_file
from paperpath.delivery.errand import Refused
from paperpath.system.appending import append_line
from paperpath.system.clock import now
from paperpath.system.files import open_if_regular, read_some, write_file_durably
from paperpath.system.removal import remove_if_there

_SIZE_FILE = "maildirsize"
_STALE_S = 15 * 60
_COUNTS_MOST = 3
"""How often what changes meanwhile is counted again; then the last count has to do."""

_SIZE_IN_NAME = re.compile(r",S=([0-9]{1,18})(?=[,:]|$)")
_TRASH = ".Trash"
"""Folder whose messages are on their way out, and not counted."""


class Quota:
    """One Maildir's, during one batch."""

    def __init__(self, maildir: str, found: SizeFile, age_s: float) -> None:
        self._maildir = maildir
        self._first, self._limits = found.first, found.limits
        self._fresh = found.changes == 1 and 0 <= age_s < _STALE_S
        self._use = self._count() if found.use is None else found.use
        self._delivered = Use()

    def admit(self, size_bytes: int) -> None:
        """Make room for a message of this size.  Raises Refused where there is none, and OSError."""
        if not Use(size_bytes, 0).fits(self._limits):
            text = f"The message is larger than all that the mailbox may hold ({self._limits.size_bytes} bytes)."
            raise Refused(Failed(text, code="2.2"))
        if not self._use.plus(size_bytes).fits(self._limits) and not self._fresh:
            self._use = self._count()
        if not self._use.plus(size_bytes).fits(self._limits):
            raise Refused(Deferred(f"The mailbox is full: its quota is {self._limits}.", code="2.2"))
        self._use = self._use.plus(size_bytes)

    def delivered(self, size_bytes: int) -> None:
        """Note that a message is in the Maildir."""
        self._delivered = self._delivered.plus(size_bytes)

    def write(self) -> None:
        """Add to the file what was delivered.  The messages are there whether this succeeds or not."""
        if self._delivered.messages:
            with contextlib.suppress(OSError):
                append_line(os.path.join(self._maildir, _SIZE_FILE), self._delivered.line())

    def _count(self) -> Use:
        self._fresh = True
        return count_anew(self._maildir, self._first)


def quota_of(maildir: str) -> Quota | None:
    """Return the quota of a Maildir, None where it has none.  Raises OSError."""
    found = _read(maildir)
    return None if found is None else Quota(maildir, *found)


def read_quota(maildir: str) -> tuple[Limits, Use] | None:
    """Return what a Maildir may hold and what its file says that it holds, None where it has no quota.

    Raises OSError.
    """
    found = _read(maildir)
    if found is None:
        return None
    file = found[0]
    return file.limits, file.use if file.use is not None else _sum(_message_folders(maildir))


def set_quota(maildir: str, limits: Limits) -> Use:
    """Give a Maildir a quota, and return what it holds now.  Raises OSError."""
    return count_anew(maildir, str(limits).encode())


def remove_quota(maildir: str) -> None:
    """Take the quota of a Maildir away, where it has one.  Raises OSError."""
    remove_if_there(os.path.join(maildir, _SIZE_FILE))


def count_anew(maildir: str, first_line: bytes) -> Use:
    """Write the file of a Maildir from what is in its folders; return that.

    A message that comes or goes while it is counted makes it count again; what slips through even so is mended by
    the next count.
    """
    use = Use()
    for _ in range(_COUNTS_MOST):
        before = _times(maildir)
        use = _sum(_message_folders(maildir))
        content = first_line + b"\n" + use.line()
        write_file_durably(os.path.join(maildir, _SIZE_FILE), content, beside=os.path.join(maildir, "tmp"))
        if _times(maildir) == before:
            break
    return use


def _read(maildir: str) -> tuple[SizeFile, float] | None:
    """Return the file of a Maildir, and its age in seconds; None where there is none, or nothing in it."""
    try:
        descriptor = open_if_regular(os.fsencode(os.path.join(maildir, _SIZE_FILE)))
    except FileNotFoundError:
        return None
    if descriptor is None:
        return None
    try:
        content = read_some(descriptor, SIZE_FILE_MOST_BYTES + 1)
        age_s = now() - os.fstat(descriptor).st_mtime
    finally:
        os.close(descriptor)
    return (read_size_file(content), age_s) if content else None


def _message_folders(maildir: str) -> Iterator[str]:
    """Yield the folders whose messages count: ``cur`` and ``new`` of the Maildir and of each folder in it."""
    yield from (os.path.join(maildir, "cur"), os.path.join(maildir, "new"))
    with os.scandir(maildir) as entries:
        names = [entry.name for entry in entries if entry.name.startswith(".") and entry.name != _TRASH]
    for name in names:
        for part in ("cur", "new"):
            if os.path.isdir(folder := os.path.join(maildir, name, part)):
                yield folder


def _times(maildir: str) -> dict[str, int]:
    return {folder: os.stat(folder).st_mtime_ns for folder in _message_folders(maildir)}


def _sum(folders: Iterator[str]) -> Use:
    use = Use()
    for folder in folders:
        with os.scandir(folder) as entries:
            for entry in entries:
                size = _size(entry)
                if size is not None:
                    use = use.plus(size)
    return use


def _size(entry: "os.DirEntry[str]") -> int | None:
    """Return the size of a message; None for one that is gone or thrown away, and for what is none."""
    unique, _, flags = entry.name.partition(":2,")
    if entry.name.startswith(".") or "T" in flags:
        return None
    found = _SIZE_IN_NAME.search(unique)
    if found is not None:
        return int(found[1])
    try:
        return entry.stat().st_size
    except FileNotFoundError:
        return None
