"""An `auth` in this process, with accounts in a file, and a client that speaks to it as `receive` does."""

import asyncio
import socket
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import msgspec

from paperpath.auth.main import AuthRole
from paperpath.config.accounts import Accounts
from paperpath.process.logins import Attempt, Logins
from paperpath.process.settings import AuthSettings
from paperpath.system.clock import now
from paperpath.telemetry.log import Log
from paperpath.wire.logins import Challenge, LoginAnswer

NOW = 1_800_000_000
PASS_KEY = bytes(range(32))
MECHANISMS = frozenset(
    {"PLAIN", "LOGIN", "SCRAM-SHA-256", "SCRAM-SHA-256-PLUS", "CRAM-MD5", "APOP", "OAUTHBEARER", "XOAUTH2"}
)


class Scene:
    """The process, its log, its accounts and one client."""

    def __init__(self, folder: Path, **changes: Any) -> None:
        self.folder = folder
        self.lines: list[str] = []
        for name in ("accounts", "mail", "logins"):
            (folder / name).mkdir(exist_ok=True)
        self.accounts = Accounts(str(folder / "accounts/accounts.sqlite"), str(folder / "mail"), keeps_clear=True)
        given: dict[str, Any] = {
            "hostname": "mx.example.test",
            "run": str(folder),
            "log_as_json": False,
            "accounts_file": str(folder / "accounts/accounts.sqlite"),
            "uses_file": str(folder / "logins/uses.sqlite"),
            "backends": ("accounts",),
            "mechanisms": MECHANISMS,
            "default_domain": "",
            "timeout_s": 30,
            "cache_s": 60,
            "dovecot": "",
            "dovecot_mechanisms": (),
            "takes_tokens": False,
            "pass_key": PASS_KEY,
            "system_domains": ("example.test",),
            "senders": {},
            "client_users": (),
        } | changes
        self.settings = AuthSettings(**given)
        self.role = AuthRole(Log("auth", lambda data: self.lines.append(data.decode()), now))
        self._logins: Logins | None = None

    async def start(self) -> None:
        await self.role.configure(self.settings, [("auth", self.listener())])

    async def again(self, **changes: Any) -> None:
        """As after HUP."""
        self.settings = msgspec.structs.replace(self.settings, **changes)
        (self.folder / "auth").unlink()
        await self.role.configure(self.settings, [("auth", self.listener())])

    def listener(self) -> socket.socket:
        listener = socket.socket(socket.AF_UNIX)
        listener.bind(str(self.folder / "auth"))
        listener.listen()
        return listener

    @property
    def logins(self) -> Logins:
        if self._logins is None:
            self._logins = Logins(str(self.folder / "auth"), "receive")
        return self._logins

    async def stop(self) -> None:
        if self._logins is not None:
            self._logins.close()
        await self.role.drain(1)

    def begin(self, mechanism: str, initial: bytes | None = None, **more: Any) -> "Talk":
        return Talk(self.logins, mechanism, initial, **more)

    async def plain(self, name: str, password: str, **more: Any) -> LoginAnswer:
        return await self.begin("PLAIN", f"\0{name}\0{password}".encode(), **more).answer()


class Talk:
    """One attempt."""

    def __init__(self, logins: Logins, mechanism: str, initial: bytes | None, **more: Any) -> None:
        self.answers: asyncio.Queue[LoginAnswer] = asyncio.Queue()
        options: dict[str, Any] = {"service": "submission", "peer": "192.0.2.1", "secure": True} | more
        self.attempt: Attempt = logins.begin(mechanism, initial, self.answers.put_nowait, **options)

    async def answer(self) -> LoginAnswer:
        return await self.answers.get()

    async def challenge(self) -> bytes:
        answer = await self.answer()
        assert isinstance(answer, Challenge), answer
        return answer.data

    async def respond(self, response: bytes) -> LoginAnswer:
        self.attempt.respond(response)
        return await self.answer()


@asynccontextmanager
async def scene(folder: Path, **changes: Any) -> AsyncIterator[Scene]:
    made = Scene(folder, **changes)
    await made.start()
    try:
        yield made
    finally:
        await made.stop()
