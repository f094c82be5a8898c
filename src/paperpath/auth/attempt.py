"""One attempt to log in: a mechanism, and the answers to its questions."""

import base64
from collections.abc import Callable, Coroutine
from functools import partial
from typing import Any, Final

from paperpath.auth.judge import Judge
from paperpath.auth.verdict import Client, Conversation, Identity, Later, Unknown, Verdict
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

Said = Say | End
"""What one step comes to."""

_SIMPLE: Final[dict[str, type[Mechanism]]] = {
    "PLAIN": sasl.Plain,
    "LOGIN": sasl.Login,
    "APOP": Apop,
    "OAUTHBEARER": OAuthBearer,
    "XOAUTH2": XOAuth2,
}
"""Those that need nothing to begin."""


def mechanism(login: Login, hostname: str, offered: frozenset[str]) -> Mechanism | None:
    """Return the machine for a mechanism; None for one that is not offered."""
    if login.mechanism not in offered:
        return None
    match login.mechanism:
        case "CRAM-MD5":
            return CramMd5(_challenge(hostname))
        case "SCRAM-SHA-256" | "SCRAM-SHA-256-PLUS" as name:
            return _scram(login, offered, plus=name == "SCRAM-SHA-256-PLUS")
        case name:
            return _SIMPLE[name]()


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

    def start(self, initial: bytes | None) -> Said | Later[Said]:
        """Begin."""
        self._said = initial or b""
        return self._go_on(self._mechanism.start(initial))

    def respond(self, response: bytes) -> Said | Later[Said]:
        """Go on with what the client says to the last challenge."""
        if self._elsewhere is not None:
            return partial(self._ask_elsewhere, self._elsewhere.respond, response)
        self._said = response
        return self._go_on(self._mechanism.respond(response))

    def abandon(self) -> None:
        """The client is gone."""
        if self._elsewhere is not None:
            self._elsewhere.cancel()

    def _go_on(self, step: Step) -> Said | Later[Said]:
        while not isinstance(step, (Say, Failed, Proven)):
            self.name = step.name or self.name
            if isinstance(step, FindKeys):
                self._elsewhere = self._judge.scram_elsewhere(step.name, self._client)
                if self._elsewhere is not None:
                    return partial(self._ask_elsewhere, self._elsewhere.start, self._said)
            answer = self._answer(step)
            if isinstance(answer, partial):
                return partial(self._wait_for, answer)
            if isinstance(answer, Unknown):
                return answer
            step = self._mechanism.answer(answer)
        return self._proven(step) if isinstance(step, Proven) else step

    async def _ask_elsewhere(self, ask: Callable[[bytes], Coroutine[Any, Any, Say | Verdict]], given: bytes) -> Said:
        said = await ask(given)
        return sasl.WRONG if said is None else said

    async def _wait_for(self, judging: Later[Verdict]) -> Said:
        answer = self._judged(await judging())
        if isinstance(answer, Unknown):
            return answer
        said = self._go_on(self._mechanism.answer(answer))
        return await said() if isinstance(said, partial) else said

    def _proven(self, step: Proven) -> End:
        if isinstance(self._found, Identity):
            return self._found
        return self._judge.identity(step.name, step.label) or sasl.WRONG

    def _answer(self, question: sasl.Question) -> object | Later[Verdict]:
        match question:
            case FindKeys(name=name):
                return self._judge.scram_keys(name)
            case FindSecrets(name=name):
                return self._judge.clear_passwords(name)
            case CheckPassword(name=name, password=password):
                found = self._judge.check_password(name, password, self._client)
                return found if isinstance(found, partial) else self._judged(found)
            case CheckToken(name=name, token=token):
                return partial(self._judge.check_token, name, token, self._client)

    def _judged(self, found: Verdict) -> bool | Unknown:
        self._found = found
        return found if isinstance(found, Unknown) else found is not None
