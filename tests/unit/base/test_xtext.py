"""xtext (RFC 3461 4), for every input."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from paperpath.base.xtext import decode_xtext, encode_xtext, is_xtext


@given(st.binary(max_size=200))
def test_any_bytes_go_there_and_back(raw: bytes) -> None:
    text = encode_xtext(raw)
    assert is_xtext(text)
    assert decode_xtext(text) == raw
    assert all(0x21 <= byte <= 0x7E and byte != ord("=") for byte in text)  # fit for a parameter of a command


@given(st.text(alphabet="+=09AFafGx~! \x7f\xff", max_size=8).map(lambda text: text.encode("latin-1")))
def test_what_is_taken_is_what_can_be_undone(text: bytes) -> None:
    if not is_xtext(text):
        with pytest.raises(ValueError, match="not xtext"):
            decode_xtext(text)
        return
    # Hexadecimal digits may stand for bytes that could stand for themselves, so it may become shorter.
    assert decode_xtext(encode_xtext(decode_xtext(text))) == decode_xtext(text)
    assert len(encode_xtext(decode_xtext(text))) <= len(text)


@pytest.mark.parametrize(
    ("raw", "text"),
    [(b"", b""), (b"a@b", b"a@b"), (b"a+b=c", b"a+2Bb+3Dc"), (b" \0\n\x7f", b"+20+00+0A+7F"), (b"\xff", b"+FF")],
)
def test_known_ones(raw: bytes, text: bytes) -> None:
    assert encode_xtext(raw) == text
    assert decode_xtext(text) == raw


@pytest.mark.parametrize("text", [b"+", b"a+2", b"+2b", b"+G0", b"a=b", b"a b", b"\x7f", b"\xc3\xbc", b"a\n", b"+2B\n"])
def test_what_is_none(text: bytes) -> None:
    assert not is_xtext(text)
