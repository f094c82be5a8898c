"""What an account's passwords leave behind in the file of accounts, and application passwords.

An account has its own password, as an Argon2id hash, and any number of application passwords, each with a label.  Those
are made here and never chosen: 99 bits of chance cannot be guessed, so a plain SHA-256 of each serves, and a login with
one costs nothing.  Of every password there are SCRAM keys too, all of an account with one salt
(`protocol.sasl_scram`); and, only where a mechanism is switched on that needs it, the password in clear.
"""

import hashlib
from dataclasses import dataclass
from typing import NamedTuple

import apsw

from paperpath.protocol.sasl_scram import ITERATIONS, SALT_BYTES, ScramKey, ScramKeys, make_key
from paperpath.system.chance import random_bytes

SCHEMA = """
create table if not exists app_password (
    domain text not null,
    local_part text not null,
    label text not null,
    digest blob not null,
    created integer not null,
    primary key (domain, local_part, label)
) strict, without rowid;
create table if not exists scram_salt (
    domain text not null,
    local_part text not null,
    salt blob not null,
    iterations integer not null,
    primary key (domain, local_part)
) strict, without rowid;
create table if not exists login_key (
    domain text not null,
    local_part text not null,
    label text not null,
    stored_key blob not null,
    server_key blob not null,
    clear blob,
    primary key (domain, local_part, label)
) strict, without rowid;
"""

OWN = ""
"""Label of the account's own password."""
LABEL_MOST = 64
APP_PASSWORDS_MOST = 50
"""Of one account: each is one more comparison a login."""

Name = tuple[str, str]
"""Local part and domain."""


@dataclass(frozen=True, slots=True)
class AppPassword:
    """An application password; ``created`` in seconds since the epoch."""

    label: str
    created: int


class Compared(NamedTuple):
    """What is stored of an account's passwords, beside one that was given."""

    password_hash: str
    """Argon2id, of the account's own."""
    label: str | None
    """Of the application password that was given; None: it is none of them."""


def digest(password: bytes) -> bytes:
    """Return what is kept of an application password."""
    return hashlib.sha256(b"paperpath application password\x00" + password).digest()


def write_keys(db: apsw.Connection, name: Name, label: str, password: str, *, in_clear: bool) -> None:
    """Store what the mechanisms need to know of a password, which is prepared (SASLprep)."""
    local, domain = name
    fresh = (domain, local, random_bytes(SALT_BYTES), ITERATIONS)
    db.execute("insert or ignore into scram_salt values (?, ?, ?, ?)", fresh)
    salt, iterations = _salt(db, name) or (b"", 0)
    key = make_key(label, password, salt, iterations)
    clear = password.encode() if in_clear else None
    row = (domain, local, label, key.stored_key, key.server_key, clear)
    db.execute("insert or replace into login_key values (?, ?, ?, ?, ?, ?)", row)


def forget(db: apsw.Connection, name: Name) -> None:
    """Take everything away that is kept beside the account."""
    local, domain = name
    for table in ("app_password", "scram_salt", "login_key"):
        db.execute(f"delete from {table} where domain = ? and local_part = ?", (domain, local))  # noqa: S608


def scram_keys(db: apsw.Connection, name: Name) -> ScramKeys | None:
    """Return the keys of all passwords of an account, None where there are none."""
    found = _salt(db, name)
    if found is None:
        return None
    rows = db.execute(
        "select label, stored_key, server_key from login_key where domain = ? and local_part = ?", name[::-1]
    )
    return ScramKeys(
        *found, tuple(ScramKey(str(label), _blob(stored), _blob(server)) for label, stored, server in rows)
    )


def clear_passwords(db: apsw.Connection, name: Name) -> tuple[tuple[str, bytes], ...]:
    """Return those passwords of an account that are kept in clear, with their labels."""
    rows = db.execute(
        "select label, clear from login_key where domain = ? and local_part = ? and clear is not null", name[::-1]
    )
    return tuple((str(label), _blob(clear)) for label, clear in rows)


def compare(db: apsw.Connection, name: Name, password: bytes) -> Compared | None:
    """Return what can be told of a password without hashing, None where there is no such account."""
    row = db.execute(
        # Looked up by its digest: how long that takes tells about the digest, from which nothing follows.
        "select password_hash, (select label from app_password where domain = ?1 and local_part = ?2 and digest = ?3)"
        " from account where domain = ?1 and local_part = ?2",
        (*name[::-1], digest(password)),
    ).fetchone()
    return None if row is None else Compared(str(row[0]), None if row[1] is None else str(row[1]))


def compare_own(db: apsw.Connection, name: Name) -> Compared | None:
    """The same in a file that has no application passwords yet."""
    row = db.execute("select password_hash from account where domain = ? and local_part = ?", name[::-1]).fetchone()
    return None if row is None else Compared(str(row[0]), None)


def app_passwords(db: apsw.Connection, name: Name) -> list[AppPassword]:
    """Return an account's application passwords, by label."""
    rows = db.execute(
        "select label, created from app_password where domain = ? and local_part = ? order by 1", name[::-1]
    )
    return [AppPassword(str(label), int(str(created))) for label, created in rows]


def _salt(db: apsw.Connection, name: Name) -> tuple[bytes, int] | None:
    row = db.execute(
        "select salt, iterations from scram_salt where domain = ? and local_part = ?", name[::-1]
    ).fetchone()
    return None if row is None else (_blob(row[0]), int(str(row[1])))


def _blob(value: object) -> bytes:
    assert isinstance(value, bytes), "the column is a blob"
    return value
