"""SASL machines against the examples of their documents, and a second opinion on SCRAM."""

import base64
import hashlib
import hmac
from collections.abc import Callable

import pytest
from scramp import ScramClient, ScramMechanism  # type: ignore[import-untyped]

from paperpath.protocol.sasl import (
    BAD_NAME,
    NOT_FOR_ANOTHER,
    WRONG,
    CheckPassword,
    CheckToken,
    Failed,
    FindKeys,
    FindSecrets,
    Login,
    Mechanism,
    Plain,
    Proven,
    Say,
    Step,
)
from paperpath.protocol.sasl_digest import Apop, CramMd5
from paperpath.protocol.sasl_oauth import OAuthBearer, XOAuth2
from paperpath.protocol.sasl_prep import prepared
from paperpath.protocol.sasl_scram import Scram, ScramKey, ScramKeys, made_up_keys, make_key

BINDING = hashlib.sha256(b"certificate").digest()


# PLAIN and LOGIN


def test_plain_as_in_rfc_4616() -> None:
    machine = Plain()
    assert machine.start(b"\0tim\0tanstaaftanstaaf") == CheckPassword("tim", b"tanstaaftanstaaf")
    assert machine.answer(True) == Proven("tim")
    machine = Plain()
    assert machine.start(None) == Say(b"")
    assert machine.respond(b"\0tim\0wrong") == CheckPassword("tim", b"wrong")
    assert machine.answer(False) == WRONG


def test_plain_for_another_user_is_refused() -> None:
    assert Plain().start(b"Ursel\0Kurt\0xipj3plmq") == NOT_FOR_ANOTHER
    assert isinstance(Plain().start(b"kurt\0Kurt\0xipj3plmq"), CheckPassword)


@pytest.mark.parametrize(
    "message", [b"", b"\0", b"\0tim", b"tim\0secret", b"\0tim\0", b"\0tim\0a\0b", b"\0tim\0" + 1025 * b"x"]
)
def test_what_is_not_plain(message: bytes) -> None:
    step = Plain().start(message)
    assert isinstance(step, Failed) and step.malformed


@pytest.mark.parametrize("name", [b"", b"a\nb", b"\xff", 256 * b"x"])
def test_names_that_nobody_has(name: bytes) -> None:
    assert Plain().start(b"\0" + name + b"\0secret") == BAD_NAME
    assert Login().start(name) == BAD_NAME


def test_login_with_and_without_an_initial_response() -> None:
    machine = Login()
    assert machine.start(None) == Say(b"Username:")
    assert machine.respond(b"tim") == Say(b"Password:")
    assert machine.respond(b"secret") == CheckPassword("tim", b"secret")
    assert Login().start(b"tim") == Say(b"Password:")


def test_a_response_out_of_turn_ends_it() -> None:
    machine = Plain()
    machine.start(b"\0tim\0secret")
    step = machine.respond(b"\0tim\0other")
    assert isinstance(step, Failed) and step.malformed
    with pytest.raises(RuntimeError):
        Plain().answer(True)


# Digests


def test_cram_md5_as_in_rfc_2195() -> None:
    machine = CramMd5(b"<1896.697170952@postoffice.reston.mci.net>")
    assert machine.start(None) == Say(b"<1896.697170952@postoffice.reston.mci.net>")
    assert machine.respond(b"tim b913a602c7eda7a495b4e6e7334d3890") == FindSecrets("tim")
    assert machine.answer((("", b"other"), ("phone", b"tanstaaftanstaaf"))) == Proven("tim", "phone")


def test_apop_as_in_rfc_1939() -> None:
    machine = Apop()
    initial = b"<1896.697170952@dbc.mtview.ca.us>\0mrose\0c4c9334bac560ecc979e58001b3e22fb"
    assert machine.start(initial) == FindSecrets("mrose")
    assert machine.answer((("", b"tanstaaf"),)) == Proven("mrose")


def test_digests_that_are_wrong() -> None:
    machine = CramMd5(b"<1@a>")
    machine.start(None)
    machine.respond(b"tim " + b"0" * 32)
    assert machine.answer((("", b"secret"),)) == WRONG
    nobodys = hmac.new(b"nobody's", b"<1@a>", "md5").hexdigest().encode()
    machine = CramMd5(b"<1@a>")
    machine.start(None)
    machine.respond(b"tim " + nobodys)
    assert machine.answer(()) == WRONG
    for response in (b"", b"tim", b"tim abc", b" " + b"0" * 32):
        machine = CramMd5(b"<1@a>")
        machine.start(None)
        assert isinstance(machine.respond(response), Failed)
    assert isinstance(CramMd5(b"<1@a>").start(b"tim"), Failed)


# SCRAM

