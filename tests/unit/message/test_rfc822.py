"""Address fields: what holds for every input.  What exactly comes out is told in tests/transcripts/inject."""

from itertools import pairwise

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from paperpath.message.composing import split_message
from paperpath.message.rewriting import Rewriter, must_quote, quote_argument
from paperpath.message.rfc822 import LINE_COLUMNS, Unparsable, lex, rewrite_addresses, unlex, unquote

Token = tuple[str, bytes]
REWRITER = Rewriter(b"dh.ex", b"dd.ex", b"pd.ex")
FIELD_TEXT = st.lists(
    st.sampled_from(
        [b"a", b"b.c", b'"', b"\\", b"(", b")", b"[", b"]", b"<", b">", b"@", b",", b":", b";", b".", b" ", b"\n "]
    )
    | st.binary(min_size=1, max_size=3),
    max_size=30,
).map(b"".join)


def rewritten(field: bytes) -> tuple[bytes, list[bytes]]:
    found: list[bytes] = []

    def rewrite(address: list[Token]) -> None:
        REWRITER.rewrite(address)
        found.append(REWRITER.envelope(address))

    return unlex(rewrite_addresses(lex(field), rewrite)), found


@given(FIELD_TEXT)
@example(b"\\")
@example(b"a\\")
def test_any_text_is_read_or_refused(text: bytes) -> None:
    try:
        field, addresses = rewritten(b"To:" + text)
    except Unparsable:
        return
    assert field.startswith(b"To:") and field.endswith(b"\n")
    lines = field.split(b"\n")[:-1]
    for line, following in pairwise(lines):
        assert following.startswith(b"  ") or line.endswith(b"\\")  # a fold, or a line end that was quoted
    for address in addresses:
        assert b"@" in address or not address


@given(FIELD_TEXT)
def test_what_was_written_reads_the_same(text: bytes) -> None:
    try:
        tokens = lex(b"To:" + text)
    except Unparsable:
        return
    again = lex(unlex(tokens))
    # Two atoms side by side are told apart by a blank, and what an atom cannot hold is in quotes; but a backslash
    # before the end is an atom of nothing, which cannot be written at all.
    if all(kind != "atom" or word for kind, word in tokens):
        assert again == tokens


@given(
    st.lists(st.sampled_from([b"a@x.ex", b"someone@a.longer.host.example", b"<b@x.ex>", b"Name <c@x>"]), max_size=40)
)
def test_lines_are_short_where_they_can_be(addresses: list[bytes]) -> None:
    field, found = rewritten(b"To: " + b", ".join(addresses))
    assert len(found) == len(addresses)
    assert all(len(line) <= LINE_COLUMNS for line in field.split(b"\n"))


@given(
    st.lists(st.sampled_from([b"a@x.ex", b"bob", b"<c@d+>", b'"q q"@h', b"N <d@[1.2.3.4]>"]), min_size=1, max_size=6)
)
def test_rewriting_twice_changes_nothing(addresses: list[bytes]) -> None:
    once, found = rewritten(b"To: " + b" ".join(addresses))
    assert rewritten(once) == (once, found)


@given(st.binary(min_size=1, max_size=40))
def test_arguments_are_raw_addresses(local: bytes) -> None:
    assert REWRITER.complete(local.replace(b"@", b"") + b"@host.ex") == local.replace(b"@", b"") + b"@host.ex"


@pytest.mark.parametrize(
    ("local", "quoted"),
    [
        (b"a", False),
        (b"a.b", False),
        (b"a'b+c", False),
        (b"", True),
        (b".a", True),
        (b"a.", True),
        (b"a..b", True),
        (b"a b", True),
        (b"a@b", True),
        (b"\xe4", True),
    ],
)
def test_quotes(local: bytes, quoted: bool) -> None:
    assert must_quote(local) == quoted
    assert unquote(lex(quote_argument(local + b"@h"))) == local + b"@h"


@given(st.lists(st.sampled_from([b"A: b\n", b" c\n", b"\n", b"From x\n", b"\td\n", b"text\n", b"e"]), max_size=12))
def test_a_message_is_split_without_loss(lines: list[bytes]) -> None:
    raw = b"".join(lines)
    fields, rest = split_message(raw)
    whole = raw if raw.endswith(b"\n") or not raw else raw + b"\n"
    joined = b"".join(field.removeprefix(b"MBOX-Line: ") for field in fields)
    assert whole in {joined + rest, joined + rest[1:]}
    assert not rest or rest.startswith(b"\n")


def test_many_folds_are_read_in_linear_time() -> None:
    raw = b"A: b\n" + b" c\n" * 200_000 + b"\nbody"
    fields, rest = split_message(raw)
    assert fields == [raw[:-5]] and rest == b"\nbody\n"
