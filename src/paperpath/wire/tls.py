"""What a process that speaks TLS with clients is told: certificates, keys, and whose certificates mean something.

The supervisor reads the files and sends what is in them, so a network process needs no right to a file, and a change
reaches it as a reload does.
"""

import msgspec

TLS_FROM_THE_START = frozenset({"submissions", "pop3s"})
"""Services that begin with the handshake (RFC 8314)."""


class Pair(msgspec.Struct, frozen=True):
    """A certificate with the chain behind it, and its private key, both as PEM."""

    name: str
    """What messages call it: the certificate's file."""
    server_names: tuple[str, ...]
    """Names that clients ask for (SNI), in lower case; ``.example.org`` stands for its subdomains."""
    certificate: bytes
    key: bytes

    def __repr__(self) -> str:
        """Leave the key out: what is shown may be logged."""
        return f"Pair({self.name!r})"


class TlsSettings(msgspec.Struct, frozen=True):
    """Everything about TLS with clients."""

    pairs: tuple[Pair, ...]
    """The first is for clients that ask for no name, or for one that none of the others has."""
    minimum: str = "1.2"
    relay_fingerprints: frozenset[str] = frozenset()
    """Client certificates that may relay: SHA-256 of each, in lower-case hexadecimal."""
