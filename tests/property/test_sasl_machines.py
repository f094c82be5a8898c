"""Whatever a client says in whatever order, a SASL machine ends, proves nothing unasked, and never breaks."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from paperpath.protocol.sasl import (
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
)
from paperpath.protocol.sasl_digest import Apop, CramMd5
from paperpath.protocol.sasl_oauth import OAuthBearer, XOAuth2
from paperpath.protocol.sasl_scram import Scram, ScramKeys, make_key

KEYS = ScramKeys(b"salt" * 4, 1, (make_key("", "secret", b"salt" * 4, 1),))
NAMES = ["PLAIN", "LOGIN", "CRAM-MD5", "APOP", "SCRAM", "PLUS", "OAUTHBEARER", "XOAUTH2"]


def machine(name: str) -> Mechanism:
    def scram(plus: bool) -> Scram:
        return Scram(nonce=b"s", plus=plus, binding_type="tls-server-end-point", binding=b"b", plus_offered=True)

    made: dict[str, Mechanism] = {
        "PLAIN": Plain(), "LOGIN": Login(), "CRAM-MD5": CramMd5(b"<1@a>"), "APOP": Apop(), "SCRAM": scram(False),
        "PLUS": scram(True), "OAUTHBEARER": OAuthBearer(), "XOAUTH2": XOAuth2(),
    }  # fmt: skip
    return made[name]


VALID = [
    b"\0user\0secret", b"user", b"secret", b"user " + b"0" * 32, b"<1@a>\0user\0" + b"0" * 32,
    b"n,,n=user,r=abc", b"p=tls-server-end-point,,n=user,r=abc", b"c=biws,r=abcs,p=" + b"A" * 43 + b"=",
    b"n,,\x01auth=Bearer abc\x01\x01", b"user=u\x01auth=Bearer abc\x01\x01", b"",
]  # fmt: skip


@st.composite
def messages(draw: st.DrawFn) -> bytes:
    """Something valid, cut, glued and spoilt; or garbage."""
    if draw(st.booleans()):
        return draw(st.binary(max_size=300))
    one, other = draw(st.sampled_from(VALID)), draw(st.sampled_from(VALID))
    cut, spliced = draw(st.integers(0, len(one))), draw(st.integers(0, len(other)))
    return one[:cut] + draw(st.binary(max_size=3)) + other[spliced:]


@pytest.mark.parametrize("name", NAMES)
@given(initial=st.none() | messages(), responses=st.lists(messages(), max_size=5))
def test_no_conversation_proves_anything_without_a_yes(
    name: str, initial: bytes | None, responses: list[bytes]
) -> None:
    made = machine(name)
    step = made.start(initial)
    said = iter(responses)
    for _ in range(20):
        match step:
            case Say():
                response = next(said, None)
                if response is None:
                    return
                step = made.respond(response)
            case CheckPassword() | CheckToken():
                step = made.answer(False)
            case FindKeys():
                step = made.answer(KEYS)
            case FindSecrets():
                step = made.answer((("", b"the secret"),))
            case Proven():
                pytest.fail("proven without proof")
            case Failed():
                assert isinstance(made.respond(b"more"), Failed)
                return
    pytest.fail("a conversation without an end")
