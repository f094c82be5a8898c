"""checkpassword: runs a program for whoever knows the password of an account (qmail-interfaces 15.2).

The accounts are those of `paperpath account`.  Descriptor 3 holds name, password and a time stamp, a NUL behind each;
APOP cannot be answered, for only hashes of passwords are kept.
"""

import os
from contextlib import closing

import apsw

from paperpath.config.accounts import hash_password
from paperpath.config.mailbox_path import account_name, mailbox_folder
from paperpath.inject.command import TEMPORARY, fatal
from paperpath.inject.places import NoConfiguration, find_places
from paperpath.system import helpers, injection

REFUSED, MISUSED = 1, 2
_LOGIN = 3
_LOGIN_MOST_BYTES = 512
_BUSY_MS = 10_000
_HASH = "select password_hash from account where domain = ? and local_part = ?"


def main(argv: list[str]) -> int:
    """Become the program in the account's folder; return 1 where the password is not its, 2 and 111."""
    if len(argv) < 2:
        return MISUSED
    try:
        login = injection.read_to_end(_LOGIN, _LOGIN_MOST_BYTES)
        if login is None:
            return REFUSED
        words = login.split(b"\0")
        if len(words) < 3:
            return MISUSED
        state = find_places().state
        if not _is_known(state, words[0], words[1]):
            return REFUSED
        _go_home(state, words[0])
    except (OSError, NoConfiguration, apsw.Error) as error:
        return fatal("checkpassword", str(error), TEMPORARY)
    helpers.become([os.fsencode(word) for word in argv[1:]])
    return TEMPORARY


def _is_known(state: str, address: bytes, password: bytes) -> bool:
    """Tell whether an account has this password; that takes as long where there is no such account."""
    from argon2 import PasswordHasher
    from argon2.exceptions import InvalidHashError, VerificationError

    from paperpath.protocol.sasl_prep import as_compared

    name = account_name(address)
    known = None if name is None else _hash_of(state, *name)
    if known is None:
        hash_password(password.decode("latin-1"))
        return False
    try:
        return PasswordHasher().verify(known, as_compared(password))
    except (VerificationError, InvalidHashError):
        return False


def _hash_of(state: str, local: str, domain: str) -> str | None:
    """Return an account's hash.  Raises apsw.Error."""
    with closing(apsw.Connection(f"{state}/accounts/accounts.sqlite", flags=apsw.SQLITE_OPEN_READONLY)) as db:
        db.set_busy_timeout(_BUSY_MS)
        for (found,) in db.execute(_HASH, (domain, local)):
            return str(found)
    return None


def _go_home(state: str, address: bytes) -> None:
    """Be who owns the account's mailbox, in its folder.  Raises OSError."""
    folder = mailbox_folder(f"{state}/mail", address)
    assert folder is not None, "an account that is known has a folder"
    owner = os.stat(f"{folder}/Maildir")
    helpers.give_up_root_for(owner.st_uid, owner.st_gid)
    os.chdir(folder)
    os.environ.update(USER=os.fsdecode(address.lower()), HOME=folder, SHELL="/bin/sh")
