"""Encoded words: as long as RFC 2047 allows, and what was said comes out again."""

from email.header import decode_header, make_header

from hypothesis import given
from hypothesis import strategies as st

from paperpath.message.encoded_words import encoded_words


@given(st.text(st.characters(exclude_categories=["Cs"]), min_size=1, max_size=200))
def test_what_was_said_comes_out_again(text: str) -> None:
    words = encoded_words(text)
    assert max(map(len, words)) <= 75
    assert str(make_header(decode_header(b"\n ".join(words).decode()))) == text
