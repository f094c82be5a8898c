"""Content on its way out: every cut gives the same bytes, and nothing in them can be taken for the end."""

import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from paperpath.protocol.smtp_client_data import DataEncoder, encode_data

tricky = st.binary(max_size=40) | st.text(alphabet="\r\n.a", max_size=40).map(str.encode)


def decode(wire: bytes) -> bytes:
    """What a correct server stores: lines up to the lone dot, one leading dot removed."""
    lines = wire.split(b"\r\n")
    assert lines[-2:] == [b".", b""]
    assert b"." not in lines[:-2]
    return b"".join(line.removeprefix(b".") + b"\n" for line in lines[:-2])


@given(tricky)
def test_a_server_gets_the_content_with_whole_lines(content: bytes) -> None:
    plain = re.sub(rb"\r+\n?", b"\n", content)
    if plain and not plain.endswith(b"\n"):
        plain += b"\n"
    assert decode(encode_data(content)) == plain


@given(tricky)
def test_cr_and_lf_leave_only_together(content: bytes) -> None:
    wire = encode_data(content)
    assert wire.count(b"\r") == wire.count(b"\n") == wire.count(b"\r\n")


@given(tricky)
def test_the_end_of_data_stands_at_the_end_and_nowhere_else(content: bytes) -> None:
    wire = b"\r\n" + encode_data(content)
    assert wire.index(b"\r\n.\r\n") == len(wire) - 5


@given(st.lists(tricky, max_size=8))
def test_cuts_make_no_difference(blocks: list[bytes]) -> None:
    encoder = DataEncoder()
    streamed = b"".join(encoder.feed(block) for block in blocks) + encoder.end()
    assert streamed == encode_data(b"".join(blocks))


@pytest.mark.parametrize(
    ("content", "wire"),
    [
        (b"", b".\r\n"),
        (b"a\n", b"a\r\n.\r\n"),
        (b"a", b"a\r\n.\r\n"),
        (b".\n", b"..\r\n.\r\n"),
        (b"a\r.\nb\n", b"a\r\n..\r\nb\r\n.\r\n"),  # reference 29: qmail's defect
        (b"a\r\n.\r\nb\n", b"a\r\n..\r\nb\r\n.\r\n"),
        (b"a\r\r\nb\n", b"a\r\nb\r\n.\r\n"),
        (b"\r.", b"\r\n..\r\n.\r\n"),
    ],
)
def test_line_ends_and_dots(content: bytes, wire: bytes) -> None:
    assert encode_data(content) == wire
