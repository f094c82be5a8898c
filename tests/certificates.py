"""Certificates for tests: an authority of their own, servers' pairs and clients' pairs as files and as settings."""

import hashlib
import ssl
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path

import trustme

from paperpath.wire.tls import Pair, TlsSettings


@dataclass(frozen=True, slots=True)
class Made:
    """A certificate with its key, as PEM."""

    certificate: bytes
    key: bytes

    @property
    def fingerprint(self) -> str:
        """SHA-256 of the certificate, in hexadecimal."""
        return hashlib.sha256(ssl.PEM_cert_to_DER_cert(self.certificate.decode())).hexdigest()

    def pair(self, *names: str, name: str = "test.pem") -> Pair:
        """Return it as a process is told it."""
        return Pair(name, names, self.certificate, self.key)

    def write(self, folder: Path, name: str) -> tuple[Path, Path]:
        """Write both as files; return their paths."""
        certificate, key = folder / f"{name}.pem", folder / f"{name}.key"
        certificate.write_bytes(self.certificate)
        key.write_bytes(self.key)
        key.chmod(0o600)
        return certificate, key


class Authority:
    """Issues certificates that a client of `client_context` believes."""

    def __init__(self) -> None:
        self._ca = trustme.CA()

    def issue(
        self, *names: str, begins: datetime | None = None, ends: datetime | None = None, rsa: bool = False
    ) -> Made:
        """Return a pair for these names; its key is one of ECDSA, or of RSA."""
        kind = trustme.KeyType.RSA if rsa else trustme.KeyType.ECDSA
        leaf = self._ca.issue_cert(*names, not_before=begins, not_after=ends, key_type=kind)
        chain = b"".join(blob.bytes() for blob in leaf.cert_chain_pems)
        return Made(chain, leaf.private_key_pem.bytes())

    def client_context(self, own: Made | None = None, folder: Path | None = None) -> ssl.SSLContext:
        """Return a client's context that believes this authority; ``own`` is shown where it is asked for."""
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
        self._ca.configure_trust(context)
        if own is not None:
            assert folder is not None
            context.load_cert_chain(*own.write(folder, "client"))
        return context

    def write(self, folder: Path) -> Path:
        """Write the authority's own certificate as a file."""
        file = folder / "authority.pem"
        self._ca.cert_pem.write_to_path(str(file))
        return file


def settings(*pairs: Pair, relay: Sequence[str] = (), minimum: str = "1.2") -> TlsSettings:
    """Return what a process is told."""
    return TlsSettings(pairs, minimum, frozenset(relay))
