"""What strangers write, shown: on one line, printing as itself, never two things alike."""

import unicodedata

import pytest
from hypothesis import given
from hypothesis import strategies as st

from paperpath.base.text import one_line, show

# What moves, hides or breaks text on a terminal or in a log.
HARMFUL = [
    *map(chr, range(0x20)), *map(chr, range(0x7F, 0xA0)), "\u00ad", "\u061c", "\u180e", "\u200b", "\u200e",
    "\u200f", "\u2028", "\u2029", *map(chr, range(0x202A, 0x202F)), "\u2060", *map(chr, range(0x2066, 0x206A)),
    "\ufeff", "\ufff9", "\U000e0041",
]  # fmt: skip


@pytest.mark.parametrize(
    ("raw", "shown"),
    [
        (b"", ""),
        (b"joe@example.org", "joe@example.org"),
        (b" a b ", " a b "),
        ("grüße, 你好 😀".encode(), "grüße, 你好 😀"),
        (b"a\nb\r\t\0\x1b[31m\x7f", r"a\x0ab\x0d\x09\x00\x1b[31m\x7f"),
        (b"a\\nb", r"a\x5cnb"),
        (b"\xff\xfe", r"\xff\xfe"),
        (b"\xc3", r"\xc3"),
        ("\x85\u202e\U000e0041".encode(), r"\u0085\u202e\U000e0041"),
        (b"\x85", r"\x85"),
        (b"\xed\xa0\x80", r"\xed\xa0\x80"),  # a surrogate is not UTF-8
        ("a\u00a0b".encode(), r"a\u00a0b"),
    ],
)
def test_show(raw: bytes, shown: str) -> None:
    assert show(raw) == shown


@pytest.mark.parametrize("character", HARMFUL, ids=lambda character: f"{ord(character):04x}")
def test_harmful_characters_are_never_shown(character: str) -> None:
    for text in (show(f"a{character}b".encode()), one_line(f"a{character}b")):
        assert character not in text and text.isprintable()


@given(st.binary(max_size=50) | st.text(max_size=50).map(str.encode))
def test_show_is_printable_and_can_be_undone(raw: bytes) -> None:
    shown = show(raw)
    assert len(shown.splitlines()) <= 1
    assert all(unicodedata.category(character)[0] not in "CZ" or character == " " for character in shown)
    undone = bytearray()
    while shown:
        if shown[0] != "\\":
            undone += shown[0].encode()
            shown = shown[1:]
            continue
        digits = {"x": 2, "u": 4, "U": 8}[shown[1]]
        code = int(shown[2 : 2 + digits], 16)
        undone += bytes([code]) if digits == 2 else chr(code).encode()
        shown = shown[2 + digits :]
    assert bytes(undone) == raw


@pytest.mark.parametrize(
    ("text", "line"),
    [
        ("", ""),
        ("550 no such user", "550 no such user"),
        ("first\r\nsecond\n  third ", "first second third"),
        ("a\u2028b\x85c\x1cd", "a b c d"),
        ("a\x00b\\c", r"a\x00b\c"),
        ("\udc80\ud800", r"\x80\ud800"),
    ],
)
def test_one_line(text: str, line: str) -> None:
    assert one_line(text) == line


@given(st.lists(st.characters() | st.sampled_from("\n\0\x85 \udc80"), max_size=40).map("".join), st.integers(3, 30))
def test_one_line_is_bounded_printable_and_settles(text: str, most: int) -> None:
    line = one_line(text, most)
    assert len(line) <= most and line.isprintable()
    assert one_line(line, most) == line
    if len(" ".join(text.split())) > most:
        assert line.endswith("...")


def test_one_line_counts_what_is_shown() -> None:
    assert one_line("\0" * 500, 500) == r"\x00" * 124 + "\\..."