PENCIL = ScramKeys(base64.b64decode("W22ZaJ0SNY7soEsUEjb6gQ=="), 4096, ())


def keys(*passwords: str, given: ScramKeys = PENCIL) -> ScramKeys:
    made = tuple(make_key(f"label-{password}", password, given.salt, given.iterations) for password in passwords)
    return ScramKeys(given.salt, given.iterations, made)


def scram(*, plus: bool = False, offered: bool = False, nonce: bytes = b"server", binding: bytes = BINDING) -> Scram:
    return Scram(
        nonce=nonce, plus=plus, binding_type="tls-server-end-point", binding=binding, plus_offered=offered or plus
    )


RFC_7677 = b"c=biws,r=rOprNGfwEbeRWgbNEkqO%hvYDpWUa2RaTCAfuxFIlj)hNlF$k0,p=dHzbZapWIk4jUhN+Ute9ytag9zjfMHgsqmmiz7AndVQ="


def rfc_7677() -> Scram:
    """The exchange of the example, up to the client's final message."""
    machine = scram(nonce=b"%hvYDpWUa2RaTCAfuxFIlj)hNlF$k0")
    assert machine.start(b"n,,n=user,r=rOprNGfwEbeRWgbNEkqO") == FindKeys("user")
    assert machine.answer(keys("pencil")) == Say(
        b"r=rOprNGfwEbeRWgbNEkqO%hvYDpWUa2RaTCAfuxFIlj)hNlF$k0,s=W22ZaJ0SNY7soEsUEjb6gQ==,i=4096"
    )
    return machine


def test_scram_sha_256_as_in_rfc_7677() -> None:
    machine = rfc_7677()
    assert machine.respond(RFC_7677) == Say(b"v=6rriTRBi23WpRR/wtup+mMhUZUn/dB5nLTJRsjl95G4=")
    assert machine.respond(b"") == Proven("user", "label-pencil")


def talk(client: ScramClient, machine: Scram, known: ScramKeys) -> Step:
    """Let scramp's client log in; return the last step."""
    step = machine.start(client.get_client_first().encode())
    if isinstance(step, Failed):
        return step
    assert step == FindKeys("user")
    first = machine.answer(known)
    assert isinstance(first, Say)
    client.set_server_first(first.data.decode())
    last = machine.respond(client.get_client_final().encode())
    if isinstance(last, Say):
        client.set_server_final(last.data.decode())
        return machine.respond(b"")
    return last


def client(password: str, mechanism: str = "SCRAM-SHA-256", binding: bytes | None = None) -> ScramClient:
    channel = None if binding is None else ("tls-server-end-point", binding)
    return ScramClient([mechanism], "user", password, channel_binding=channel)


@pytest.mark.parametrize("password", ["pencil", "p\u00e9ncil \u2168", "x" * 200])
def test_scramp_logs_in(password: str) -> None:
    assert talk(client(password), scram(), keys("another", password)) == Proven("user", f"label-{password}")
    assert talk(client("wrong"), scram(), keys("another", password)) == WRONG


def test_scramp_computes_the_same_keys() -> None:
    auth = ScramMechanism("SCRAM-SHA-256").make_auth_info("pencil", iteration_count=4096, salt=PENCIL.salt)
    salt, stored, server, iterations = auth
    assert (salt, iterations) == (PENCIL.salt, 4096)
    assert make_key("", "pencil", PENCIL.salt, 4096) == ScramKey("", stored, server)


def test_scramp_logs_in_bound_to_the_channel() -> None:
    plus = "SCRAM-SHA-256-PLUS"
    assert isinstance(talk(client("pencil", plus, BINDING), scram(plus=True), keys("pencil")), Proven)


def test_another_channel_is_refused() -> None:
    """Somebody in the middle has a TLS connection of their own, to each side, and another certificate."""
    step = talk(client("pencil", "SCRAM-SHA-256-PLUS", b"theirs"), scram(plus=True), keys("pencil"))
    assert step == Failed("channel binding does not fit")


@pytest.mark.parametrize(
    ("flag", "plus", "offered", "goes_on"),
    [
        (b"n", False, False, True),
        (b"n", False, True, True),
        (b"y", False, False, True),
        (b"y", False, True, False),  # somebody took -PLUS out of our list
        (b"p=tls-server-end-point", False, True, False),
        (b"p=tls-server-end-point", True, True, True),
        (b"p=tls-unique", True, True, False),
        (b"n", True, True, False),
        (b"y", True, True, False),
    ],
)
def test_downgrades(flag: bytes, plus: bool, offered: bool, goes_on: bool) -> None:
    step = scram(plus=plus, offered=offered).start(flag + b",,n=user,r=abc")
    assert isinstance(step, FindKeys) is goes_on


