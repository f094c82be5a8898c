"""One attempt to log in: a mechanism, and the answers to its questions."""

import base64
import functools
from collections.abc import Awaitable, Callable

from paperpath.auth.judge import Judge
from paperpath.auth.verdict import Client, Conversation, Identity, Unknown, Verdict
from paperpath.protocol import sasl
from paperpath.protocol.sasl import (
    CheckPassword,
    CheckToken,
    Failed,
    FindKeys,
    FindSecrets,
    Mechanism,
    Proven,
    Say,
    Step,
)
from paperpath.protocol.sasl_digest import Apop, CramMd5
from paperpath.protocol.sasl_oauth import OAuthBearer, XOAuth2
from paperpath.protocol.sasl_scram import Scram
from paperpath.system.chance import random_bytes
from paperpath.system.clock import now
from paperpath.wire.logins import Login

_NONCE_BYTES = 18

End = Identity | Unknown | Failed
"""How an attempt ends."""


def mechanism(login: Login, hostname: str, offered: frozenset[str]) -> Mechanism | None:
    """Return the machine for a mechanism; None for one that is not offered."""
    if login.mechanism not in offered:
        return None
    make: dict[str, Callable[[], Mechanism]] = {
        "PLAIN": sasl.Plain,
        "LOGIN": sasl.Login,
        "SCRAM-SHA-256": functools.partial(_scram, login, offered, plus=False),
        "SCRAM-SHA-256-PLUS": functools.partial(_scram, login, offered, plus=True),
        "CRAM-MD5": lambda: CramMd5(_challenge(hostname)),
        "APOP": Apop,
        "OAUTHBEARER": OAuthBearer,
        "XOAUTH2": XOAuth2,
    }
    return make[login.mechanism]()


def _scram(login: Login, offered: frozenset[str], *, plus: bool) -> Scram:
    return Scram(
        nonce=base64.b64encode(random_bytes(_NONCE_BYTES)),
        plus=plus,
        binding_type=login.binding_type,
        binding=login.binding,
        plus_offered=login.binding != b"" and "SCRAM-SHA-256-PLUS" in offered,
    )


def _challenge(hostname: str) -> bytes:
    return b"<%b.%d@%b>" % (random_bytes(_NONCE_BYTES).hex().encode(), int(now()), hostname.encode())


class Exchange:
    """Drives one mechanism; between its steps it is the client's turn."""

    def __init__(self, mechanism: Mechanism, judge: Judge, client: Client) -> None:
        self._mechanism, self._judge, self._client = mechanism, judge, client
        self._found: Verdict = None
        """Who the last question was answered with: not always who the client said it is."""
        self.name = ""
        """Whom the client said it is, for the log."""
        self._said = b""
        self._elsewhere: Conversation | None = None
        """Who runs the mechanism from here on."""

    async def start(self, initial: bytes | None) -> Say | End:
        """Begin."""
        self._said = initial or b""
        return await self._go_on(self._mechanism.start(initial))

    async def respond(self, response: bytes) -> Say | End:
        """Go on with what the client says to the last challenge."""
        if self._elsewhere is not None:
            return _end_of(await self._elsewhere.respond(response))
        self._said = response
        return await self._go_on(self._mechanism.respond(response))

    def abandon(self) -> None:
        """The client is gone."""
        if self._elsewhere is not None:
            self._elsewhere.cancel()

    async def _go_on(self, step: Step) -> Say | End:
        while not isinstance(step, Say | Failed | Proven):
            self.name = step.name or self.name
            if isinstance(step, FindKeys):
                self._elsewhere = self._judge.scram_elsewhere(step.name, self._client)
                if self._elsewhere is not None:
                    return _end_of(await self._elsewhere.start(self._said))
            answered = await self._answer(step)
            if isinstance(answered, Unknown):
                return answered
            step = self._mechanism.answer(answered)
        return self._proven(step) if isinstance(step, Proven) else step

    def _proven(self, step: Proven) -> End:
        if isinstance(self._found, Identity):
            return self._found
        return self._judge.identity(step.name, step.label) or sasl.WRONG

    async def _answer(self, question: sasl.Question) -> object:
        match question:
            case FindKeys(name=name):
                return self._judge.scram_keys(name)
            case FindSecrets(name=name):
                return self._judge.clear_passwords(name)
            case CheckPassword(name=name, password=password):
                return await self._verdict(self._judge.check_password(name, password, self._client))
            case CheckToken(name=name, token=token):
                return await self._verdict(self._judge.check_token(name, token, self._client))

    async def _verdict(self, judging: Awaitable[Verdict]) -> bool | Unknown:
        self._found = found = await judging
        return found if isinstance(found, Unknown) else found is not None


def _end_of(said: Say | Verdict) -> Say | End:
    return sasl.WRONG if said is None else said
