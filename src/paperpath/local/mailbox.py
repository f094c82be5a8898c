"""A Maildir as one session sees it: its messages in order, numbered once, removed at the end or not at all.

Messages are in the order of their deliveries, by the times in their names where they have one, else by those of their
files.  The list is taken once, and what others do meanwhile is met where it matters: a message whose name another
reader has changed is looked for by its unique part, and one that is gone is gone.  Nothing is locked.

Names are kept joined in one piece: 100,000 messages take some 6 MB, not 20.
"""

import hashlib
import os
import re
from array import array
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import NamedTuple, TypeVar

from paperpath.base.limits import MAILBOX_MOST_MESSAGES, MAILBOX_PAGE_MESSAGES
from paperpath.base.quota import Use
from paperpath.system.appending import append_line
from paperpath.system.mailbox import clean_tmp, move_message, open_message, remove_message
from paperpath.wire.mailbox import UNIQUE_ID_MOST_BYTES

T = TypeVar("T")

_NEW, _CUR = 0, 1
_FOLDERS = (b"new/", b"cur/")

_TIME = re.compile(rb"([0-9]{1,15})\.(?:M([0-9]{1,6})P)?")
"""How a name begins: seconds, and microseconds where the deliverer counts them."""
_SIZE = re.compile(rb"[^:]*,S=([0-9]{1,15})(?=[,:]|\Z)")
"""Maildir++: the size of the file in the unique part of its name."""
_PLAIN_ID = re.compile(rb"[!-~]{1,%d}" % UNIQUE_ID_MOST_BYTES)


class Gone(Exception):
    """The message is not there any more."""


class _Found(NamedTuple):
    """A message, in the order of its delivery."""

    seconds: int
    microseconds: int
    name: bytes
    where: int
    size: int


@dataclass(frozen=True, slots=True)
class Result:
    """What became of the messages that were to be removed."""

    removed: int
    kept: int
    reason: str = ""
    """Why the first of those kept was."""


