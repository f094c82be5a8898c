"""Reading a server's replies."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from paperpath.protocol.smtp_replies import LINE_MOST_BYTES, LINES_MOST, PeerReply, ReplyError, ReplyReader


def read(data: bytes) -> list[PeerReply]:
    reader = ReplyReader()
    reader.add(data)
    replies = []
    while (reply := reader.next()) is not None:
        replies.append(reply)
    return replies


def test_lines_of_one_reply_are_kept_apart() -> None:
    assert read(b"250-a\r\n250-b c\r\n250 d\r\n220 x\r\n") == [
        PeerReply(250, 2, (b"a", b"b c", b"d")),
        PeerReply(220, 2, (b"x",)),
    ]


@pytest.mark.parametrize("data", [b"250 \r\n", b"250\r\n", b"250\n", b"250 \n"])
def test_text_may_be_missing(data: bytes) -> None:
    assert read(data) == [PeerReply(250, 2, (b"",))]


@pytest.mark.parametrize(
    "data",
    [
        b"\r\n", b"hello\r\n", b"25 x\r\n", b"2500 x\r\n", b"150 x\r\n", b"650 x\r\n", b" 250 x\r\n", b"250_x\r\n",
        b"\xb2\xb5\xb0 x\r\n", b"250-a\r\n251 b\r\n", b"250-a\r\nb\r\n",
    ],
)  # fmt: skip
def test_what_is_no_reply_is_an_error(data: bytes) -> None:
    with pytest.raises(ReplyError):
        read(data)


def test_a_line_may_be_so_long_and_no_longer() -> None:
    longest = b"250 " + b"x" * (LINE_MOST_BYTES - 6) + b"\r\n"
    assert len(read(longest)) == 1
    with pytest.raises(ReplyError, match="too long"):
        read(longest.replace(b"\r\n", b"x\r\n"))


def test_a_line_without_an_end_is_given_up() -> None:
    assert read(b"x" * LINE_MOST_BYTES) == []
    with pytest.raises(ReplyError, match="too long"):
        read(b"x" * (LINE_MOST_BYTES + 1))


def test_a_reply_has_so_many_lines_and_no_more() -> None:
    assert len(read(b"250-x\r\n" * (LINES_MOST - 1) + b"250 x\r\n")) == 1
    with pytest.raises(ReplyError, match="too many lines"):
        read(b"250-x\r\n" * LINES_MOST + b"250 x\r\n")


@pytest.mark.parametrize(
    ("line", "enhanced"),
    [
        (b"550 5.1.1 no", "1.1"),
        (b"550 5.1.1", "1.1"),
        (b"550 5.1.10 null", "1.10"),
        (b"450 4.7.1 no", "7.1"),
        (b"550 4.1.1 no", ""),
        (b"354 2.0.0 go", ""),
        (b"550 5.1 no", ""),
        (b"550 5.1.1.1 no", ""),
        (b"550 5.1.1000 no", ""),
        (b"550 no 5.1.1", ""),
        (b"550 x5.1.1", ""),
    ],
)
def test_enhanced_status(line: bytes, enhanced: str) -> None:
    assert read(line + b"\r\n")[0].enhanced() == enhanced


@given(st.binary(max_size=4000))
def test_text_is_one_bounded_printable_line(raw: bytes) -> None:
    text = PeerReply(550, 5, (raw,)).text(" (note)")
    assert text.startswith("550 ") and text.endswith(" (note)") and len(text) < 4000
    assert all(ord(letter) >= 0x20 and letter not in "\x7f\x85\u2028\u202e" for letter in text)


@given(st.lists(st.sampled_from([b"250 a\r\n", b"250-b\r\n", b"x", b"5", b"\r", b"\n", b"354 c\n"]), max_size=12))
def test_cuts_make_no_difference(pieces: list[bytes]) -> None:
    def outcome(blocks: list[bytes]) -> list[PeerReply | str]:
        reader, seen = ReplyReader(), list[PeerReply | str]()
        for block in blocks:
            reader.add(block)
            try:
                while (reply := reader.next()) is not None:
                    seen.append(reply)
            except ReplyError:
                return [*seen, "error"]
        return seen

    whole = b"".join(pieces)
    assert outcome([whole]) == outcome(pieces) == outcome([bytes([byte]) for byte in whole])
