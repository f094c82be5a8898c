"""CRAM-MD5 (RFC 2195) and APOP (RFC 1939 7): a digest over a challenge and the password in clear.

Both need the password itself on the server, and MD5 makes a listener's guessing cheap; they are here for clients that
know nothing better, and off unless configured.
"""

import hashlib
import hmac
import re
from collections.abc import Callable

from paperpath.protocol.sasl import BAD_NAME, WRONG, Failed, FindSecrets, Mechanism, Proven, Step, user_name

_DIGEST = re.compile(rb"[0-9a-fA-F]{32}")
_SYNTAX = Failed("bad digest response", malformed=True)

Secrets = tuple[tuple[str, bytes], ...]


class CramMd5(Mechanism):
    """CRAM-MD5; ``challenge`` is fresh for each exchange, in the form of a Message-ID (RFC 2195 2)."""

    def __init__(self, challenge: bytes) -> None:
        super().__init__()
        self._challenge = challenge

    def start(self, initial: bytes | None) -> Step:
        """Begin: here the server speaks first (RFC 4954 4: an initial response is an error)."""
        if initial is not None:
            return Failed("an initial response where the server speaks first", malformed=True)
        return self._say(self._challenge, self._response)

    def _response(self, response: bytes) -> Step:
        raw, _, digest = response.rpartition(b" ")
        name = user_name(raw)
        if name is None:
            return BAD_NAME
        if not _DIGEST.fullmatch(digest):
            return _SYNTAX
        return self._ask(FindSecrets(name), lambda secrets: self._compare(name, digest.lower(), secrets))

    def _compare(self, name: str, digest: bytes, secrets: Secrets) -> Step:
        return _matching(name, digest, secrets, lambda secret: hmac.new(secret, self._challenge, "md5").hexdigest())


class Apop(Mechanism):
    """APOP in the form of an initial response: timestamp, name and digest (`wire.logins`)."""

    def start(self, initial: bytes | None) -> Step:
        """Begin, and end."""
        parts = (initial or b"").split(b"\x00")
        if len(parts) != 3 or not _DIGEST.fullmatch(parts[2]):
            return _SYNTAX
        name = user_name(parts[1])
        if name is None:
            return BAD_NAME
        timestamp, digest = parts[0], parts[2].lower()
        return self._ask(FindSecrets(name), lambda secrets: self._compare(name, timestamp, digest, secrets))

    def _compare(self, name: str, timestamp: bytes, digest: bytes, secrets: Secrets) -> Step:
        # MD5 is what the protocol says.
        return _matching(name, digest, secrets, lambda secret: hashlib.md5(timestamp + secret).hexdigest())  # noqa: S324


def _matching(name: str, digest: bytes, secrets: Secrets, of: Callable[[bytes], str]) -> Step:
    found: Step = WRONG
    for label, secret in secrets or (("", b"nobody's"),):
        if hmac.compare_digest(of(secret).encode(), digest) and secrets:
            found = Proven(name, label)
    return found