class Mailbox:
    """The list of one session.  Raises OSError where the Maildir cannot be read."""

    def __init__(self, folder: bytes, now: float) -> None:
        self._folder = folder + b"/"
        clean_tmp(self._folder + b"tmp", now)
        self._state = self._changed_at()
        found = sorted([*self._scan(_NEW), *self._scan(_CUR)])[:MAILBOX_MOST_MESSAGES]
        self._names = b"".join(one.name for one in found)
        self._ends = array("I")
        self._where = bytearray(one.where for one in found)
        self._sizes = array("Q", (one.size for one in found))
        end = 0
        for one in found:
            end += len(one.name)
            self._ends.append(end)
        self._moved: dict[int, tuple[int, bytes]] = {}
        self.octets = sum(self._sizes)

    def __len__(self) -> int:
        return len(self._sizes)

    def describe(self, first: int) -> tuple[tuple[int, ...], tuple[bytes, ...]]:
        """Return sizes and unique ids of a page that begins with message ``first``.  Raises IndexError."""
        if not 0 < first <= len(self):
            raise IndexError("there is no such message")
        numbers = range(first, min(first + MAILBOX_PAGE_MESSAGES, len(self) + 1))
        return tuple(self._sizes[first - 1 : numbers.stop - 1]), tuple(unique_id(self._name(n)) for n in numbers)

    def open(self, number: int) -> int:
        """Return a descriptor to read a message from.  Raises IndexError, Gone, OSError."""
        if not 0 < number <= len(self):
            raise IndexError("there is no such message")
        try:
            return self._with_file(number, open_message)[0]
        except FileNotFoundError:
            raise Gone from None

    def update(self, marked: bytes) -> Result:
        """Remove the messages that are marked, and move those that are in ``new`` to where the old ones are."""
        removed, kept, reason, freed = 0, 0, "", Use()
        for number in range(1, len(self) + 1):
            if not _is_marked(marked, number):
                self._count_as_seen(number)
                continue
            try:
                freed = self._remove(number, freed)
                removed += 1
            except OSError as error:
                reason = reason or str(error.strerror or error)
                kept += 1
        self._note_freed(freed)
        return Result(removed, kept, reason)

    def _name(self, number: int) -> bytes:
        return self._names[self._ends[number - 2] if number > 1 else 0 : self._ends[number - 1]]

    def _now_at(self, number: int) -> tuple[int, bytes]:
        return self._moved.get(number) or (self._where[number - 1], self._name(number))

    def _path(self, number: int) -> bytes:
        where, name = self._now_at(number)
        return self._folder + _FOLDERS[where] + name

    def _with_file(self, number: int, act: Callable[[bytes], T]) -> T:
        """Return what ``act`` makes of a message's file, looked for anew where it has another name by now.

        Raises FileNotFoundError where it is gone, and what ``act`` raises.
        """
        try:
            return act(self._path(number))
        except FileNotFoundError:
            self._look_again()
        return act(self._path(number))

    def _count_as_seen(self, number: int) -> None:
        name = self._name(number)
        if self._where[number - 1] == _NEW:
            try:
                move_message(self._folder + b"new/" + name, self._folder + b"cur/" + name + b":2,")
            except OSError:
                pass  # another did, or it is gone, or the next session will

    def _remove(self, number: int, freed: Use) -> Use:
        """Remove a message; one that is gone was what we wanted.  Return what is free then.  Raises OSError."""
        try:
            self._with_file(number, remove_message)
        except FileNotFoundError:
            return freed
        if b"T" in self._now_at(number)[1].partition(b":2,")[2]:
            return freed  # Maildir++ does not count what is in the trash
        return freed.plus(-self._sizes[number - 1], -1)

    def _note_freed(self, freed: Use) -> None:
        """Tell the Maildir's quota, where it has one.  One that is not told is counted anew before it is enforced."""
        if freed.messages:
            try:
                append_line(os.fsdecode(self._folder + b"maildirsize"), freed.line())
            except OSError:
                pass

    def _scan(self, where: int) -> Iterator[_Found]:
        with os.scandir(self._folder + _FOLDERS[where]) as entries:
            for entry in entries:
                if entry.name.startswith(b"."):
                    continue
                try:
                    found = _describe(entry, where)
                except FileNotFoundError:
                    continue
                if found is not None:
                    yield found

    def _changed_at(self) -> tuple[int, int]:
        return os.stat(self._folder + b"new").st_mtime_ns, os.stat(self._folder + b"cur").st_mtime_ns

    def _look_again(self) -> None:
        """Find out under which names the messages are now, if names have changed since that was last done."""
        state = self._changed_at()
        if state == self._state:
            return
        self._state = state
        now_at: dict[bytes, tuple[int, bytes]] = {}
        for where, folder in enumerate(_FOLDERS):
            for name in os.listdir(self._folder + folder):
                now_at[name.partition(b":")[0]] = where, name
        self._moved.clear()
        for number in range(1, len(self) + 1):
            name = self._name(number)
            found = now_at.get(name.partition(b":")[0])
            if found is not None and found != (self._where[number - 1], name):
                self._moved[number] = found


def _describe(entry: "os.DirEntry[bytes]", where: int) -> _Found | None:
    """Return what an entry of a folder is, None where it is no message.  Raises FileNotFoundError."""
    if not entry.is_file(follow_symlinks=False):
        return None
    name = entry.name
    time, size = _TIME.match(name), _SIZE.match(name)
    if time is not None and size is not None:
        return _Found(int(time[1]), int(time[2] or 0), name, where, int(size[1]))
    found = entry.stat(follow_symlinks=False)
    seconds, microseconds = (int(found.st_mtime), 0) if time is None else (int(time[1]), int(time[2] or 0))
    return _Found(seconds, microseconds, name, where, found.st_size if size is None else int(size[1]))


def unique_id(name: bytes) -> bytes:
    """Return the unique id (RFC 1939 7) of a message whose file has this name.

    It is the name up to the colon, as qmail-pop3d's; where that is no unique id, as too long, a hash of it.
    """
    unique = name.partition(b":")[0]
    return unique if _PLAIN_ID.fullmatch(unique) else hashlib.sha256(unique).hexdigest().encode()


def _is_marked(marked: bytes, number: int) -> bool:
    at = number - 1
    return at // 8 < len(marked) and bool(marked[at // 8] >> at % 8 & 1)
