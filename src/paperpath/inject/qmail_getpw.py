"""qmail-getpw: whose a local part is where users/cdb does not say (qmail-interfaces 4.5)."""

import os

from paperpath.config.users import getpw
from paperpath.inject.command import PERMANENT
from paperpath.system import injection
from paperpath.system.users import User, find_user

HOME_NOT_READABLE, NO_ALIAS, DATABASE_NOT_READABLE = 115, 116, 118


class NoDatabase(Exception):
    """The user database could not be asked."""


def main(argv: list[str]) -> int:
    """Print user, uid, gid, home, dash and extension, a NUL behind each."""
    if len(argv) < 2:
        return PERMANENT
    try:
        found = getpw(os.fsencode(argv[1]), _find)
    except NoDatabase:
        return DATABASE_NOT_READABLE
    except OSError:
        return HOME_NOT_READABLE
    if found is None:
        return NO_ALIAS
    account = _find(found.user)
    home = found.home if account is None else account.home  # as the database spells it
    fields = (found.user, str(found.uid), str(found.gid), home, found.dash, found.extension)
    injection.write_all(1, b"".join([os.fsencode(field) + b"\0" for field in fields]))
    return 0


def _find(name: str) -> User | None:
    try:
        return find_user(name)
    except OSError as error:
        raise NoDatabase from error
