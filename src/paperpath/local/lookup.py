"""Who a recipient is: the account, where mail for it goes, and the worker that brings it there.

An address in a domain of ``[mailboxes]`` is a mailbox of `paperpath account`.  Any other belongs to a system
account, found as qmail finds it (`config.users`); what stands behind the account's name is there if a dot-qmail
file says what to do with it.

"No such recipient" is said only where everything that could know was asked and said so.  Any error, a user who is
there but has no Maildir, and a domain whose folder of mailboxes is missing, are ``CannotTell``: temporary.
"""

import errno
import os
import stat
from collections.abc import Callable
from dataclasses import dataclass, field

from paperpath.base.address import split
from paperpath.base.aliases import has_alias
from paperpath.base.dotqmail_names import candidates
from paperpath.config.cdb_file import CdbFile
from paperpath.config.mailbox_path import mailbox_folder, without_tag
from paperpath.config.users import ALIAS_USER, Assignment, Assignments, eligible, getpw
from paperpath.system.users import User, find_user
from paperpath.wire.accounts import NOBODY, Account

MAILBOXES = "mailboxes"
"""The worker that delivers to the mailboxes of `paperpath account`."""
_USER_PREFIX = "user:"
_TOLD = "~"
_ASSIGNED_PREFIX = "assigned:"

