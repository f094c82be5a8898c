"""What is asked about a client, and what can be said to it."""

from dataclasses import dataclass
from typing import Protocol

from paperpath.protocol.sasl import Say


@dataclass(frozen=True, slots=True)
class Client:
    """Who wants to log in, as far as the process that serves it knows."""

    service: str
    peer: str
    secure: bool


@dataclass(frozen=True, slots=True)
class Identity:
    """Yes: it is this account."""

    account: str
    """``local@domain``, or the name of a system account; in lower case."""
    label: str = ""
    """Of the application password that was used."""


@dataclass(frozen=True, slots=True)
class Unknown:
    """It could not be told just now; nothing is said about the password."""

    reason: str


Verdict = Identity | Unknown | None
"""None: no."""


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

    async def check(self, name: str, password: bytes, client: Client) -> Verdict:
        """Tell whose password this is.  Raises nothing."""
