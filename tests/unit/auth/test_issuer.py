"""Bearer tokens, as their issuer or their signature says."""

import base64
import json
from collections.abc import Iterator
from typing import Any

import pytest
from joserfc import jwk, jwt

from paperpath.auth import issuer as module
from paperpath.auth.issuer import Issuer, IssuerError
from paperpath.process.settings import TokensSettings
from paperpath.system.clock import now
from tests import issuer as played

ACCOUNT = "you@example.test"


@pytest.fixture
def server() -> Iterator[played.Issuer]:
    with played.running_issuer() as issuer:
        yield issuer


def settings(**changes: Any) -> TokensSettings:
    given: dict[str, Any] = {
        "hostname": "mx.test", "run": "/nowhere", "log_as_json": False, "introspection": "", "client_id": "",
        "client_secret": "", "jwks": "", "issuer": "", "audience": "", "account_claim": "email", "ca_file": "",
        "timeout_s": 10, "client_users": (),
    }  # fmt: skip
    return TokensSettings(**(given | changes))


def introspecting(server: played.Issuer, **changes: Any) -> Issuer:
    return Issuer(settings(introspection=server.url + "/introspect?x=y", **changes))


def verifying(server: played.Issuer, **changes: Any) -> Issuer:
    return Issuer(settings(jwks=server.url + "/keys", issuer="https://issuer.test/", audience="mail", **changes))


def claims(**changes: Any) -> dict[str, Any]:
    given = {"iss": "https://issuer.test/", "aud": "mail", "exp": int(now()) + 600, "email": ACCOUNT}
    return {name: value for name, value in (given | changes).items() if value is not None}


def test_the_issuer_is_asked_and_told_who_asks(server: played.Issuer) -> None:
    server.tokens["abc"] = {"active": True, "email": ACCOUNT}
    issuer = introspecting(server, client_id="mail", client_secret="s:ecret")
    assert issuer.account_of("abc") == ACCOUNT
    assert issuer.account_of("abd") == ""
    assert server.asked[0] == ("/introspect?x=y", "mail:s:ecret")


@pytest.mark.parametrize(
    "said",
    [
        {"active": False, "email": ACCOUNT},
        {"active": "true", "email": ACCOUNT},
        {"email": ACCOUNT},
        {"active": True},
        {"active": True, "email": 7},
        {"active": True, "email": "a\nb"},
        {"active": True, "email": ACCOUNT, "aud": "web"},
        {"active": True, "email": ACCOUNT, "aud": ["web", "other"]},
        {"active": True, "email": ACCOUNT, "aud": "mail", "iss": "https://other.test/"},
    ],
)
def test_what_opens_nothing(server: played.Issuer, said: dict[str, Any]) -> None:
    server.tokens["abc"] = said
    changes = {"audience": "mail"} if "aud" in said else {}
    changes |= {"issuer": "https://issuer.test/"} if "iss" in said else {}
    assert introspecting(server, **changes).account_of("abc") == ""


@pytest.mark.parametrize("answer", [(500, b"{}"), (401, b"{}"), (302, b""), (200, b"[]"), (200, b"no"), (200, b"")])
def test_an_issuer_that_does_not_answer_says_nothing_of_the_token(
    server: played.Issuer, answer: tuple[int, bytes]
) -> None:
    server.answer = answer
    with pytest.raises(IssuerError):
        introspecting(server).account_of("abc")
    with pytest.raises(IssuerError):
        verifying(server).account_of("abc")


def test_an_issuer_that_is_away(server: played.Issuer) -> None:
    with pytest.raises(OSError, match="refused"):
        Issuer(settings(introspection="http://127.0.0.1:1/")).account_of("abc")


def test_an_answer_without_end_is_not_read(server: played.Issuer) -> None:
    server.answer = 200, b" " * (module._ANSWER_MOST_BYTES + 1)
    with pytest.raises(IssuerError):
        introspecting(server).account_of("abc")


def test_a_signed_token_is_judged_here(server: played.Issuer) -> None:
    issuer = verifying(server)
    assert issuer.account_of(server.sign(claims())) == ACCOUNT
    assert issuer.account_of(server.sign(claims(aud=["web", "mail"]))) == ACCOUNT
    assert [path for path, _ in server.asked] == ["/keys"]


@pytest.mark.parametrize(
    "changes",
    [
        {"iss": "https://other.test/"},
        {"iss": None},
        {"aud": "web"},
        {"aud": None},
        {"exp": 1_000_000_000},
        {"exp": None},
        {"exp": "later"},
        {"nbf": 4_000_000_000},
        {"email": None},
    ],
)
def test_signed_tokens_that_are_not_for_us_or_not_for_now(server: played.Issuer, changes: dict[str, Any]) -> None:
    assert verifying(server).account_of(server.sign(claims(**changes))) == ""


def test_signatures_of_others_are_worth_nothing(server: played.Issuer) -> None:
    issuer = verifying(server)
    stranger = jwk.ECKey.generate_key("P-256", {"kid": "one"})
    assert issuer.account_of(server.sign(claims(), stranger)) == ""
    unsigned = b".".join(base64.urlsafe_b64encode(json.dumps(part).encode()).rstrip(b"=") for part in
                         ({"alg": "none"}, claims()))  # fmt: skip
    assert issuer.account_of(unsigned.decode() + ".") == ""
    public = json.dumps(server.key.as_dict(private=False)).encode()
    shared = jwk.OctKey.import_key(public, {"kid": "one"})
    assert issuer.account_of(jwt.encode({"alg": "HS256", "kid": "one"}, claims(), shared)) == ""
    for garbage in ("", "abc", "a.b.c", "." * 5000):
        assert issuer.account_of(garbage) == ""


def test_new_keys_are_fetched_but_not_for_every_bad_token(
    server: played.Issuer, monkeypatch: pytest.MonkeyPatch
) -> None:
    issuer = verifying(server)
    assert issuer.account_of(server.sign(claims())) == ACCOUNT
    new = jwk.ECKey.generate_key("P-256", {"kid": "two"})
    server.shown.append(new)
    for _ in range(3):
        assert issuer.account_of(server.sign(claims(), new)) == ""
    assert len(server.asked) == 1
    monkeypatch.setattr(module, "_KEYS_AGAIN_AFTER_S", 0)
    assert issuer.account_of(server.sign(claims(), new)) == ACCOUNT
    assert len(server.asked) == 2


def test_a_ca_file_that_cannot_be_read_is_told() -> None:
    with pytest.raises(ValueError, match="ca_file"):
        Issuer(settings(jwks="https://issuer.test/", ca_file="/nonexistent"))
