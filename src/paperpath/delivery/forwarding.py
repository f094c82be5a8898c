"""What stands beside dot-qmail files: a user's .forward, and the table of aliases of the whole host.

They are read by the worker, as the user they speak for: .forward as its owner, the table and its lists as the alias
user.  Both are trusted as dot-qmail files are: what anybody may write to is nobody's word, and makes mail wait.
"""

import errno
import os
import stat
from collections.abc import Callable
from dataclasses import dataclass

from paperpath.base.aliases import Expansion
from paperpath.base.cdb import Cdb
from paperpath.base.outcome import Deferred, Failed
from paperpath.config.cdb_file import CdbFile
from paperpath.delivery.checks import FORBIDDEN_MODE, read_instructions
from paperpath.delivery.errand import Refused
from paperpath.message.forward_file import BadForwardFile, ForwardFile, read_forward_file
from paperpath.message.rewriting import Rewriter

FORWARD_FILE = ".forward"
_FORWARD_FILE_MOST_BYTES = 1024 * 1024
_LIST_MOST_BYTES = 64 * 1024 * 1024
_NOT_THERE = {errno.ENOENT, errno.ENOTDIR, errno.ELOOP}


@dataclass(frozen=True, slots=True)
class FollowForward:
    """Do what a .forward says; what comes after it is done only where it says so too."""

    content: bytes
    rewriter: Rewriter

    def read(self, user: bytes, host: bytes) -> ForwardFile:
        """Return what it says of mail for this user at this host.  Raises Refused."""
        try:
            return read_forward_file(self.content, self.rewriter, user, host)
        except BadForwardFile as error:
            raise Refused(Deferred(f"Uh-oh: .forward: {error}", code="3.5")) from None


@dataclass(frozen=True, slots=True)
class FollowAliases:
    """Do what the table of aliases says about the recipient."""

    file: CdbFile

    def expand(self, recipient: bytes, sender: bytes, run: Callable[[bytes], None]) -> tuple[bytes, list[bytes]]:
        """Return the sender and the addresses that the message goes on with.  Raises Refused, and what ``run`` does."""
        try:
            expansion = Expansion(self._table(), sender, run, _read_list)
            if not expansion.expand(recipient):
                raise Refused(Failed("Sorry, no mailbox here by that name.", code="1.1"))
        except OSError as error:
            raise Refused(Deferred(f"Unable to read the aliases: {_described(error)}.", code="3.0")) from None
        except ValueError as error:
            raise Refused(Deferred(f"Unable to use the aliases: {error}.", code="3.5")) from None
        return expansion.sender, expansion.addresses

    def _table(self) -> Cdb:
        if os.stat(self.file.path).st_mode & FORBIDDEN_MODE:
            raise Refused(Deferred("Uh-oh: the table of aliases is writable.", code="7.0"))
        table = self.file.load()
        if table is None:
            raise FileNotFoundError(errno.ENOENT, os.strerror(errno.ENOENT), self.file.path)
        return table


Follow = FollowForward | FollowAliases


@dataclass(frozen=True, slots=True)
class Besides:
    """Which of them count here."""

    aliases: CdbFile | None = None
    rewriter: Rewriter | None = None
    """Completes the addresses of .forward files; without one they are left alone."""

    def forward_file(self, home: str) -> tuple[FollowForward, ...]:
        """Return what to do with the .forward in a home: nothing where there is none, or an empty one.

        Raises Refused.
        """
        if self.rewriter is None:
            return ()
        content = _read_forward(os.path.join(home, FORWARD_FILE))
        return (FollowForward(content, self.rewriter),) if content else ()


NOTHING_BESIDES = Besides()


def _read_forward(path: str) -> bytes:
    try:
        found = read_instructions(os.fsencode(path), _FORWARD_FILE_MOST_BYTES, FORWARD_FILE)
    except OSError as error:
        if error.errno in _NOT_THERE:
            return b""
        raise Refused(Deferred(f"Unable to read .forward: {error.strerror}.", code="3.0")) from None
    return b"" if found is None else found[0]


def _read_list(path: bytes) -> bytes:
    """Return the content of a list that an alias names."""
    name = os.fsdecode(path)
    found = read_instructions(path, _LIST_MOST_BYTES, name)
    if found is None:
        raise OSError(errno.EINVAL, "not a regular file", name)
    if not found[1] & stat.S_IROTH:
        raise Refused(Deferred(f"Uh-oh: {name} is not world-readable.", code="7.0"))
    return found[0]


def _described(error: OSError) -> str:
    return f"{error.filename}: {error.strerror}" if error.filename else str(error.strerror)
