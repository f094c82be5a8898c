"""Contexts for servers: which certificate is shown, what is agreed on, whose certificate a client holds."""

import ctypes
import hashlib
import ssl
import sys
from pathlib import Path
from typing import Any

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import ed25519

from paperpath.system import tls_clients
from paperpath.system.tls import ServerTls, details, server_end_point
from paperpath.wire.tls import Pair
from tests.certificates import Authority, Made, settings

AUTHORITY = Authority()
MX = AUTHORITY.issue("mx.here.test")
OTHER = AUTHORITY.issue("other.test")
CLIENT = AUTHORITY.issue("client.test")
FILES = ("a.pem", "a.key")


class Link:
    """A client and a server that shake hands in memory; the server's side looks like a transport."""

    def __init__(
        self, tls: ServerTls, client: ssl.SSLContext, name: str | None, session: ssl.SSLSession | None = None
    ) -> None:
        to_client, to_server = ssl.MemoryBIO(), ssl.MemoryBIO()
        self.client = client.wrap_bio(to_client, to_server, server_hostname=name, session=session)
        self.server = tls.context.wrap_bio(to_server, to_client, server_side=True)
        for _ in range(3):
            self.push(self.client.do_handshake)
            self.push(self.server.do_handshake)
        self.server.write(b"x")
        assert self.client.read() == b"x"

    @staticmethod
    def push(step: Any) -> None:
        try:
            step()
        except ssl.SSLWantReadError:
            pass

    def get_extra_info(self, name: str) -> object:
        return {"ssl_object": self.server}[name]

    @property
    def shown(self) -> bytes:
        certificate = self.client.getpeercert(binary_form=True)
        assert certificate
        return certificate


def der(made: Made) -> bytes:
    return ssl.PEM_cert_to_DER_cert(made.certificate.decode())


def careless() -> ssl.SSLContext:
    context = AUTHORITY.client_context()
    context.check_hostname = False
    context.verify_mode = ssl.CERT_NONE
    return context


@pytest.mark.parametrize(
    ("asked", "shown"),
    [
        (None, MX),
        ("mx.here.test", MX),
        ("unknown.test", MX),
        ("other.test", OTHER),
        ("OTHER.test", OTHER),
        ("a.other.test", MX),
        ("a.below.test", OTHER),
        ("b.a.below.test", OTHER),
        ("below.test", MX),
    ],
)
def test_the_certificate_follows_the_name(asked: str | None, shown: Made) -> None:
    tls = ServerTls(settings(MX.pair(), OTHER.pair("other.test", ".below.test")))
    link = Link(tls, careless(), asked)
    assert link.shown == der(shown)
    told = details(link)
    assert told is not None and told.sni == (asked or "")


def test_a_client_that_believes_the_authority_believes_the_chain() -> None:
    assert Link(ServerTls(settings(MX.pair())), AUTHORITY.client_context(), "mx.here.test").shown == der(MX)


def test_what_was_agreed_on() -> None:
    told = details(Link(ServerTls(settings(MX.pair())), careless(), "mx.here.test"))
    assert told is not None
    assert (told.version, told.bits, told.client_fingerprint) == ("TLSv1.3", 256, "")
    assert str(told) == "TLSv1.3 TLS_AES_256_GCM_SHA384"


def test_without_tls_there_is_nothing_to_tell() -> None:
    class Plain:
        def get_extra_info(self, name: str) -> None:
            return None

    assert details(Plain()) is None
    assert server_end_point(Plain()) == b""


@pytest.mark.parametrize("asked", ["mx.here.test", "other.test"])
def test_one_ticket_is_made_for_each_connection(asked: str) -> None:
    client, seen = careless(), list[str]()
    client._msg_callback = lambda *told: seen.append(told[4].name)  # type: ignore[attr-defined]
    Link(ServerTls(settings(MX.pair(), OTHER.pair("other.test"))), client, asked)
    assert seen.count("NEWSESSION_TICKET") == 1


@pytest.mark.parametrize(("minimum", "most", "agreed"), [("1.2", "TLSv1_2", "TLSv1.2"), ("1.3", "TLSv1_3", "TLSv1.3")])
def test_versions(minimum: str, most: str, agreed: str) -> None:
    client = careless()
    client.maximum_version = ssl.TLSVersion[most]
    told = details(Link(ServerTls(settings(MX.pair(), minimum=minimum)), client, None))
    assert told is not None and told.version == agreed


def test_an_old_client_is_not_spoken_with() -> None:
    client = careless()
    client.maximum_version = ssl.TLSVersion.TLSv1_2
    with pytest.raises(ssl.SSLError):
        Link(ServerTls(settings(MX.pair(), minimum="1.3")), client, None)


@pytest.mark.parametrize("cipher", ["AES128-GCM-SHA256", "ECDHE-ECDSA-AES128-SHA", "DHE-RSA-AES128-GCM-SHA256"])
def test_no_cipher_without_forward_secrecy_and_none_with_sha1(cipher: str) -> None:
    client = careless()
    client.maximum_version = ssl.TLSVersion.TLSv1_2
    client.set_ciphers(f"{cipher}:@SECLEVEL=0")
    with pytest.raises(ssl.SSLError):
        Link(ServerTls(settings(MX.pair())), client, None)


def test_all_ciphers_are_those_that_were_chosen() -> None:
    names = [cipher["name"] for cipher in ServerTls(settings(MX.pair())).context.get_ciphers()]
    old = [name for name in names if not name.startswith("TLS_")]
    assert names and old and all(name.startswith("ECDHE-") for name in old)
    weaker = [not name.endswith(("GCM-SHA256", "GCM-SHA384", "POLY1305")) for name in old]
    assert weaker == sorted(weaker) and any(weaker)  # what has no authentication of its own comes last


