"""The accounts of `paperpath account`: a row with a password hash for logins, a Maildir for deliveries.

For deliveries an account exists where its Maildir does; for logins, where its row is.  `add` makes the
Maildir first and the row last, `remove` takes them away in the opposite order; either can be run again after
a crash and finishes what was begun.  A removed mailbox is moved aside, never deleted unasked.

The file is read by `auth` (`auth.accounts`) and written by root (or by whoever tries Paperpath out without root).
"""

import os
from collections.abc import Iterator
from contextlib import closing, contextmanager
from dataclasses import dataclass

import apsw

from paperpath.config import credentials
from paperpath.config.credentials import APP_PASSWORDS_MOST, LABEL_MOST, OWN, AppPassword
from paperpath.config.mailbox_path import REMOVED, account_name, mailbox_folder
from paperpath.protocol.sasl_prep import prepared
from paperpath.system.files import make_folders_durably, rename_durably
from paperpath.system.folders import acting_as_owner_of, give, remove_tree

# Argon2id as OWASP's Password Storage Cheat Sheet recommends it: 19 MiB make guessing on graphics cards dear,
# and two passes take some 20 ms, so that a login costs little and a few of them cannot keep `auth` busy.
ARGON2_MEMORY_KIB = 19 * 1024
ARGON2_PASSES = 2
ARGON2_LANES = 1

_MAILBOX_MODE = 0o700
_FILE_MODE = 0o640
_BUSY_MS = 10_000
_STAGED = ".new"
"""Folder beside the domains where a Maildir is made before it appears whole, under its name."""

_SCHEMA = """
create table if not exists account (
    domain text not null,
    local_part text not null,
    password_hash text not null,
    created integer not null,
    primary key (domain, local_part)
) strict, without rowid
"""


class AccountError(ValueError):
    """The account cannot be what was asked for; says why."""


@dataclass(frozen=True, slots=True)
class Account:
    """One account; ``created`` is in seconds since the epoch."""

    address: str
    created: int
    folder: str
    """Where its ``Maildir`` is."""


