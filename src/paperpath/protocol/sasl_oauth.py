"""OAUTHBEARER (RFC 7628) and XOAUTH2, its elder brother of Google's: a bearer token stands for the password."""

import re

from paperpath.protocol.sasl import (
    BAD_NAME,
    CheckToken,
    Failed,
    Mechanism,
    Proven,
    Step,
    user_name,
)

# RFC 6750 2.1: b64token.
_AUTH = re.compile(rb"[Bb][Ee][Aa][Rr][Ee][Rr] +([A-Za-z0-9._~+/=-]{1,8192})")
_SYNTAX = Failed("bad bearer message", malformed=True)
_REFUSED = Failed("the token was not accepted")


class _Bearer(Mechanism):
    """What both do with a token."""

    _complaint: bytes
    """What a client whose token is refused is told, before it may end the exchange."""

    def start(self, initial: bytes | None) -> Step:
        """Begin."""
        return self._first(initial, self._message)

    def _message(self, message: bytes) -> Step:
        raise NotImplementedError

    def _check(self, name: str, fields: dict[bytes, bytes]) -> Step:
        match = _AUTH.fullmatch(fields.get(b"auth", b""))
        if match is None:
            return _SYNTAX
        # RFC 7628 3.2.2: the error is a challenge; whatever the client says to it, the exchange has failed.
        return self._ask(
            CheckToken(name, match[1].decode()),
            lambda good: Proven(name) if good else self._say(self._complaint, lambda _: _REFUSED),
        )


class OAuthBearer(_Bearer):
    """OAUTHBEARER."""

    _complaint = b'{"status":"invalid_token"}'

    def _message(self, message: bytes) -> Step:
        header, _, rest = message.partition(b"\x01")
        flag, _, authzid = header.partition(b",")
        fields = _fields(rest)
        if fields is None or not authzid.endswith(b",") or flag not in (b"n", b"y"):
            return _SYNTAX
        if authzid == b",":
            return self._check("", fields)
        if not authzid.startswith(b"a="):
            return _SYNTAX
        name = user_name(authzid[2:-1].replace(b"=2C", b",").replace(b"=3D", b"="))
        return BAD_NAME if name is None else self._check(name, fields)


class XOAuth2(_Bearer):
    """XOAUTH2."""

    _complaint = b'{"status":"401","schemes":"bearer","scope":""}'

    def _message(self, message: bytes) -> Step:
        fields = _fields(message)
        if fields is None:
            return _SYNTAX
        name = user_name(fields.get(b"user", b""))
        return BAD_NAME if name is None else self._check(name, fields)


def _fields(message: bytes) -> dict[bytes, bytes] | None:
    """Read ``key=value`` pairs, each ended by %x01, all by one more; None where it is not that."""
    if not message.endswith(b"\x01\x01"):
        return None
    pairs = [pair.partition(b"=") for pair in message[:-2].split(b"\x01")]
    fields = {key: value for key, equals, value in pairs if equals}
    return fields if len(fields) == len(pairs) else None
