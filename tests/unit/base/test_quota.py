"""The lines of a maildirsize file."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from paperpath.base.quota import SIZE_FILE_MOST_BYTES, Limits, Use, read_size_file


@pytest.mark.parametrize(
    ("first", "limits"),
    [
        (b"10000000S,1000C", Limits(10_000_000, 1000)),
        (b"1000C", Limits(0, 1000)),
        (b"5S", Limits(5, 0)),
        (b" 5S , 6C ", Limits(5, 6)),
        (b"5S,7X", Limits(5, 0)),
        (b"-5S,0C", Limits()),
        (b"", Limits()),
        (b"S,C", Limits()),
        (b"9" * 19 + b"S", Limits()),
    ],
)
def test_limits(first: bytes, limits: Limits) -> None:
    found = read_size_file(first + b"\n1 1\n")
    assert (found.first, found.limits, found.use) == (first, limits, Use(1, 1))


@pytest.mark.parametrize(
    ("lines", "use", "changes"),
    [
        (b"100 2\n-30 -1\n", Use(70, 1), 2),
        (b"100 2\n  7   1  \n\n", Use(107, 3), 2),
        (b"100 2\n7 1", Use(107, 3), 2),
        (b"", None, 0),
        (b"100 2\n-300 -1\n", None, 2),
        (b"100 2\n100 -3\n", None, 2),
        (b"100 2\nx 1\n", None, 1),
        (b"100 2\n7\n", None, 1),
        (b"100 2\n7 1 1\n", None, 1),
        (b"100 2\n\0\0\0\0\n", None, 1),
        (b"0 0\n" * SIZE_FILE_MOST_BYTES, None, None),
    ],
)
def test_use(lines: bytes, use: Use | None, changes: int | None) -> None:
    found = read_size_file(b"5S\n" + lines)
    assert found.use == use
    assert changes is None or found.changes == changes


@given(st.binary(max_size=200))
def test_every_content_is_understood(content: bytes) -> None:
    read_size_file(content)


@given(st.integers(0, 10**17), st.integers(0, 10**17), st.lists(st.tuples(st.integers(0, 10**9), st.integers(0, 9))))
def test_what_is_written_is_read(size: int, messages: int, changes: list[tuple[int, int]]) -> None:
    limits, use = Limits(size, messages), Use()
    content = f"{limits}\n".encode() + use.line()
    for change in changes[:50]:
        content, use = content + Use(*change).line(), use.plus(*change)
    found = read_size_file(content)
    assert (found.limits, found.use) == (limits, use)


def test_limits_are_the_most_and_not_less() -> None:
    assert Use(10, 2).fits(Limits(10, 2))
    assert not Use(11, 2).fits(Limits(10, 2))
    assert not Use(10, 3).fits(Limits(10, 2))
    assert Use(11, 3).fits(Limits())
