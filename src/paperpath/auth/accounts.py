"""The accounts of `paperpath account`, read only.

A password is compared with the application passwords first, which costs nothing, then with what was right a while ago,
then hashed: in a thread, one at a time, behind a bounded line in which no address has more than a few places.  For a
name that is nobody's a hash is made all the same, so that time does not tell who exists.
"""

import asyncio
import os
from collections import Counter
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from functools import cache, partial
from typing import TypeVar

import apsw
from argon2 import PasswordHasher
from argon2.exceptions import InvalidHashError, VerificationError, VerifyMismatchError

from paperpath.auth.known import Known
from paperpath.auth.verdict import Client, Identity, Later, Unknown, Verdict
from paperpath.config import credentials
from paperpath.config.accounts import hash_password
from paperpath.config.credentials import Compared, Name
from paperpath.config.mailbox_path import account_name
from paperpath.protocol.sasl_prep import as_compared
from paperpath.protocol.sasl_scram import ScramKeys

T = TypeVar("T")

_WAITING_MOST = 200
"""Passwords that wait to be hashed, some 20 ms each: whoever stood behind them would have given up."""
_WAITING_FROM_ONE_PEER = 50
"""A web mail host has many users' logins at once after a restart; of one user's password there is one in line."""
_BUSY_MS = 2000
_NOT_YET = ("no such table",)
"""What SQLite says of a file that an older release wrote and no password was set in since."""


class AccountsFile:
    """Looks things up in the file of accounts.  Raises apsw.Error, which is temporary."""

    def __init__(self, path: str) -> None:
        self._path = path
        self._db: apsw.Connection | None = None
        self._file = (0, 0)

    def compare(self, name: Name, password: bytes) -> Compared | None:
        """Return what can be told of a password without hashing, None where there is no such account."""
        db = self._open()
        if db is None:
            return None
        try:
            return credentials.compare(db, name, password)
        except apsw.SQLError as error:
            if str(error).startswith(_NOT_YET):
                return credentials.compare_own(db, name)
            raise

    def scram_keys(self, name: Name) -> ScramKeys | None:
        """Return an account's SCRAM keys."""
        return self._look(lambda db: credentials.scram_keys(db, name), None)

    def clear_passwords(self, name: Name) -> tuple[tuple[str, bytes], ...]:
        """Return an account's passwords that are kept in clear."""
        return self._look(lambda db: credentials.clear_passwords(db, name), ())

    def close(self) -> None:
        """Let go of the file."""
        if self._db is not None:
            self._db.close()
            self._db = None

    def _look(self, read: Callable[[apsw.Connection], T], nothing: T) -> T:
        db = self._open()
        if db is None:
            return nothing
        try:
            return read(db)
        except apsw.SQLError as error:
            if str(error).startswith(_NOT_YET):
                return nothing
            raise

    def _open(self) -> apsw.Connection | None:
        """Return the file that the path names now: `init`, or a restored copy, puts another one there."""
        try:
            found = os.stat(self._path)
        except FileNotFoundError:
            self.close()
            return None
        if self._db is None or self._file != (found.st_dev, found.st_ino):
            self.close()
            self._db = apsw.Connection(self._path, flags=apsw.SQLITE_OPEN_READONLY)
            self._db.set_busy_timeout(_BUSY_MS)
            self._file = found.st_dev, found.st_ino
        return self._db


class AccountsBackend:
    """Judges passwords of accounts."""

    def __init__(self, file: AccountsFile, default_domain: str, known: Known) -> None:
        self._file, self._default_domain, self._known = file, default_domain, known
        self._thread = ThreadPoolExecutor(max_workers=1, thread_name_prefix="argon2")
        self._waiting: Counter[str] = Counter()
        self._judging: dict[bytes, asyncio.Future[bool | Unknown]] = {}
        """What is in line or being hashed: who comes with the same shares the answer."""

    def account(self, name: str) -> Name | None:
        """Return which account a user name means, None where it can be none."""
        if "@" not in name and self._default_domain:
            name = f"{name}@{self._default_domain}"
        return account_name(name.encode())

    def check(self, name: str, password: bytes, client: Client) -> Verdict | Later[Verdict]:
        """Tell whose password this is."""
        account = self.account(name)
        try:
            found = None if account is None else self._file.compare(account, password)
        except (apsw.Error, OSError) as error:
            return Unknown(f"the file of accounts cannot be read: {error}")
        if account is None or found is None:
            return partial(self._judge_nobodys, name if account is None else "@".join(account), password, client)
        address, (stored, label) = "@".join(account), found
        if label is not None:
            return Identity(address, label)
        parts = (b"accounts", address.encode(), password, stored.encode())
        return self._known.find(*parts) or partial(self._judge, address, stored, parts, client)

    def close(self) -> None:
        """Judge nothing more."""
        self._thread.shutdown(wait=False, cancel_futures=True)

    async def _judge_nobodys(self, name: str, password: bytes, client: Client) -> Verdict:
        refusal = await self._hash_once(_nobodys_hash(), (b"nobody", name.encode(), password), client)
        return refusal if isinstance(refusal, Unknown) else None

    async def _judge(self, address: str, stored: str, parts: tuple[bytes, ...], client: Client) -> Verdict:
        good = await self._hash_once(stored, parts, client)
        if not isinstance(good, bool):
            return good
        if not good:
            return None
        identity = Identity(address)
        self._known.add(identity, *parts)
        return identity

    async def _hash_once(self, stored: str, parts: tuple[bytes, ...], client: Client) -> bool | Unknown:
        """Hash; who comes with the same meanwhile waits for that, also where it is nobody's: time must not tell."""
        mac = self._known.mac(*parts)
        judging = self._judging.get(mac)
        if judging is None:
            judging = self._judging[mac] = asyncio.ensure_future(self._hash(stored, parts[2], client))
            judging.add_done_callback(lambda _: self._judging.pop(mac, None))
        return await asyncio.shield(judging)  # who asked first may be gone before it is known

    async def _hash(self, stored: str, password: bytes, client: Client) -> bool | Unknown:
        """Hash, in line with others."""
        waiting, peer = self._waiting, client.peer
        if waiting.total() >= _WAITING_MOST or waiting[peer] >= _WAITING_FROM_ONE_PEER:
            return Unknown("too many logins wait")
        waiting[peer] += 1
        try:
            return await asyncio.get_running_loop().run_in_executor(self._thread, _is_right, stored, password)
        finally:
            waiting[peer] -= 1
            if not waiting[peer]:
                del waiting[peer]


def _is_right(stored: str, password: bytes) -> bool | Unknown:
    try:
        return PasswordHasher().verify(stored, as_compared(password))
    except VerifyMismatchError:
        return False
    except (InvalidHashError, VerificationError) as error:
        return Unknown(f"a stored password hash is damaged: {type(error).__name__}")


@cache
def _nobodys_hash() -> str:
    return hash_password("nobody has this password")