def test_without_a_binding_of_our_own_plus_fails() -> None:
    assert isinstance(scram(plus=True, binding=b"").start(b"p=tls-server-end-point,,n=user,r=abc"), Failed)


@pytest.mark.parametrize(
    "first",
    [
        b"",
        b"n,,n=user",
        b"n,,r=abc,n=user",
        b"n,,m=x,n=user,r=abc",
        b"n,,n=us=er,r=abc",
        b"n,,n=,r=abc",
        b"n,,n=user,r=a b",
        b"x,,n=user,r=abc",
        b"n,a=other,n=user,r=abc",
    ],
)
def test_first_messages_that_go_nowhere(first: bytes) -> None:
    assert isinstance(scram().start(first), Failed)


def test_names_are_unescaped() -> None:
    assert scram().start(b"n,a=a=2Cb=3Dc,n=a=2Cb=3Dc,r=abc") == FindKeys("a,b=c")


@pytest.mark.parametrize(
    "final",
    [
        RFC_7677.replace(b"r=rOpr", b"r=rOps"),
        RFC_7677.replace(b"c=biws", b"c=eSws"),
        RFC_7677.replace(b"p=dHzb", b"p=dHzc"),
        RFC_7677[:-8] + b"=",
        RFC_7677[:-4] + b"*",
        RFC_7677 + b",x=y",
        b"",
    ],
)
def test_final_messages_that_prove_nothing(final: bytes) -> None:
    assert isinstance(rfc_7677().respond(final), Failed)


def test_nobodys_keys_look_like_anybodys_and_stay_the_same() -> None:
    one, again, other = (made_up_keys(b"secret", name) for name in ("nobody", "Nobody", "somebody"))
    assert one == again and one.salt != other.salt
    assert len(one.salt) == len(PENCIL.salt) and not one.keys
    assert talk(client("pencil"), scram(), one) == WRONG


# Bearer tokens

TOKEN = "vF9dft4qmTc2Nvb3RlckBhbHRhdmlzdGEuY29tCg=="
BEARER = b"n,a=user@example.com,\x01host=server.example.com\x01port=143\x01auth=Bearer " + TOKEN.encode() + b"\x01\x01"


@pytest.mark.parametrize(
    ("machine", "message"),
    [
        (OAuthBearer(), BEARER),
        (XOAuth2(), b"user=user@example.com\x01auth=Bearer " + TOKEN.encode() + b"\x01\x01"),
    ],
)
def test_bearer_tokens_as_documented(machine: Mechanism, message: bytes) -> None:
    assert machine.start(message) == CheckToken("user@example.com", TOKEN)
    assert machine.answer(True) == Proven("user@example.com")


@pytest.mark.parametrize("make", [OAuthBearer, XOAuth2])
def test_a_token_that_is_refused_is_explained_and_then_it_has_failed(make: Callable[[], Mechanism]) -> None:
    machine = make()
    machine.start(BEARER if make is OAuthBearer else b"user=u\x01auth=Bearer x\x01\x01")
    complaint = machine.answer(False)
    assert isinstance(complaint, Say) and complaint.data.startswith(b'{"status":')
    assert machine.respond(b"\x01") == Failed("the token was not accepted")


def test_the_user_may_be_left_to_the_token() -> None:
    assert OAuthBearer().start(b"n,,\x01auth=Bearer abc\x01\x01") == CheckToken("", "abc")


@pytest.mark.parametrize(
    "message",
    [b"", b"\x01", b"n,,\x01\x01", b"n,,\x01auth=Basic abc\x01\x01", b"n,,\x01auth=Bearer a b\x01\x01", BEARER[:-1],
     b"n,x=y,\x01auth=Bearer abc\x01\x01", b"p=tls-unique,,\x01auth=Bearer abc\x01\x01", b"n,,\x01auth\x01\x01"],
)  # fmt: skip
def test_what_is_no_bearer_message(message: bytes) -> None:
    assert isinstance(OAuthBearer().start(message), Failed)
    assert isinstance(XOAuth2().start(message), Failed)


# SASLprep


@pytest.mark.parametrize(
    ("text", "form"), [("I\u00adX", "IX"), ("user", "user"), ("USER", "USER"), ("\u00aa", "a"), ("\u2168", "IX")]
)
def test_saslprep_as_in_rfc_4013(text: str, form: str) -> None:
    assert prepared(text) == form


@pytest.mark.parametrize("text", ["\u0007", "\u06271", "", "\u00ad", "\u0627a\u0627", "\ue000", "\u0221"])
def test_saslprep_forbids(text: str) -> None:
    with pytest.raises(ValueError, match=r"has|holds|mixes"):
        prepared(text)
