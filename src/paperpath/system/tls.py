"""TLS with clients: contexts made from PEM that never was a file of ours, the right certificate for the name that is
asked for, and what a session turned out to be.

One `ServerTls` is made for each set of settings; sessions that are open keep the one they began with.  OpenSSL reads
certificates and keys from files only, so each is put into a file that lies in memory, has no name, and is gone when
the context has read it.
"""

import contextlib
import hashlib
import os
import ssl
import sys
from collections.abc import Iterator
from functools import lru_cache
from typing import Any, NamedTuple

from paperpath.base.domains import suffixes
from paperpath.base.text import show
from paperpath.system.tls_clients import take_any_certificate
from paperpath.wire.tls import Pair, TlsSettings

HANDSHAKE_MOST_S = 30.0
"""Longer than any handshake over the worst line takes; asyncio's own minute lets a silent client hold its place."""

SHUTDOWN_MOST_S = 2.0
"""How long a closed session waits for the client to close too; nothing depends on it."""

_VERSIONS = {"1.2": ssl.TLSVersion.TLSv1_2, "1.3": ssl.TLSVersion.TLSv1_3}

_CIPHERS = "ECDHE+AESGCM:ECDHE+CHACHA20:ECDHE+AES:!SHA1:!AESCCM:!aNULL:!aDSS"
"""For TLS 1.2: forward secrecy always.  CBC with SHA-2 comes last, for mail servers that know nothing newer: without it
they would send in clear.  Written out, so that it does not move with the interpreter."""

_TOKEN_MOST = 255
"""Bytes of the name that a client asks for which are kept: as many as a domain has."""


class TlsDetails(NamedTuple):
    """What a handshake agreed on."""

    version: str
    """``TLSv1.3``"""
    cipher: str
    """``TLS_AES_256_GCM_SHA384``"""
    bits: int
    """Of the secret key."""
    sni: str
    """The name that the client asked for, fit to be shown; empty where it asked for none."""
    client_fingerprint: str
    """SHA-256 of the certificate that the client proved to hold the key of, in lower-case hexadecimal; empty: none.
    Nobody vouches for what else stands in that certificate."""

    def __str__(self) -> str:
        return f"{self.version} {self.cipher}"


class _Connection(ssl.SSLObject):
    """A connection that remembers what it was asked for."""

    asked = ""


class _Context(ssl.SSLContext):
    """A context that knows the certificate it shows."""

    certificate = b""
    """As PEM."""
    end_point: bytes | None = None
    """What binds a login to it, once somebody asked."""


class ServerTls:
    """What a process needs to speak TLS with clients.  Raises ValueError where a pair cannot be used."""

    def __init__(self, settings: TlsSettings) -> None:
        self.relay_fingerprints = settings.relay_fingerprints
        contexts = [(_context(pair, settings), pair.server_names) for pair in settings.pairs]
        self._default = contexts[0][0]
        self._by_name = {name.encode(): context for context, names in reversed(contexts) for name in names}
        self._default.sni_callback = self._choose
        _expect_names_of_any_bytes()

    @property
    def context(self) -> ssl.SSLContext:
        """The context to begin every handshake with; it goes over to another one for the name that is asked for."""
        return self._default

    def _choose(self, connection: ssl.SSLObject, name: str | None, _context: ssl.SSLContext) -> None:
        if name is None:
            return
        assert isinstance(connection, _Connection)
        connection.asked = name[:_TOKEN_MOST]
        found = self._find(connection.asked)
        if found is not None:
            connection.context = found

    def _find(self, name: str) -> ssl.SSLContext | None:
        wanted = name.encode("utf-8", "surrogateescape").lower().removesuffix(b".")
        return next((self._by_name[one] for one in suffixes(wanted) if one in self._by_name), None)


def _expect_names_of_any_bytes() -> None:
    """Print nothing where a client asks for a name that is not ASCII: the handshake fails, and that is told.

    Python turns the name into text before it calls us, and cannot tell us that it could not.
    """
    former = sys.unraisablehook
    if getattr(former, "expects_names", False):
        return

    def hook(failure: "sys.UnraisableHookArgs") -> None:
        if not (isinstance(failure.exc_value, UnicodeDecodeError) and isinstance(failure.object, bytes)):
            former(failure)

    hook.expects_names = True  # type: ignore[attr-defined]
    sys.unraisablehook = hook


