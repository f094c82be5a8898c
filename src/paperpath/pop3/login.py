"""The part of a session that logs in: asks `auth`, then `local` for the mailbox."""

from collections.abc import Callable
from typing import NamedTuple, Protocol

from paperpath.base.text import show
from paperpath.pop3.fetching import LATER
from paperpath.pop3.mailboxes import Box
from paperpath.pop3.service import Service
from paperpath.process.logins import Attempt
from paperpath.protocol.pop3 import Event, LoginGiven, Pop3Session, ResponseGiven
from paperpath.wire.guard import Offence
from paperpath.wire.logins import Challenge, LoggedIn, LoginAnswer, LoginRefused

_WRONG = "[AUTH] The login failed"
_MALFORMED = "[AUTH] The login is not well-formed"


class Peer(NamedTuple):
    """Who wants to log in, and over what."""

    service: str
    address: str
    secure: bool
    binding: bytes = b""
    """``tls-server-end-point``; empty where there is none."""


class Owner(Protocol):
    """What the session does for this part of it."""

    def go_on(self, events: list[Event], /) -> None:
        """Handle what the machine brought."""

    def trouble(self, reason: str, /) -> None:
        """Log it."""


class _Nobody:
    """In the place of a session that is over."""

    def go_on(self, _events: list[Event], /) -> None:
        pass

    def trouble(self, _reason: str, /) -> None:
        pass


class LoggingIn:
    """A session before its mailbox is open."""

    def __init__(self, owner: Owner, machine: Pop3Session, service: Service, on_box: Callable[[Box], None]) -> None:
        self._owner, self._machine, self._service, self._on_box = owner, machine, service, on_box
        self._attempt: Attempt | None = None
        self._peer: Peer
        self._logged_in: LoggedIn | None = None
        """Said by `auth`, while its last words are on their way to the client."""
        self._ticket = 0
        self.account = ""
        """Who it is, fit to be shown; empty until `auth` has said so."""
        self.reason = ""
        """Why the last login failed, for the log."""

    def begin(self, event: LoginGiven, peer: Peer) -> None:
        """Answer the machine's question."""
        self._peer = peer
        self._attempt = self._service.logins.begin(
            event.mechanism,
            event.initial,
            self._answered,
            service=peer.service,
            peer=peer.address,
            secure=peer.secure,
            binding_type="tls-server-end-point" if peer.binding else "",
            binding=peer.binding,
        )

    def respond(self, event: ResponseGiven) -> None:
        """Answer the machine's question."""
        if self._logged_in is not None:  # the client has heard the last words (RFC 5034 4)
            self._open(self._logged_in)
        elif self._attempt is not None:
            self._attempt.respond(event.data)

    def abandon(self) -> None:
        """Give up what is under way."""
        if self._attempt is not None:
            self._attempt.abandon()
        self._attempt = self._logged_in = None
        self._service.mailboxes.withdraw(self._ticket)

    def close(self) -> None:
        """The session is over.  It and this refer to one another, and TLS would stay until the collector comes."""
        self.abandon()
        self._owner, self._on_box = _Nobody(), Box.close

    def _answered(self, answer: LoginAnswer) -> None:
        match answer:
            case Challenge(data=data):
                self._owner.go_on(self._machine.challenge(data))
            case LoggedIn(data=data):
                self._attempt = None
                if data:
                    self._logged_in = answer
                    self._owner.go_on(self._machine.challenge(data))
                else:
                    self._open(answer)
            case LoginRefused():
                self._attempt = None
                self._refused(answer)

    def _refused(self, answer: LoginRefused) -> None:
        self.reason = answer.reason
        if answer.temporary:
            self._owner.go_on(self._machine.refuse_login(LATER, failed=False))
            return
        if not answer.malformed:
            detail = f"{self._peer.service}: {answer.reason}"
            self._service.guard.report(self._peer.address, Offence.LOGIN_FAILED, detail)
        self._owner.go_on(self._machine.refuse_login(_MALFORMED if answer.malformed else _WRONG, failed=True))

    def _open(self, answer: LoggedIn) -> None:
        self._logged_in = None
        self.account = show(answer.account.encode("utf-8", "replace"))
        self._ticket = self._service.mailboxes.open(answer.account, answer.door_pass, self._opened)

    def _opened(self, box: Box | str) -> None:
        self._ticket = 0
        if isinstance(box, Box):
            self.reason = ""
            self._on_box(box)
        else:
            self._owner.trouble(box)
            self._owner.go_on(self._machine.refuse_login(LATER, failed=False))