_THROWN_AWAY = Account("", "/", b"", b"")
_REMEMBERED_MOST = 10_000
_NOT_THERE = {errno.ENOENT, errno.ENOTDIR}
_NO_SUCH_FILE = _NOT_THERE | {errno.ENAMETOOLONG, errno.ELOOP, errno.EINVAL}
"""What a file that instructs a delivery is missing by: qmail-local goes on to the next name."""


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
    ids: tuple[int, int] | None = None
    """User and group id where users/cdb gives them; else they are the user's in the user database."""


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
    assignments: Assignments | None = None
    """On a qmail host; there an alias user is a must."""
    aliases: CdbFile | None = None
    """Aliases of what belongs to no account; then, too, an alias user is a must."""
    forward_files: bool = False
    """Whether a .forward tells what to do with an account's mail."""
    told: str = ""
    """Stands for what workers are told, in their names: those who live on with what was told before have other names.
    It is no count, since workers outlive the process that counted."""
    delivers_into_maildir: bool = True
    """Whether mail for an account without a dot-qmail file goes into its Maildir, which has to be there."""
    _assigned: dict[str, Identity] = field(default_factory=dict)
    """Workers of assigned accounts by name: only those that `find` named may be asked for."""

    def find(self, address: bytes) -> Recipient | None:
        """Return the recipient, or None where there is none for certain.  Raises CannotTell."""
        local, domain = split(address)
        try:
            if domain.lower() in self.mailbox_domains:
                return self._mailbox(local, domain)
            return self._system_account(local, domain)
        except OSError as error:
            raise CannotTell(f"looking for the account: {error.strerror}") from error

    def identity(self, worker: str) -> Identity:
        """Return whom to start the worker of this name as.  Raises CannotTell."""
        if worker == MAILBOXES:
            return Identity(self.mail_user, self.mail, become=self.delivers_as == 0)
        if worker in self._assigned:
            return self._assigned[worker]
        name = worker.removeprefix(_USER_PREFIX).removesuffix(self._suffix)
        if worker != _USER_PREFIX + name + self._suffix:
            raise CannotTell("no worker has this name")
        return self.owner(name)

    def owner(self, name: str) -> Identity:
        """Return whom a user of the system by this very name is delivered to and read as.  Raises CannotTell."""
        try:
            user = eligible(name.encode("utf-8", "replace"), self.find_user, self.stat)
        except OSError as error:
            raise CannotTell(f"looking for the account: {error.strerror}") from error
        if user is None or name != user.name:
            raise CannotTell("no worker has this name")
        self._check_own(user.name, user.uid)
        return Identity(user.name, user.home, become=self.delivers_as == 0)

    @property
    def _suffix(self) -> str:
        return f"{_TOLD}{self.told}" if self.told else ""

    def _mailbox(self, local: bytes, domain: bytes) -> Recipient | None:
        for name in without_tag(local):
            folder = mailbox_folder(self.mail, name + b"@" + domain)
            if folder is not None and self._is_folder(folder):
                self._check_maildir(folder)
                return Recipient(MAILBOXES, Account(self.mail_user, folder, b"", b""))
        if not self._is_folder(f"{self.mail}/{os.fsdecode(domain.lower())}"):
            # The first account of a domain makes its folder: without it the mailboxes may be on a volume not mounted.
            raise CannotTell("the mailboxes of the domain are not there")
        return None

    def _system_account(self, local: bytes, domain: bytes) -> Recipient | None:
        if not local:
            return Recipient(NOBODY, _THROWN_AWAY)
        if b"\0" in local:
            return None
        found = self._assignment(local)
        if found is None:
            found = getpw(local, self.find_user, self.stat)
        if found is None:
            if self.assignments is not None or self._has_alias(local + b"@" + domain):
                raise CannotTell("there is no alias user")
            return None
        self._check_own(found.user, found.uid)
        if not self._has_instructions(found):
            if found.dash:
                if found.user != ALIAS_USER or not self._has_alias(found.extension + b"@" + domain):
                    return None
            elif self.delivers_into_maildir and not self._has_forward_file(found.home):
                self._check_maildir(found.home)
        return Recipient(self._worker(found), Account(found.user, found.home, found.dash, found.extension))

    def _assignment(self, local: bytes) -> Assignment | None:
        if self.assignments is None:
            return None
        try:
            found = self.assignments.find(local)
        except ValueError as error:
            raise CannotTell(f"trouble with users/cdb: {error}") from error
        if found is not None and not self._is_folder(found.home):
            raise CannotTell("the account has no home")
        return found

    def _worker(self, found: Assignment) -> str:
        """Return the name of the worker for an account; one that is just a user of the system is called after it."""
        user = eligible(os.fsencode(found.user), self.find_user, self.stat)
        if user == User(found.user, found.uid, found.gid, found.home):
            return _USER_PREFIX + found.user + self._suffix
        name = f"{_ASSIGNED_PREFIX}{found.uid}:{found.gid}:{found.user}:{found.home}{self._suffix}"
        if len(self._assigned) >= _REMEMBERED_MOST:
            self._assigned.clear()
        self._assigned[name] = Identity(found.user, found.home, self.delivers_as == 0, (found.uid, found.gid))
        return name

    def _has_instructions(self, found: Assignment) -> bool:
        """Tell whether a dot-qmail file says what to do, as far as root may look."""
        for name in candidates(found.dash, found.extension):
            try:
                if stat.S_ISREG(self.stat(f"{found.home}/{os.fsdecode(name)}").st_mode):
                    return True
            except OSError as error:
                if isinstance(error, PermissionError) and not found.dash:
                    return True  # a home on NFS: its owner's worker will find out
                if error.errno not in _NO_SUCH_FILE:
                    raise
        return False

    def _has_alias(self, address: bytes) -> bool:
        """Tell whether the table of aliases, where there is to be one, has an address.  Raises CannotTell."""
        if self.aliases is None:
            return False
        try:
            table = self.aliases.load()
            if table is None:
                raise CannotTell("there is no table of aliases: newaliases makes it")
            return has_alias(table, address)
        except ValueError as error:
            raise CannotTell(f"trouble with the table of aliases: {error}") from error

    def _has_forward_file(self, home: str) -> bool:
        if not self.forward_files:
            return False
        try:
            return stat.S_ISREG(self.stat(home + "/.forward").st_mode)
        except OSError as error:
            if error.errno in _NO_SUCH_FILE or isinstance(error, PermissionError):
                return False
            raise

    def _check_own(self, user: str, uid: int) -> None:
        if uid == 0:
            raise CannotTell("root gets no mail")
        if self.delivers_as not in {0, uid}:
            raise CannotTell(f"delivering to {user} needs root, and separate users")

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
