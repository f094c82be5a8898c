"""AUTH in a session: what the machine asks goes to `auth`, what `auth` says goes to the client.

The client is told one sentence for every wrong password, whatever the reason; that is in the log, by `auth`.
"""

import base64
from collections.abc import Callable
from functools import lru_cache, partial
from typing import Final

from paperpath.base.networks import parse_address
from paperpath.base.reply import Reply, reply
from paperpath.base.text import show
from paperpath.process.guard import OnVerdict
from paperpath.process.logins import Attempt
from paperpath.protocol.smtp_server import AuthGiven, AuthResponse
from paperpath.receive.service import Service
from paperpath.receive.submission import Submission
from paperpath.system.tls import server_end_point
from paperpath.wire.logins import BINDING_TYPE, VOUCHED, Challenge, LoggedIn, LoginAnswer

LOGGED_IN = reply(235, "2.7.0", "Logged in")
WRONG = reply(535, "5.7.8", "Wrong name or password")
NOT_NOW = reply(454, "4.7.0", "Logins cannot be judged just now, try again later")
MALFORMED = reply(501, "5.5.2", "The response is not of that mechanism")
NOT_TAKEN = reply(421, "4.7.0", "LOGIN cannot be looked at just now, closing")
TOO_MANY_WRONG = reply(421, "4.7.0", "Too many failed logins, closing")
TOO_MUCH = reply(450, "4.7.1", "This account has written to too many recipients, try again later")
LOGIN_FIRST = reply(530, "5.7.0", "Log in first")

FAILURES_MOST: Final = 3
"""Wrong passwords in one session: who mistypes more often connects again, and the address is counted by `guard`."""

LOGIN_SERVICES: Final = frozenset({"submission", "submissions"})
"""Where nothing is taken from whoever has not logged in."""

OnReply = Callable[[Reply, str], None]
"""The reply, and for a refusal the reason for the log."""


@lru_cache(maxsize=1000)
def is_here(peer: str) -> bool:
    """Tell whether a client is a program of this host."""
    try:
        return peer.startswith("local ") or parse_address(peer).is_loopback
    except ValueError:  # whoever it came through does not know its address
        return False


class ClientLogin:
    """What one session knows of who its client is.

    Nothing of the session is held but while an attempt is open: the two holding each other would keep it, its buffers
    and the state of TLS, some 40 KB, until the collector comes.
    """

    __slots__ = (
        "_attempt",
        "_failures",
        "_peer",
        "_service",
        "_service_name",
        "_submission",
        "account",
        "shown",
        "was_wrong",
    )

    def __init__(self, service: Service, service_name: str, peer: str) -> None:
        self._service, self._service_name, self._peer = service, service_name, peer
        self._attempt: Attempt | None = None
        self._failures = 0
        self.was_wrong = False
        """Whether the last answer said something against the client."""
        self.account = ""
        """Who has logged in; empty: nobody."""
        self.shown = ""
        """The same for the log."""
        self._submission: Submission | None = None

    @property
    def is_due(self) -> bool:
        """Whether the client has to log in before it may send."""
        return not self.account and self._service_name in LOGIN_SERVICES

    def begin(self, event: AuthGiven, transport: object, on_reply: OnReply, *, secure: bool) -> None:
        """AUTH; ``on_reply`` is called once, and once after each ``respond``."""
        logins = self._service.logins
        assert logins is not None, "where nobody judges logins, AUTH is not offered"
        # What it takes to make one is loaded for those only who use it.
        binding = server_end_point(transport) if secure and event.mechanism.startswith("SCRAM-") else b""
        self._attempt = logins.begin(
            event.mechanism,
            event.initial,
            partial(self._answered, on_reply),
            service=self._service_name,
            peer=self._peer,
            secure=secure,
            binding_type=BINDING_TYPE if binding else "",
            binding=binding,
        )

    def vouch(self, name: bytes, on_reply: OnReply, *, secure: bool) -> None:
        """Whoever the client came through says which account it is (XCLIENT's LOGIN)."""
        logins = self._service.logins
        assert logins is not None, "where nobody judges logins, LOGIN is not offered"
        self._attempt = logins.begin(
            VOUCHED,
            name,
            partial(self._answered, on_reply),
            service=self._service_name,
            peer=self._peer,
            secure=secure,
        )

    def respond(self, event: AuthResponse) -> None:
        """The response to a challenge."""
        assert self._attempt is not None
        self._attempt.respond(event.data)

    def end(self) -> None:
        """The client cancelled, or is gone."""
        attempt, self._attempt = self._attempt, None
        if attempt is not None:
            attempt.abandon()

    def forget(self) -> None:
        """The session begins anew: nobody has logged in.  Wrong passwords are remembered."""
        self.end()
        self.account = self.shown = ""
        self._submission = None

    def _answered(self, on_reply: OnReply, answer: LoginAnswer) -> None:
        self.was_wrong = False
        if isinstance(answer, Challenge):
            on_reply(Reply(334, "", (base64.b64encode(answer.data).decode("ascii"),)), "")
            return
        self._attempt = None
        if isinstance(answer, LoggedIn):
            settings = self._service.settings
            domain = settings.routing.default_domain or self._service.hostname
            self._submission = Submission(answer.addresses, domain, self._service.hostname, settings.spool)
            self.account, self.shown = answer.account, show(answer.account.encode())
            on_reply(LOGGED_IN, "")
        elif answer.temporary:
            on_reply(NOT_NOW, answer.reason)
        elif answer.malformed:
            on_reply(MALFORMED, answer.reason)
        else:
            self._failures += 1
            self.was_wrong = True
            on_reply(WRONG if self._failures < FAILURES_MOST else TOO_MANY_WRONG, answer.reason)

    @property
    def submission(self) -> Submission:
        """The rules for what the account sends.  There are some once somebody has logged in."""
        assert self._submission is not None
        return self._submission

    def ask_for(self, recipients: int, on_verdict: OnVerdict) -> None:
        """Ask whether the account may write to so many more; where ``guard`` is away, it may."""
        rates = self._service.account_rates
        if rates:
            self._service.guard.allow(f"account {self.account}", recipients, rates, on_verdict)
        else:
            on_verdict(True, 0)
