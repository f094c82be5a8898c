"""Replies: what goes on the wire, and what cannot be made."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from paperpath.base.reply import Reply, reply


def test_one_line() -> None:
    assert reply(250, "2.1.0", "Sender taken").encode() == b"250 2.1.0 Sender taken\r\n"


def test_without_enhanced_status() -> None:
    assert reply(354, "", "Go on").encode() == b"354 Go on\r\n"


def test_every_line_has_code_and_status() -> None:
    assert reply(550, "5.7.1", "one", "two", "").encode() == b"550-5.7.1 one\r\n550-5.7.1 two\r\n550 5.7.1 \r\n"


def test_class() -> None:
    assert [reply(code, "", "x").is_positive for code in (220, 354, 421, 550)] == [True, True, False, False]


@pytest.mark.parametrize(
    ("code", "status", "lines"),
    [
        (199, "", ("x",)),
        (600, "", ("x",)),
        (250, "4.0.0", ("x",)),
        (450, "5.0.0", ("x",)),
        (250, "2.0", ("x",)),
        (250, "2.0.0\r\n250", ("x",)),
        (250, "2.0.1234", ("x",)),
        (354, "3.0.0", ("x",)),
        (250, "", ()),
        (250, "", ("a\r\nb",)),
        (250, "", ("a", "b\n")),
        (250, "", ("\x00",)),
        (250, "", ("\u2028",)),
    ],
)
def test_what_is_no_reply(code: int, status: str, lines: tuple[str, ...]) -> None:
    with pytest.raises(ValueError):
        Reply(code, status, lines)


@given(st.lists(st.text(max_size=20), min_size=1, max_size=5), st.sampled_from(["", "5.1.1"]))
def test_text_never_adds_a_line(lines: list[str], status: str) -> None:
    try:
        raw = Reply(550, status, tuple(lines)).encode()
    except ValueError:
        assert not all(line.isprintable() for line in lines)
        return
    rows = raw.decode().split("\r\n")
    assert rows.pop() == "" and len(rows) == len(lines)
    lead = f"{status} " if status else ""
    assert rows[-1] == f"550 {lead}{lines[-1]}"
    assert all(row == f"550-{lead}{line}" for row, line in zip(rows[:-1], lines, strict=False))


def test_equal_replies_are_equal_values() -> None:
    assert reply(250, "2.0.0", "ok") == Reply(250, "2.0.0", ("ok",))
    with pytest.raises(AttributeError):
        reply(250, "2.0.0", "ok").code = 251  # type: ignore[misc]
