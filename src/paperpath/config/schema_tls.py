"""The settings of `[tls]`: what is shown to clients that speak TLS, and which of them may relay."""

from typing import Annotated, Literal

from msgspec import Meta

from paperpath.config.section import Section, Text, about


class Certificate(Section, frozen=True, kw_only=True):
    """A certificate of its own for some names."""

    names: Annotated[
        tuple[str, ...],
        Meta(min_length=1),
        about("Names that clients ask for in the handshake (SNI); ``.example.org`` stands for its subdomains."),
    ]
    certificate: Annotated[Text, about("File of the certificate and the chain behind it, as PEM.")]
    key: Annotated[Text, about("File of its private key, as PEM, without a passphrase.")]


class Tls(Section, frozen=True, kw_only=True):
    """TLS with clients: STARTTLS is offered, and TLS from the start possible, where there is a certificate."""

    certificate: Annotated[
        str,
        about(
            "File of this host's certificate and the chain behind it, as PEM; empty: no TLS. It is read again when it "
            "or a key changes, without HUP."
        ),
    ] = ""
    key: Annotated[
        str,
        about(
            "File of its private key, as PEM, without a passphrase. Whoever starts the service reads it: root, where "
            "the processes have users of their own, so nobody else need be able to."
        ),
    ] = ""
    minimum: Annotated[
        Literal["1.2", "1.3"],
        about("Oldest protocol version that is spoken.", reason="RFC 8996 ends 1.0 and 1.1; some servers lack 1.3"),
    ] = "1.2"
    relay_fingerprints: Annotated[
        tuple[str, ...],
        about(
            "Clients that may send to any domain by their certificate: its SHA-256 in hexadecimal, with or without "
            "colons (``openssl x509 -fingerprint -sha256 -noout -in FILE``). Where the list is empty, clients are not "
            "asked for a certificate."
        ),
    ] = ()
    certificates: Annotated[
        tuple[Certificate, ...], about("Certificates for names of their own, beside the one above.")
    ] = ()
