"""The header scanner, against small examples and against the standard library's parser."""

from email import message_from_bytes, policy

import pytest
from hypothesis import given
from hypothesis import strategies as st

from paperpath.message.header import count_hops, fields, header_end

MAIL = b"Received: one\nSubject: two\n\tfolded\n\nReceived: body\n"


@pytest.mark.parametrize(
    ("content", "end"),
    [
        (b"", 0),
        (b"\n", 0),
        (b"\nbody\n\nmore\n", 0),
        (b"A: b\n", 5),
        (b"A: b", 4),
        (b"A: b\n\n", 5),
        (b"A: b\n\nbody", 5),
        (b"A: b\n\n\n", 5),
        (b"A: b\n \n\nbody", 7),
        (b"A: b\n\r\nbody\n\nC", 12),
    ],
)
def test_header_end(content: bytes, end: int) -> None:
    assert header_end(content) == end


@given(st.lists(st.binary(max_size=20)).map(b"\n".join))
def test_header_ends_at_the_first_empty_line(content: bytes) -> None:
    end = header_end(content)
    rows = content[:end].split(b"\n")
    assert all(rows[:-1]) and (end == len(content) or content[end : end + 1] == b"\n")


@pytest.mark.parametrize(
    ("trace", "content", "hops"),
    [
        (b"", b"", 0),
        (b"", MAIL, 1),
        (b"Received: x\n\tby y\n", MAIL, 2),
        (b"", b"RECEIVED: a\nreceived: b\nDelivered-To: c\nDELIVERED-TO:d\n\n", 4),
        (b"", b"Received-SPF: a\nX-Received: b\nDelivered: c\n Received: d\n\n", 0),
        (b"", b"Subject: a\n\tReceived: b\n\nReceived: c\n", 0),
        (b"", b"\nReceived: body\n", 0),
        (b"Received: x\n", b"\nReceived: body\n", 1),
        (b"", b"Received: no end", 1),
    ],
)
def test_count_hops(trace: bytes, content: bytes, hops: int) -> None:
    assert count_hops(trace, content) == hops


def test_fields_are_raw() -> None:
    header = b"From me\n lost\nSubject:  a\n\tb\n c\nTo : x:y\nEmpty:\nbad name: z\n: none\nLast: l"
    assert list(fields(header)) == [
        (b"Subject", b"  a\n\tb\n c"),
        (b"To", b" x:y"),
        (b"Empty", b""),
        (b"Last", b" l"),
    ]


_WORD = st.text("abcXYZ-", min_size=1, max_size=8).map(str.encode)
_VALUE = st.text("ab :;<>\t", max_size=12).map(lambda value: b" " + value.encode())
_FOLD = st.text("ab:", min_size=1, max_size=8).map(lambda value: b"\n\t" + value.encode())


@given(st.lists(st.tuples(_WORD, _VALUE, st.lists(_FOLD, max_size=3).map(b"".join)), max_size=8))
def test_fields_agree_with_the_standard_library(wanted: list[tuple[bytes, bytes, bytes]]) -> None:
    header = b"".join(b"%b:%b%b\n" % field for field in wanted)
    found = list(fields(header))
    assert found == [(name, value + fold) for name, value, fold in wanted]
    oracle = message_from_bytes(header + b"\n", policy=policy.compat32)
    assert [(name.decode(), value.decode().lstrip(" \t")) for name, value in found] == oracle.items()


@given(st.binary(max_size=200))
def test_fields_take_anything(header: bytes) -> None:
    for name, value in fields(header):
        assert name and b":" not in name and b"\n" not in name
        assert name + b":" in header.replace(b" ", b"").replace(b"\t", b"") and value in header
