"""The attempts of one process that asks: what it sends is as hostile as the network."""

import asyncio
from collections.abc import Callable
from functools import partial
from typing import TypeVar

from paperpath.auth.attempt import End, Exchange, Said, mechanism
from paperpath.auth.bench import Bench
from paperpath.auth.judge import addresses_of
from paperpath.auth.uses import Uses
from paperpath.auth.verdict import Client, Identity, Later, Unknown
from paperpath.base.text import show
from paperpath.process.passes import PASS_NONCE_BYTES, make_pass
from paperpath.protocol.sasl import BAD_NAME, Say, user_name
from paperpath.system.chance import random_bytes
from paperpath.system.channel import Channel
from paperpath.system.clock import monotonic, now
from paperpath.telemetry.events import LoginFailed, LoginSucceeded
from paperpath.telemetry.log import Log
from paperpath.wire.frame import VERSION, Hello
from paperpath.wire.logins import (
    OPENING,
    RESPONSE_MOST_BYTES,
    VOUCHED,
    Abandon,
    Challenge,
    LoggedIn,
    Login,
    LoginRefused,
    Respond,
)

_ATTEMPTS_MOST = 20_000
"""Of one process: twice the sessions that `receive` has by default."""
_TEXT_MOST = 64
_NOT_OFFERED = "mechanism not offered"

T = TypeVar("T")


class _Attempt:
    """One that is open; ``task`` runs while something is waited for, and it is not the client."""

    __slots__ = ("began", "exchange", "login", "task")

    def __init__(self, login: Login, exchange: Exchange) -> None:
        self.login, self.exchange = login, exchange
        self.began = monotonic()
        self.task: asyncio.Task[None] | None = None


class Desk:
    """Serves one channel."""

    def __init__(self, bench: Bench, uses: Uses, log: Log) -> None:
        self.bench = bench
        """By which logins are judged that begin from now on."""
        self._uses, self._log = uses, log
        self._open: dict[int, _Attempt] = {}
        self.channel: Channel

    def take(self, frame: Hello | Login | Respond | Abandon, _descriptor: int | None) -> None:
        """Take a frame.  Raises ValueError for one that is out of place."""
        match frame:
            case Login():
                self._begin(frame)
            case Respond():
                self._respond(frame)
            case Abandon(ticket=ticket):
                self._abandon(ticket)
            case Hello(version=version) if version != VERSION:
                raise ValueError("another version")

    def ended(self, _reason: str) -> None:
        """Whoever asked is gone."""
        for ticket in list(self._open):
            self._abandon(ticket)

    @property
    def under_way(self) -> list[asyncio.Task[None]]:
        """What is being judged."""
        return [attempt.task for attempt in self._open.values() if attempt.task is not None]

    def _begin(self, login: Login) -> None:
        ticket = login.ticket
        if ticket in self._open or max(len(login.service), len(login.peer), len(login.mechanism)) > _TEXT_MOST:
            raise ValueError("not an attempt")
        if login.mechanism == VOUCHED:
            self._vouched(login)
            return
        settings = self.bench.settings
        machine = mechanism(login, settings.hostname, settings.mechanisms)
        if machine is None or len(login.initial or b"") > RESPONSE_MOST_BYTES:
            self.channel.send(LoginRefused(ticket, _NOT_OFFERED, temporary=False, malformed=True))
        elif len(self._open) >= _ATTEMPTS_MOST:
            self.channel.send(LoginRefused(ticket, "too many logins at once", temporary=True))
        else:
            client = Client(login.service, login.peer, login.secure)
            attempt = self._open[ticket] = _Attempt(login, Exchange(machine, self.bench.judge, client))
            self._step(attempt, attempt.exchange.start, login.initial)

    def _vouched(self, login: Login) -> None:
        name = user_name(login.initial or b"")
        if name is None:
            self.channel.send(LoginRefused(login.ticket, BAD_NAME.reason, temporary=False, malformed=True))
        else:
            self._succeeded(login, monotonic(), self.bench.judge.vouched(name))

    def _respond(self, frame: Respond) -> None:
        attempt = self._open.get(frame.ticket)
        if attempt is None:
            return  # it crossed the end of the attempt
        if attempt.task is not None:
            raise ValueError("a response out of turn")
        self._step(attempt, attempt.exchange.respond, frame.response)

    def _abandon(self, ticket: int) -> None:
        attempt = self._open.pop(ticket, None)
        if attempt is None:
            return
        attempt.exchange.abandon()
        if attempt.task is not None:
            attempt.task.cancel()

    def _step(self, attempt: _Attempt, take: Callable[[T], Said | Later[Said]], given: T) -> None:
        try:
            said = take(given)
        except Exception as error:
            said = _defect(error)
        if isinstance(said, partial):
            attempt.task = asyncio.create_task(self._wait_for(attempt, said, self.bench.settings.timeout_s))
        else:
            self._said(attempt, said)

    async def _wait_for(self, attempt: _Attempt, judging: Later[Said], timeout_s: float) -> None:
        said: Said
        try:
            async with asyncio.timeout(timeout_s):
                said = await judging()
        except TimeoutError:
            attempt.exchange.abandon()  # who runs it elsewhere would wait for more
            said = Unknown("judging it took too long")
        except Exception as error:
            said = _defect(error)
        attempt.task = None
        self._said(attempt, said)

    def _said(self, attempt: _Attempt, said: Said) -> None:
        if isinstance(said, Say):
            self.channel.send(Challenge(attempt.login.ticket, said.data))
        else:
            self._end(attempt, said)

    def _end(self, attempt: _Attempt, end: End) -> None:
        del self._open[attempt.login.ticket]
        if isinstance(end, Identity):
            self._succeeded(attempt.login, attempt.began, end)
        else:
            self._failed(attempt, end.reason, temporary=isinstance(end, Unknown), malformed=_is_malformed(end))

    def _succeeded(self, login: Login, began: float, identity: Identity) -> None:
        settings, account = self.bench.settings, identity.account
        door_pass = b""
        # Nobody is let into a mailbox on somebody else's word.
        if login.service in OPENING and login.mechanism != VOUCHED:
            door_pass = make_pass(settings.pass_key, account, now=now(), nonce=random_bytes(PASS_NONCE_BYTES))
        addresses = addresses_of(account, settings.system_domains, settings.senders)
        self.channel.send(LoggedIn(login.ticket, account, addresses, b"", door_pass))
        if identity.label:
            self._uses.note(account, identity.label, login.service, login.peer)
        self._log.emit(
            LoginSucceeded(
                service=login.service,
                peer=login.peer,
                account=show(account.encode()),
                mechanism=login.mechanism,
                app_password=show(identity.label.encode()) if identity.label else None,
                duration_s=monotonic() - began,
            )
        )

    def _failed(self, attempt: _Attempt, reason: str, *, temporary: bool, malformed: bool) -> None:
        login = attempt.login
        self.channel.send(LoginRefused(login.ticket, reason, temporary, malformed))
        self._log.emit(
            LoginFailed(
                service=login.service,
                peer=login.peer,
                user=show(attempt.exchange.name.encode()),
                mechanism=login.mechanism,
                temporary=int(temporary),
                reason=reason,
                duration_s=monotonic() - attempt.began,
            )
        )


def _defect(error: Exception) -> Unknown:
    """Tell of a defect of ours, which says nothing about the password."""
    context = {"message": "judging a login", "exception": error}
    asyncio.get_running_loop().call_exception_handler(context)
    return Unknown("internal error")


def _is_malformed(end: End) -> bool:
    return bool(getattr(end, "malformed", False))
