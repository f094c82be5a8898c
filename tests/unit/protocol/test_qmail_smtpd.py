"""The qmail-smtpd machine where a transcript would be long: hops, large lines, any cuts."""

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from paperpath.protocol.qmail_smtpd import Close, End, Open, Put, Say, Server, Terms
from paperpath.protocol.qmail_smtpd_data import Data, StrayLineEnd

TERMS = Terms(b"me.ex", lambda address: True, lambda sender: False)
START = b"MAIL FROM:<a@x.ex>\r\nRCPT TO:<b@x.ex>\r\nDATA\r\n"


def converse(*pieces: bytes, verdict: bytes = b"", terms: Terms = TERMS) -> tuple[bytes, list[tuple[bytes, bool]]]:
    """Return what the server says, and each message with whether it was refused."""
    server, said, messages, content = Server(terms, b"peer.ex"), b"", [], b""
    for piece in pieces:
        server.feed(piece)
        while (event := server.next()) is not None:
            if isinstance(event, Say):
                said += event.text
            elif isinstance(event, Open):
                said += server.opened(is_open=True)
            elif isinstance(event, Put):
                content += event.data
            elif isinstance(event, Close):
                messages.append((content, event.is_refused))
                said += server.judged(verdict, 7, 1000)
                content = b""
            elif isinstance(event, End):
                return said, messages
    return said, messages


@pytest.mark.parametrize(("count", "is_refused"), [(99, False), (100, True)])
def test_case_55_hops(count: int, is_refused: bool) -> None:
    fields = b"".join([b"Received: x\r\n", b"deLIVEred-To: y\r\n"][at % 2] for at in range(count))
    said, messages = converse(
        START + fields + b"\r\nReceived: in the body\r\n.\r\n", verdict=b"Zx" if is_refused else b""
    )
    assert [refused for _, refused in messages] == [is_refused]
    assert (b"554 too many hops, this message is looping (#5.4.6)\r\n" in said) is is_refused


def test_a_line_that_begins_with_a_dot_is_no_hop() -> None:
    fields = b"Received: x\r\n" * 99 + b"..Received: x\r\n.Received: x\r\n Received: folded\r\n"
    assert converse(START + fields + b".\r\n")[1][0][1] is False


PARTS = st.lists(st.sampled_from([b"\r\n", b".", b"\r", b"x", b"long" * 20_000]), max_size=30)
FAR = len(b"long") * 20_000 * 31


@given(PARTS, st.integers(0, FAR), st.integers(0, FAR))
@example([b"\r\n", b".", b"\r\n", b"long" * 20_000], len(START) + 80_001, FAR)
def test_cuts_make_no_difference(parts: list[bytes], one: int, another: int) -> None:
    whole = START + b"".join(parts) + b"\r\n.\r\nQUIT\r\n"
    cut, last = sorted(place % (len(whole) + 1) for place in (one, another))
    assert converse(whole) == converse(whole[:cut], whole[cut:last], whole[last:])


def test_a_line_without_end_does_not_grow_in_memory() -> None:
    data, buffer, size = Data(0), bytearray(), 0
    for _ in range(100):
        buffer += b"x" * 10_000
        size += len(data.take(buffer))
        assert len(buffer) < 100_000
    assert size + len(buffer) == 1_000_000


@pytest.mark.parametrize("text", [b"a\nb\r\n.\r\n", b"\n.\r\n", b".\n", b"." + b"x" * 100_000 + b"\n", b"a\r\n\n"])
def test_an_lf_without_its_cr(text: bytes) -> None:
    data, buffer = Data(0), bytearray(text)
    with pytest.raises(StrayLineEnd):
        while data.take(buffer):
            pass


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        (b".x\r\n.\r\n", b"x\n"),
        (b"..\r\n.\r\n", b".\n"),
        (b".\r\r\n.\r\n", b".\r\n"),
        (b".\rx\r\n.\r\n", b".\rx\n"),
        (b"a\r\r\r\n.\r\n", b"a\r\r\n"),
        (b"a\rb\r\n.\r\n", b"a\rb\n"),
    ],
)
def test_decoding(text: bytes, expected: bytes) -> None:
    assert converse(START + text)[1] == [(expected, False)]


def test_many_recipients_and_long_commands_are_refused() -> None:
    said, _ = converse(b"MAIL FROM:<>\r\n" + b"RCPT TO:<a@b>\r\n" * 30_001)
    assert said.endswith(b"250 ok\r\n452 too many recipients (#4.5.3)\r\n")
    assert converse(b"x" * 70_000 + b"\r\n")[0] == converse(b"x" * 70_000)[0] == b"421 out of memory (#4.3.0)\r\n"


@pytest.mark.parametrize(("length", "reply"), [(899, b"250 ok\r\n"), (900, b"555 syntax error (#5.5.4)\r\n")])
def test_the_longest_address(length: int, reply: bytes) -> None:
    assert converse(b"MAIL FROM:<" + b"x" * length + b">\r\n")[0] == reply