@pytest.mark.parametrize("version", ["TLSv1_2", "TLSv1_3"])
def test_any_client_certificate_is_taken_and_known_by_its_fingerprint_when_resumed_too(
    version: str, tmp_path: Path
) -> None:
    stranger = Authority().issue("whoever.test")  # nobody here knows its authority
    tls = ServerTls(settings(MX.pair(), OTHER.pair("other.test"), relay=[CLIENT.fingerprint]))
    client = AUTHORITY.client_context(stranger, tmp_path)
    client.maximum_version = ssl.TLSVersion[version]
    session = None
    for name in ("mx.here.test", "mx.here.test", "other.test"):
        link = Link(tls, client, name, session if name == "mx.here.test" else None)
        assert link.server.session_reused == (session is not None and name == "mx.here.test")
        told = details(link)
        assert told is not None and told.client_fingerprint == stranger.fingerprint
        session = link.client.session


def test_a_name_that_is_not_ascii_fails_the_handshake_and_prints_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    told: list[object] = []
    monkeypatch.setattr(sys, "unraisablehook", told.append)
    tls = ServerTls(settings(MX.pair()))
    from_server, to_server = ssl.MemoryBIO(), ssl.MemoryBIO()
    client = careless().wrap_bio(from_server, to_server, server_hostname="xxxx.test")
    Link.push(client.do_handshake)
    hello = to_server.read()
    assert b"xxxx.test" in hello
    to_server.write(hello.replace(b"xxxx.test", b"\xff\xfexx.test"))
    with pytest.raises(ssl.SSLError, match="callback failed"):
        tls.context.wrap_bio(to_server, from_server, server_side=True).do_handshake()
    assert not told

    class Fails:
        def __del__(self) -> None:
            raise KeyError

    Fails()
    assert len(told) == 1  # what nobody expected is told as before


def test_clients_are_not_asked_where_no_certificate_means_anything(tmp_path: Path) -> None:
    told = details(Link(ServerTls(settings(MX.pair())), AUTHORITY.client_context(CLIENT, tmp_path), "mx.here.test"))
    assert told is not None and told.client_fingerprint == ""


def test_a_certificate_without_its_key_is_not_taken(tmp_path: Path) -> None:
    """The judge says yes to every chain; that the client holds the key is proven all the same."""
    tls = ServerTls(settings(MX.pair(), relay=[CLIENT.fingerprint]))
    liar = Made(CLIENT.certificate, OTHER.key)
    with pytest.raises(ssl.SSLError):
        Link(tls, AUTHORITY.client_context(liar, tmp_path), "mx.here.test")


def test_an_openssl_out_of_reach_is_said(monkeypatch: pytest.MonkeyPatch) -> None:
    def without(_name: str) -> object:
        return object()

    monkeypatch.setattr(ctypes, "CDLL", without)
    with pytest.raises(ValueError, match="leave relay_fingerprints empty"):
        ServerTls(settings(MX.pair(), relay=[CLIENT.fingerprint]))


def test_another_layout_of_contexts_is_noticed(monkeypatch: pytest.MonkeyPatch) -> None:
    class Other(ssl.SSLContext):
        options = ssl.Options(0)

    with pytest.raises(ValueError, match="out of reach"):
        tls_clients.take_any_certificate(Other(ssl.PROTOCOL_TLS_SERVER))


def test_the_binding_is_that_of_the_certificate_shown() -> None:
    tls = ServerTls(settings(MX.pair(), OTHER.pair("other.test")))
    for name, made in ((None, MX), ("other.test", OTHER), (None, MX)):
        # trustme signs with SHA-256
        assert server_end_point(Link(tls, careless(), name)) == hashlib.sha256(der(made)).digest()


def test_no_binding_where_the_signature_has_no_hash() -> None:
    key = ed25519.Ed25519PrivateKey.generate()
    name = x509.Name([])
    first, last = x509.load_pem_x509_certificate(MX.certificate), x509.load_pem_x509_certificate(MX.certificate)
    builder = x509.CertificateBuilder(name, name, key.public_key(), 1)
    made = (
        builder.not_valid_before(first.not_valid_before_utc).not_valid_after(last.not_valid_after_utc).sign(key, None)
    )
    encoding = serialization.Encoding.PEM
    form, clear = serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    pair = Made(made.public_bytes(encoding), key.private_bytes(encoding, form, clear))
    assert server_end_point(Link(ServerTls(settings(pair.pair())), careless(), None)) == b""


ENCRYPTED = serialization.load_pem_private_key(MX.key, None).private_bytes(
    serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.BestAvailableEncryption(b"x")
)


@pytest.mark.parametrize(
    ("certificate", "key", "said"),
    [
        (MX.certificate, OTHER.key, "a.pem: the key is not this certificate's"),
        (b"", MX.key, "a.pem: "),
        (MX.certificate, b"", "a.pem: "),
        (MX.certificate[:300], MX.key, "a.pem: "),
        (MX.certificate, ENCRYPTED, "a.pem: the key is encrypted, and nobody is here"),
    ],
    ids=["other key", "no certificate", "no key", "half a certificate", "passphrase"],
)
def test_a_pair_that_is_none(certificate: bytes, key: bytes, said: str) -> None:
    with pytest.raises(ValueError, match=said):
        ServerTls(settings(Pair("a.pem", (), certificate, key)))


def test_a_key_is_not_shown() -> None:
    assert "PRIVATE" not in repr(settings(MX.pair()))
