"""What is asked about a client, and what can be said to it."""

from collections.abc import Coroutine
from functools import partial
from typing import Any, Protocol, TypeVar

import msgspec

from paperpath.protocol.sasl import Say

T = TypeVar("T")


class Client(msgspec.Struct, frozen=True, gc=False):
    """Who wants to log in, as far as the process that serves it knows."""

    service: str
    peer: str
    secure: bool


class Identity(msgspec.Struct, frozen=True, gc=False):
    """Yes: it is this account."""

    account: str
    """``local@domain``, or the name of a system account; in lower case."""
    label: str = ""
    """Of the application password that was used."""


class Unknown(msgspec.Struct, frozen=True, gc=False):
    """It could not be told just now; nothing is said about the password."""

    reason: str


Verdict = Identity | Unknown | None
"""None: no."""

Later = partial[Coroutine[Any, Any, T]]
"""What is not known at once: call it, and wait for what it returns.  Most logins need no waiting: their password was
judged a while ago, or is an application password.  Those cost neither a task nor a timer."""


class Conversation(Protocol):
    """A login whose mechanism somebody else runs; nothing raises."""

    async def start(self, initial: bytes) -> Say | Verdict:
        """Begin, with what the client said first."""

    async def respond(self, response: bytes) -> Say | Verdict:
        """Go on with its answer to the last challenge."""

    def cancel(self) -> None:
        """The client is gone."""


class Backend(Protocol):
    """Somebody who knows passwords."""

    def check(self, name: str, password: bytes, client: Client) -> Verdict | Later[Verdict]:
        """Tell whose password this is, now or later.  Raises nothing."""
