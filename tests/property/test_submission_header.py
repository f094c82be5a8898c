"""The quick way to read an address field says what the thorough way says, or nothing."""

from hypothesis import example, given
from hypothesis import strategies as st

from paperpath.message.rfc822 import Unparsable
from paperpath.message.submission import _EACH, _PLAIN, _complete, look_at

PIECES = st.sampled_from(
    ["joe@here.test", "a.b@x.test", "joe", "Joe ", "Joe User", "<", ">", ",", " ", "\n ", '"', "(", ")", "@", ".", ";",
     ":", "=?utf-8?q?a?=", "x@y", "é", "\\", "[1.2.3.4]", "..", "-"]
)  # fmt: skip


@given(st.lists(PIECES, max_size=12).map("".join))
@example("Joe <joe@here.test>, a@b.test,\n c@d.test")
@example("<joe@here.test>")
@example(" a..b@x.test ")
def test_the_quick_way_agrees_with_the_thorough_one(value: str) -> None:
    raw = value.encode()
    if _PLAIN.fullmatch(raw):
        assert _complete(b"From:" + raw, b"default.test") == (tuple(_EACH.findall(raw)), None)


@given(st.lists(PIECES, max_size=8).map("".join))
@example("\\>")
@example("a\\:b")
@example("a\\ b")
@example("\\\n joe")
@example("[1.2.3.4]<>")
@example("<<>")
def test_whatever_a_header_holds_it_is_read_or_refused(value: str) -> None:
    header = b"From:" + value.encode() + b"\nSubject: x\n"
    found = look_at(header, b"default.test")
    assert found.header is None or found.header.endswith(b"\nSubject: x\n")
    if found.authors:
        again = look_at(found.header or header, b"default.test")
        assert again.authors == found.authors and again.header is None


@given(st.binary(max_size=200))
def test_garbage_breaks_nothing(header: bytes) -> None:
    try:
        look_at(header, b"default.test")
    except Unparsable:
        raise AssertionError("it is to be caught") from None
