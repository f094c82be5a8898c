"""SCRAM-SHA-256 and SCRAM-SHA-256-PLUS (RFC 5802, RFC 7677), the server's side, and the keys it needs.

An account may have several passwords (application passwords).  All of an account share one salt and one iteration
count, so that the server can say them before it knows which password the client has; the proof then fits one of the
keys or none.

Downgrades: a client that says ``y`` ("you offer no channel binding") where it was offered is refused (RFC 5802 6), and
the channel binding data must be those of this connection.  Only ``tls-server-end-point`` (RFC 5929 4) is known.
"""

import base64
import binascii
import hashlib
import hmac
import re
from typing import Final

import msgspec

from paperpath.protocol.sasl import (
    BAD_NAME,
    NOT_FOR_ANOTHER,
    WRONG,
    Failed,
    FindKeys,
    Mechanism,
    Proven,
    Step,
    same_name,
    user_name,
)
from paperpath.protocol.sasl_prep import prepared

ITERATIONS: Final = 100_000
"""RFC 7677 4 asks for 4,096 at least; a client does this once a login, in some 50 ms, and a thief for each guess."""
SALT_BYTES: Final = 16

_SYNTAX = Failed("bad SCRAM message", malformed=True)
_BINDING = Failed("channel binding does not fit")

# RFC 5802 7: printable but the comma.
_NONCE = rb"[!-+\--~]{1,256}"
_VALUE = rb"[^\x00,]+"
_FIRST = re.compile(
    rb"(?P<gs2>(?P<flag>n|y|p=(?P<type>[A-Za-z0-9.-]+)),(?:a=(?P<authzid>" + _VALUE + rb"))?,)"
    rb"(?P<bare>n=(?P<name>" + _VALUE + rb"),r=(?P<nonce>" + _NONCE + rb")(?:,[A-Za-z]=" + _VALUE + rb")*)"
)
_FINAL = re.compile(
    rb"(?P<without>c=(?P<binding>[A-Za-z0-9+/=]+),r=(?P<nonce>" + _NONCE + rb")(?:,[A-Za-z]=" + _VALUE + rb")*)"
    rb",p=(?P<proof>[A-Za-z0-9+/=]+)"
)


class ScramKey(msgspec.Struct, frozen=True, gc=False):
    """What a password was made into (RFC 5802 3): enough to check a proof, not to log in elsewhere."""

    label: str
    stored_key: bytes
    server_key: bytes


class ScramKeys(msgspec.Struct, frozen=True, gc=False):
    """The keys of one account, one a password."""

    salt: bytes
    iterations: int
    keys: tuple[ScramKey, ...]


def make_key(label: str, password: str, salt: bytes, iterations: int) -> ScramKey:
    """Return the keys of a password (RFC 5802 3).  Raises ValueError where SASLprep forbids it."""
    salted = hashlib.pbkdf2_hmac("sha256", prepared(password).encode(), salt, iterations)
    client_key = _hmac(salted, b"Client Key")
    return ScramKey(label, hashlib.sha256(client_key).digest(), _hmac(salted, b"Server Key"))


def made_up_keys(secret: bytes, name: str) -> ScramKeys:
    """Return what stands for the keys of somebody who has none: the same at each try, and no proof fits them."""
    salt = _hmac(secret, b"salt of " + name.casefold().encode())[:SALT_BYTES]
    return ScramKeys(salt, ITERATIONS, ())


class Scram(Mechanism):
    """One exchange; ``nonce`` is the server's part, of printable characters without commas."""

    def __init__(self, *, nonce: bytes, plus: bool, binding_type: str, binding: bytes, plus_offered: bool) -> None:
        super().__init__()
        self._server_nonce = nonce
        self._plus, self._plus_offered = plus, plus_offered
        self._binding_type, self._binding = binding_type, binding
        self._gs2 = self._bare = self._nonce = self._server_first = b""
        self._name = ""

    def start(self, initial: bytes | None) -> Step:
        """Begin."""
        return self._first(initial, self._client_first)

    def _client_first(self, message: bytes) -> Step:
        first = _FIRST.fullmatch(message)
        if first is None:
            return _SYNTAX
        name = user_name(_unescaped(first["name"]))
        if name is None:
            return BAD_NAME
        if first["authzid"] and not same_name(user_name(_unescaped(first["authzid"])) or "", name):
            return NOT_FOR_ANOTHER
        if not self._may_bind(first["flag"], first["type"]):
            return _BINDING
        self._name, self._gs2, self._bare = name, first["gs2"], first["bare"]
        self._nonce = first["nonce"] + self._server_nonce
        return self._ask(FindKeys(name), self._found)

    def _may_bind(self, flag: bytes, binding_type: bytes | None) -> bool:
        if self._plus:
            return binding_type == self._binding_type.encode() and self._binding != b""
        return flag == b"n" or (flag == b"y" and not self._plus_offered)

    def _found(self, keys: ScramKeys) -> Step:
        salt = base64.b64encode(keys.salt)
        self._server_first = b"r=%b,s=%b,i=%d" % (self._nonce, salt, keys.iterations)
        return self._say(self._server_first, lambda message: self._client_final(message, keys))

    def _client_final(self, message: bytes, keys: ScramKeys) -> Step:
        final = _FINAL.fullmatch(message)
        if final is None:
            return _SYNTAX
        try:
            binding = base64.b64decode(final["binding"], validate=True)
            proof = base64.b64decode(final["proof"], validate=True)
        except binascii.Error:
            return _SYNTAX
        if final["nonce"] != self._nonce:
            return Failed("another exchange's nonce")
        if not hmac.compare_digest(binding, self._gs2 + (self._binding if self._plus else b"")):
            return _BINDING
        signed = b",".join((self._bare, self._server_first, final["without"]))
        key = next((key for key in keys.keys if _fits(key, signed, proof)), None)
        if key is None:
            return WRONG
        signature = base64.b64encode(_hmac(key.server_key, signed))
        return self._say(b"v=" + signature, lambda last: self._end(last, key.label))

    def _end(self, last: bytes, label: str) -> Step:
        """Over SMTP and POP3 the server's signature is a challenge, and the response to it is empty (RFC 4954 4)."""
        return Proven(self._name, label) if not last else _SYNTAX


def _fits(key: ScramKey, signed: bytes, proof: bytes) -> bool:
    signature = _hmac(key.stored_key, signed)
    if len(proof) != len(signature):
        return False
    client_key = bytes(a ^ b for a, b in zip(proof, signature, strict=True))
    return hmac.compare_digest(hashlib.sha256(client_key).digest(), key.stored_key)


def _unescaped(raw: bytes) -> bytes:
    """Undo RFC 5802 5.1: ``=2C`` and ``=3D``; any other ``=`` makes it no name."""
    name = raw.replace(b"=2C", b",").replace(b"=3D", b"\x00")
    return b"" if b"=" in name else name.replace(b"\x00", b"=")


def _hmac(key: bytes, data: bytes) -> bytes:
    return hmac.digest(key, data, "sha256")
