"""SASL on the server's side (RFC 4422), without I/O: what all mechanisms share, and those that carry a password.

A mechanism takes what the client sends and says what is to happen next: a `Step`.  `Say` goes to the client, a
question (`CheckPassword`, `FindKeys`, `FindSecrets`, `CheckToken`) to whoever knows, and `Proven` or `Failed` end it.
After a question comes exactly one call of ``answer``, after `Say` one of ``respond``.

Names are text without control characters and of bounded length before anybody looks them up.  No step repeats what the
client sent.
"""

from abc import ABC, abstractmethod
from collections.abc import Callable
from typing import Any, Final

import msgspec

NAME_MOST_BYTES: Final = 255
PASSWORD_MOST_BYTES: Final = 1024
"""More than anybody types, little enough to hash."""


class Say(msgspec.Struct, frozen=True, gc=False):
    """A challenge for the client."""

    data: bytes


class CheckPassword(msgspec.Struct, frozen=True, gc=False):
    """Is this the password?  Answered with a bool."""

    name: str
    password: bytes


class FindKeys(msgspec.Struct, frozen=True, gc=False):
    """What are this user's SCRAM keys?  Answered with `sasl_scram.ScramKeys`, made-up ones for nobody."""

    name: str


class FindSecrets(msgspec.Struct, frozen=True, gc=False):
    """What are this user's passwords in clear?  Answered with a tuple of ``(label, password)``, empty for nobody."""

    name: str


class CheckToken(msgspec.Struct, frozen=True, gc=False):
    """Was this bearer token issued for this user?  Answered with a bool."""

    name: str
    """Empty where the client leaves it to the token."""
    token: str


class Proven(msgspec.Struct, frozen=True, gc=False):
    """The client is who it says."""

    name: str
    label: str = ""
    """Of the application password that was used, where the mechanism knows."""


class Failed(msgspec.Struct, frozen=True, gc=False):
    """It did not prove it."""

    reason: str
    """One of a fixed set of phrases."""
    malformed: bool = False
    """What it sent is not of this mechanism."""


Question = CheckPassword | FindKeys | FindSecrets | CheckToken
Step = Say | Question | Proven | Failed

WRONG: Final = Failed("wrong name or password")
OUT_OF_TURN: Final = Failed("a response out of turn", malformed=True)
NOT_FOR_ANOTHER: Final = Failed("authorization for another user")
BAD_NAME: Final = Failed("not a user name", malformed=True)


class Mechanism(ABC):
    """One exchange."""

    def __init__(self) -> None:
        self._next: Callable[[bytes], Step] | None = None
        self._judge: Callable[[Any], Step] | None = None

    @abstractmethod
    def start(self, initial: bytes | None) -> Step:
        """Begin, with the initial response, None where the client gave none."""

    def respond(self, response: bytes) -> Step:
        """Take the client's answer to the last `Say`."""
        take, self._next = self._next, None
        return OUT_OF_TURN if take is None else take(response)

    def answer(self, given: Any) -> Step:
        """Take the answer to the last question.  Raises RuntimeError where none is open."""
        judge, self._judge = self._judge, None
        if judge is None:
            raise RuntimeError("an answer without a question")
        return judge(given)

    def _say(self, data: bytes, then: Callable[[bytes], Step]) -> Say:
        self._next = then
        return Say(data)

    def _ask(self, question: Question, then: Callable[[Any], Step]) -> Question:
        self._judge = then
        return question

    def _first(self, initial: bytes | None, take: Callable[[bytes], Step]) -> Step:
        """Begin a mechanism in which the client speaks first: without an initial response, an empty challenge."""
        return self._say(b"", take) if initial is None else take(initial)


def user_name(raw: bytes) -> str | None:
    """Return a user name, or None for what cannot be one."""
    if not 0 < len(raw) <= NAME_MOST_BYTES:
        return None
    try:
        name = raw.decode()
    except UnicodeDecodeError:
        return None
    return name if name.isprintable() else None


def is_password(raw: bytes) -> bool:
    """Tell whether this can be a password at all."""
    return 0 < len(raw) <= PASSWORD_MOST_BYTES and b"\x00" not in raw


def same_name(one: str, other: str) -> bool:
    """Tell whether two names mean the same user: domains have no case, and account names have none either."""
    return one.casefold() == other.casefold()


class Plain(Mechanism):
    """PLAIN (RFC 4616)."""

    def start(self, initial: bytes | None) -> Step:
        """Begin."""
        return self._first(initial, self._message)

    def _message(self, message: bytes) -> Step:
        parts = message.split(b"\x00")
        if len(parts) != 3 or not is_password(parts[2]):
            return Failed("bad PLAIN message", malformed=True)
        name = user_name(parts[1])
        if name is None:
            return BAD_NAME
        if parts[0] and not same_name(user_name(parts[0]) or "", name):
            return NOT_FOR_ANOTHER
        return self._ask(CheckPassword(name, parts[2]), lambda good: Proven(name) if good else WRONG)


class Login(Mechanism):
    """LOGIN, which never became a standard: the name and the password, each asked for."""

    def start(self, initial: bytes | None) -> Step:
        """Begin; some clients send the name at once."""
        return self._say(b"Username:", self._name) if initial is None else self._name(initial)

    def _name(self, raw: bytes) -> Step:
        name = user_name(raw)
        if name is None:
            return BAD_NAME
        return self._say(b"Password:", lambda password: self._password(name, password))

    def _password(self, name: str, password: bytes) -> Step:
        if not is_password(password):
            return Failed("not a password", malformed=True)
        return self._ask(CheckPassword(name, password), lambda good: Proven(name) if good else WRONG)
