"""What an issuer of bearer tokens says: its introspection service (RFC 7662), or its keys and our own look at the
signature (RFC 7519).  Blocking; used from threads of `auth.tokens`."""

import base64
import http.client
import ssl
import threading
from collections.abc import Iterator
from typing import Any, Final
from urllib.parse import urlencode, urlsplit

import msgspec
from joserfc import jwk, jwt
from joserfc.errors import JoseError

from paperpath.process.settings import TokensSettings
from paperpath.system.clock import monotonic, now

_ANSWER_MOST_BYTES: Final = 256 * 1024
_KEYS_AGAIN_AFTER_S: Final = 30.0
"""Between two fetches, however many tokens name keys that are not known: anybody can make such tokens."""
_LEEWAY_S: Final = 30
_ALGORITHMS: Final = (
    "RS256",
    "RS384",
    "RS512",
    "PS256",
    "PS384",
    "PS512",
    "ES256",
    "ES384",
    "ES512",
    "Ed25519",
    "EdDSA",
)
"""Signatures by a key pair only: with a shared secret, and with ``none``, anybody who sees our settings could sign."""


class IssuerError(Exception):
    """It could not be asked, or its answer is not one."""


class Issuer:
    """One issuer."""

    def __init__(self, settings: TokensSettings) -> None:
        self._settings = settings
        self._lock = threading.Lock()
        self._keys: jwk.KeySet | None = None
        self._tried = monotonic() - _KEYS_AGAIN_AFTER_S
        try:
            self._tls = ssl.create_default_context(cafile=settings.ca_file or None)
        except (OSError, ssl.SSLError) as error:
            raise ValueError(f"[oauth] ca_file: {error}") from None

    def account_of(self, token: str) -> str:
        """Return the account that the token was issued for; empty: it is worth nothing.

        Raises IssuerError, OSError where that cannot be told.
        """
        claims = self._introspected(token) if self._settings.introspection else self._verified(token)
        account = claims.get(self._settings.account_claim)
        return account if isinstance(account, str) and account.isprintable() else ""

    def _introspected(self, token: str) -> dict[str, Any]:
        settings = self._settings
        body = urlencode({"token": token, "token_type_hint": "access_token"}).encode()
        headers = {"Content-Type": "application/x-www-form-urlencoded"}
        if settings.client_id:
            given = f"{settings.client_id}:{settings.client_secret}".encode()
            headers["Authorization"] = "Basic " + base64.b64encode(given).decode()
        claims = self._ask("POST", settings.introspection, body, headers)
        return claims if claims.get("active") is True and self._is_for_us(claims) else {}

    def _verified(self, token: str) -> dict[str, Any]:
        for keys in self._key_sets():
            try:
                claims = jwt.decode(token, keys, algorithms=list(_ALGORITHMS)).claims
            except (JoseError, ValueError):  # signed by nobody we know, yet: keys change
                continue
            return claims if self._is_for_us(claims) and _is_in_time(claims) else {}
        return {}

    def _is_for_us(self, claims: dict[str, Any]) -> bool:
        settings, audience = self._settings, claims.get("aud")
        audiences = audience if isinstance(audience, list) else [audience]
        return (not settings.issuer or claims.get("iss") == settings.issuer) and (
            not settings.audience or settings.audience in audiences
        )

    def _key_sets(self) -> Iterator[jwk.KeySet]:
        """Yield the keys that are known; then, where they may be asked for again, those that there are now."""
        with self._lock:
            keys, age = self._keys, monotonic() - self._tried
            if age >= _KEYS_AGAIN_AFTER_S:
                self._tried = monotonic()
        if keys is not None:
            yield keys
        if age >= _KEYS_AGAIN_AFTER_S:
            yield self._fetch()
        elif keys is None:
            raise IssuerError("the issuer's keys could not be had a moment ago")

    def _fetch(self) -> jwk.KeySet:
        try:
            keys = jwk.KeySet.import_key_set(self._ask("GET", self._settings.jwks, None, {}))  # type: ignore[arg-type]
        except (JoseError, ValueError, KeyError, TypeError) as error:
            raise IssuerError(f"the issuer's keys cannot be read: {error}") from None
        with self._lock:
            self._keys = keys
        return keys

    def _ask(self, method: str, url: str, body: bytes | None, headers: dict[str, str]) -> dict[str, Any]:
        """Return the JSON object that comes back.  Redirections are not followed."""
        parts = urlsplit(url)
        connection = self._connection(parts.scheme, parts.hostname or "", parts.port)
        try:
            path = parts.path + ("?" + parts.query if parts.query else "")
            connection.request(method, path or "/", body, {"Accept": "application/json", **headers})
            response = connection.getresponse()
            data = response.read(_ANSWER_MOST_BYTES + 1)
        except http.client.HTTPException as error:
            raise IssuerError(f"no answer in HTTP: {type(error).__name__}") from None
        finally:
            connection.close()
        if response.status != 200 or len(data) > _ANSWER_MOST_BYTES:
            raise IssuerError(f"the issuer answers {response.status}")
        try:
            return msgspec.json.decode(data, type=dict[str, Any])
        except msgspec.MsgspecError:
            raise IssuerError("the issuer's answer is no JSON object") from None

    def _connection(self, scheme: str, host: str, port: int | None) -> http.client.HTTPConnection:
        timeout_s = self._settings.timeout_s / 2  # two fetches may be needed for one token
        if scheme == "https":
            return http.client.HTTPSConnection(host, port, timeout=timeout_s, context=self._tls)
        return http.client.HTTPConnection(host, port, timeout=timeout_s)


def _is_in_time(claims: dict[str, Any]) -> bool:
    """RFC 7519 4.1.4, 4.1.5.  A token without an end is none."""
    ends, begins, at = claims.get("exp"), claims.get("nbf", 0), now()
    return (
        isinstance(ends, int | float)
        and isinstance(begins, int | float)
        and begins - _LEEWAY_S <= at < ends + _LEEWAY_S
    )
