"""Who a recipient is: the account, where mail for it goes, and the worker that brings it there.

An address in a domain of ``[mailboxes]`` is a mailbox of `paperpath account`.  Any other belongs to a system
account, found as qmail-getpw finds it: the longest name of an account that ends at a ``-``.

"No such recipient" is said only where everything that could know was asked and said so.  Any error, and a
user who is there but has no Maildir, is ``CannotTell``: temporary.
"""

import errno
import os
import re
import stat
from collections.abc import Callable, Iterator
from dataclasses import dataclass

from paperpath.base.address import split
from paperpath.config.mailbox_path import mailbox_folder
from paperpath.system.users import User, find_user
from paperpath.wire.accounts import Account

MAILBOXES = "mailboxes"
"""The worker that delivers to the mailboxes of `paperpath account`."""
_USER_PREFIX = "user:"

_BREAK = b"-"
_NAME_MOST_BYTES = 31
"""qmail-getpw's bound on a name that it asks the user database for."""
_NAME = re.compile(rb"[!-.0-9;-~]{1,%d}" % _NAME_MOST_BYTES)
"""Printable ASCII, without what a path or a line of the user database is made of."""

_NOT_THERE = {errno.ENOENT, errno.ENOTDIR}


class CannotTell(Exception):
    """Temporary: the answer is not known now.  Its text says why."""


@dataclass(frozen=True, slots=True)
class Recipient:
    """An address that mail can be delivered for."""

    worker: str
    account: Account


@dataclass(frozen=True, slots=True)
class Identity:
    """Whom a worker runs as, and the folder it keeps to."""

    user: str
    folder: str
    become: bool
    """Whether that is to be another user than this process is."""


@dataclass(frozen=True, slots=True)
class Accounts:
    """All that `local` knows of accounts; reads what is on disk now, at every question."""

    mail: str
    mail_user: str
    mailbox_domains: frozenset[bytes]
    delivers_as: int | None
    """0: as any user.  Another id: as that user only.  None: as no system account; the mailboxes are always
    there."""
    find_user: Callable[[str], User | None] = find_user
    stat: Callable[[str], os.stat_result] = os.stat

    def find(self, address: bytes) -> Recipient | None:
        """Return the recipient, or None where there is none for certain.  Raises CannotTell."""
        local, domain = split(address)
        try:
            if domain.lower() in self.mailbox_domains:
                return self._mailbox(local, domain)
            return self._system_account(local)
        except OSError as error:
            raise CannotTell(f"looking for the account: {error.strerror}") from error

    def identity(self, worker: str) -> Identity:
        """Return whom to start the worker of this name as.  Raises CannotTell."""
        if worker == MAILBOXES:
            return Identity(self.mail_user, self.mail, become=self.delivers_as == 0)
        try:
            user = self._eligible(worker.removeprefix(_USER_PREFIX).encode("utf-8", "replace"))
        except OSError as error:
            raise CannotTell(f"looking for the account: {error.strerror}") from error
        if user is None or worker != _USER_PREFIX + user.name:
            raise CannotTell("no worker has this name")
        self._check_own(user)
        return Identity(user.name, user.home, become=self.delivers_as == 0)

    def _mailbox(self, local: bytes, domain: bytes) -> Recipient | None:
        for name in _without_tag(local):
            folder = mailbox_folder(self.mail, name + b"@" + domain)
            if folder is not None and self._is_folder(folder):
                self._check_maildir(folder)
                return Recipient(MAILBOXES, Account(self.mail_user, folder, b"", b""))
        return None

    def _system_account(self, local: bytes) -> Recipient | None:
        for name, dash, _extension in _candidates(local):
            user = self._eligible(name)
            if user is not None:
                self._check_own(user)
                return self._default_delivery(user) if not dash else None
        return None

    def _default_delivery(self, user: User) -> Recipient:
        self._check_maildir(user.home)
        return Recipient(_USER_PREFIX + user.name, Account(user.name, user.home, b"", b""))

    def _eligible(self, name: bytes) -> User | None:
        """Return the account if mail may be delivered for it: not root's, and its home is there and its
        own."""
        if not _NAME.fullmatch(name):
            return None
        user = self.find_user(name.decode("ascii"))
        if user is None or user.uid == 0 or not user.home.startswith("/"):
            return None
        try:
            if self.stat(user.home).st_uid != user.uid:
                return None
        except OSError as error:
            if error.errno in _NOT_THERE:
                return None
            raise
        return User(user.name, user.uid, user.gid, os.path.normpath(user.home))

    def _check_own(self, user: User) -> None:
        if self.delivers_as not in {0, user.uid}:
            raise CannotTell(f"delivering to {user.name} needs root, and separate users")

    def _check_maildir(self, home: str) -> None:
        try:
            there = self._is_folder(home + "/Maildir")
        except PermissionError:
            return  # a home on NFS that root may not look into: its owner's worker will find out
        if not there:
            raise CannotTell("the account has no Maildir")

    def _is_folder(self, path: str) -> bool:
        try:
            return stat.S_ISDIR(self.stat(path).st_mode)
        except OSError as error:
            if error.errno in _NOT_THERE:
                return False
            raise


def _candidates(local: bytes) -> Iterator[tuple[bytes, bytes, bytes]]:
    """Yield the ways to read a local part as account name, dash and extension: the longest name first."""
    yield local.lower(), b"", b""
    at = local.rfind(_BREAK)
    while at >= 0:
        yield local[:at].lower(), _BREAK, local[at + 1 :]
        at = local.rfind(_BREAK, 0, at)


def _without_tag(local: bytes) -> Iterator[bytes]:
    yield local
    name, plus, _ = local.partition(b"+")
    if plus:
        yield name