class Accounts:
    """The accounts in one file, with their mailboxes under ``mail_root``."""

    def __init__(self, file: str, mail_root: str, *, keeps_clear: bool = False) -> None:
        self._file = file
        self._mail_root = mail_root
        self._keeps_clear = keeps_clear
        """Whether passwords are kept in clear too, for CRAM-MD5 and APOP."""

    def add(self, address: str, password: str, now: int) -> Account:
        """Create an account; a mailbox that is there already is taken over with its mail.

        Raises AccountError where the address cannot be an account or is one already; OSError, apsw.Error.
        """
        local, domain = self._name(address)
        password = _prepared(password)
        with self._open() as db:
            if db.execute("select 1 from account where domain = ? and local_part = ?", (domain, local)).fetchone():
                raise AccountError(f"{local}@{domain} exists already")
            self._make_mailbox(local, domain)
            db.execute("insert into account values (?, ?, ?, ?)", (domain, local, hash_password(password), now))
            self._write_keys(db, (local, domain), OWN, password)
        return Account(f"{local}@{domain}", now, self._folder(local, domain))

    def set_password(self, address: str, password: str) -> None:
        """Replace the password.  Raises AccountError where there is no such account."""
        local, domain = self._name(address)
        password = _prepared(password)
        with self._open() as db:
            db.execute(
                "update account set password_hash = ? where domain = ? and local_part = ?",
                (hash_password(password), domain, local),
            )
            if not db.changes():
                raise AccountError(f"there is no account {local}@{domain}")
            self._write_keys(db, (local, domain), OWN, password)

    def add_app_password(self, address: str, label: str, password: str, now: int) -> None:
        """Let ``password``, which must be drawn by chance, log in too.  Raises AccountError."""
        name = self._name(address)
        if not 0 < len(label) <= LABEL_MOST or not label.isprintable():
            raise AccountError(f"a label has 1 to {LABEL_MOST} printable characters")
        with self._open() as db:
            self._must_exist(db, name)
            held = credentials.app_passwords(db, name)
            if label in {one.label for one in held}:
                raise AccountError(f"{address} has an application password {label!r} already")
            if len(held) >= APP_PASSWORDS_MOST:
                raise AccountError(f"{address} has {APP_PASSWORDS_MOST} application passwords; remove one first")
            row = (*name[::-1], label, credentials.digest(password.encode()), now)
            db.execute("insert into app_password values (?, ?, ?, ?, ?)", row)
            self._write_keys(db, name, label, password)

    def remove_app_password(self, address: str, label: str) -> None:
        """Let it log in no more, from the next login on.  Raises AccountError where there is none."""
        name = self._name(address)
        with self._open() as db:
            for table in ("login_key", "app_password"):
                db.execute(
                    f"delete from {table} where domain = ? and local_part = ? and label = ?",  # noqa: S608
                    (*name[::-1], label),
                )
            if not label or not db.changes():
                raise AccountError(f"{address} has no application password {label!r}")

    def app_passwords(self, address: str) -> list[AppPassword]:
        """Return the application passwords of an account.  Raises AccountError where there is no such account."""
        name = self._name(address)
        with self._open() as db:
            self._must_exist(db, name)
            return credentials.app_passwords(db, name)

    def remove(self, address: str, now: int, *, delete_mail: bool) -> str | None:
        """Take an account away; return where its mail was moved to, or None where there is none any more.

        Raises AccountError where there is neither a row nor a mailbox.
        """
        local, domain = self._name(address)
        with self._open() as db:
            db.execute("delete from account where domain = ? and local_part = ?", (domain, local))
            had_row = bool(db.changes())
            credentials.forget(db, (local, domain))
        folder = self._folder(local, domain)
        if not os.path.isdir(folder):
            if not had_row:
                raise AccountError(f"there is no account {local}@{domain}")
            return None
        with acting_as_owner_of(self._mail_root):
            aside = self._set_aside(folder, f"{local}@{domain}.{now}")
            if not delete_mail:
                return aside
            remove_tree(aside)
        return None

    def all(self) -> list[Account]:
        """Return every account, by domain and name.  Raises PermissionError where this user may not look."""
        try:
            os.stat(self._file)
        except FileNotFoundError:
            return []
        with self._open() as db:
            rows = db.execute("select domain, local_part, created from account order by 1, 2").fetchall()
        names = [(str(domain), str(local), int(str(created))) for domain, local, created in rows]
        return [Account(f"{name}@{domain}", at, self._folder(name, domain)) for domain, name, at in names]

    def _name(self, address: str) -> tuple[str, str]:
        name = account_name(address.encode("utf-8", "surrogateescape"))
        if name is None:
            raise AccountError(
                f"{address!r} cannot be an account: before the @ stand up to 64 letters, digits and _ . + = -,"
                " beginning with a letter, digit or _"
            )
        return name

    def _must_exist(self, db: apsw.Connection, name: credentials.Name) -> None:
        if not db.execute("select 1 from account where domain = ? and local_part = ?", name[::-1]).fetchone():
            raise AccountError(f"there is no account {'@'.join(name)}")

    def _write_keys(self, db: apsw.Connection, name: credentials.Name, label: str, password: str) -> None:
        credentials.write_keys(db, name, label, password, in_clear=self._keeps_clear)

    def _folder(self, local: str, domain: str) -> str:
        folder = mailbox_folder(self._mail_root, f"{local}@{domain}".encode())
        assert folder is not None, "the name has passed account_name"
        return folder

    def _make_mailbox(self, local: str, domain: str) -> None:
        """Make the Maildir beside, whole, then give it its name."""
        folder = self._folder(local, domain)
        maildir = os.path.join(folder, "Maildir")
        if os.path.isdir(maildir):
            return
        staged = os.path.join(self._mail_root, _STAGED, f"{local}@{domain}")
        with acting_as_owner_of(self._mail_root):
            for name in ("tmp", "new", "cur"):
                make_folders_durably(os.path.join(staged, name), _MAILBOX_MODE)
            make_folders_durably(folder, _MAILBOX_MODE)
            rename_durably(staged, maildir)

    def _set_aside(self, folder: str, name: str) -> str:
        removed = os.path.join(self._mail_root, REMOVED)
        make_folders_durably(removed, _MAILBOX_MODE)
        aside = os.path.join(removed, name)
        number = 1
        while os.path.lexists(aside):
            number += 1
            aside = os.path.join(removed, f"{name}.{number}")
        rename_durably(folder, aside)
        return aside

    @contextmanager
    def _open(self) -> Iterator[apsw.Connection]:
        """Open the file for one transaction, taken for writing at once so that nobody else's comes between."""
        is_new = not os.path.exists(self._file)
        with closing(apsw.Connection(self._file)) as db:
            if is_new:
                # The folder's group is the one of `auth`, which may read.
                give(self._file, -1, os.stat(os.path.dirname(self._file)).st_gid, _FILE_MODE)
            db.set_busy_timeout(_BUSY_MS)
            db.execute("pragma synchronous = full")
            db.execute("begin immediate")
            try:
                db.execute(_SCHEMA)
                db.execute(credentials.SCHEMA)
                yield db
                db.execute("commit")
            except BaseException:
                if db.in_transaction:
                    db.execute("rollback")
                raise


def _prepared(password: str) -> str:
    """Return the form of it in which it is stored and compared.  Raises AccountError."""
    try:
        return prepared(password)
    except ValueError as error:
        raise AccountError(f"the password cannot be used: it {error}") from None


def hash_password(password: str) -> str:
    """Return the Argon2id hash, in the usual ``$argon2id$…`` form, with a fresh salt."""
    from argon2 import PasswordHasher  # the listing of accounts has no use for it

    hasher = PasswordHasher(time_cost=ARGON2_PASSES, memory_cost=ARGON2_MEMORY_KIB, parallelism=ARGON2_LANES)
    return hasher.hash(password)