server_tls = lru_cache(maxsize=1)(ServerTls)
"""`ServerTls` for the settings of a process: the same as long as they are, so that sessions can be resumed."""


def details(transport: Any) -> TlsDetails | None:
    """Return what was agreed on, or None where the connection (an asyncio transport) has no TLS."""
    connection = transport.get_extra_info("ssl_object")
    if connection is None:
        return None
    cipher, _, bits = connection.cipher() or ("", "", 0)
    certificate = connection.getpeercert(binary_form=True)
    return TlsDetails(
        version=connection.version() or "",
        cipher=cipher,
        bits=bits,
        sni=show(connection.asked.encode("utf-8", "surrogateescape")),
        client_fingerprint=hashlib.sha256(certificate).hexdigest() if certificate else "",
    )


def server_end_point(transport: Any) -> bytes:
    """Return the channel binding ``tls-server-end-point`` (RFC 5929 4.1); empty where there is none.

    There is none without TLS, and with a certificate whose signature has no hash of its own (Ed25519).
    """
    connection = transport.get_extra_info("ssl_object")
    if connection is None:
        return b""
    context = connection.context
    assert isinstance(context, _Context)
    if context.end_point is None:
        context.end_point = _end_point(context.certificate)
    return context.end_point


def _end_point(pem: bytes) -> bytes:
    from cryptography import x509  # some megabytes, for those only whose clients bind their logins
    from cryptography.hazmat.primitives import hashes

    certificate = x509.load_pem_x509_certificate(pem)
    algorithm = certificate.signature_hash_algorithm
    if algorithm is None:
        return b""
    return certificate.fingerprint(hashes.SHA256() if isinstance(algorithm, hashes.MD5 | hashes.SHA1) else algorithm)


def _context(pair: Pair, settings: TlsSettings) -> _Context:
    context = _Context(ssl.PROTOCOL_TLS_SERVER)
    context.certificate = pair.certificate
    context.minimum_version = _VERSIONS[settings.minimum]
    context.set_ciphers(_CIPHERS)
    context.options |= ssl.OP_NO_RENEGOTIATION | ssl.OP_NO_COMPRESSION | ssl.OP_CIPHER_SERVER_PREFERENCE
    context.num_tickets = 1  # for TLS 1.3; a second one would cost as much, and mail clients connect one at a time
    context.sslobject_class = _Connection
    _load(context, pair)
    if settings.relay_fingerprints:
        take_any_certificate(context)
    return context


def _load(context: ssl.SSLContext, pair: Pair) -> None:
    """Raises ValueError that says what is wrong with the pair."""
    try:
        with _in_memory(pair.certificate) as certificate, _in_memory(pair.key) as key:
            context.load_cert_chain(certificate, key, password=_no_passphrase)
    except ssl.SSLError as error:
        raise ValueError(f"{pair.name}: {_said(error)}") from None
    except _EncryptedError:
        said = "the key is encrypted, and nobody is here to type its passphrase: store it without one"
        raise ValueError(f"{pair.name}: {said}") from None


class _EncryptedError(Exception):
    """A passphrase is asked for."""


def _no_passphrase() -> str:
    raise _EncryptedError


def _said(error: ssl.SSLError) -> str:
    if error.reason == "KEY_VALUES_MISMATCH":
        return "the key is not this certificate's"
    if not error.reason or error.library == "PEM":
        return "this is no certificate and key as PEM"
    return error.reason.replace("_", " ").lower()


@contextlib.contextmanager
def _in_memory(data: bytes) -> Iterator[str]:
    """Yield the path of a file that holds ``data`` and lies in memory only."""
    descriptor = os.memfd_create("pem", os.MFD_CLOEXEC)
    try:
        with os.fdopen(os.dup(descriptor), "wb") as file:
            file.write(data)
        yield f"/proc/self/fd/{descriptor}"
    finally:
        os.close(descriptor)
