"""The content decoders at their edges; tests/property has the rest."""

import pytest

from paperpath.protocol.smtp_data import ChunkDecoder, DataDecoder
from paperpath.protocol.smtp_refusals import BARE_LINE_END, TOO_BIG


def test_data_in_one_piece() -> None:
    decoder = DataDecoder(100)
    assert decoder.feed(b"a\r\n..b\r\n.\r\nQUIT\r\n") == (b"a\n.b\n", 11)
    assert (decoder.size, decoder.refusal) == (5, None)


def test_data_cut_at_every_byte() -> None:
    octets = b"a\r\n..b\r\n\r\n.\r\nQUIT\r\n"
    for cut in range(len(octets)):
        decoder = DataDecoder(100)
        part, end = decoder.feed(octets[:cut])
        if end < 0:
            more, end = decoder.feed(octets[cut:])
            part, end = part + more, cut + end
        assert (part, end) == (b"a\n.b\n\n", 13)


def test_only_the_beginning_of_the_end_is_held_back() -> None:
    decoder = DataDecoder(100)
    assert decoder.feed(b"text") == (b"text", -1)
    assert decoder.feed(b"\r\n.") == (b"", -1)
    assert decoder.feed(b".\r") == (b"\n.", -1)
    assert decoder.feed(b"\n") == (b"", -1)
    assert decoder.feed(b".") == (b"", -1)
    assert decoder.feed(b"x") == (b"\nx", -1)
    assert decoder.refusal is None


@pytest.mark.parametrize("octets", [b"a\nb", b"a\rb", b"\n", b"\rx", b"\n\r\n", b"\r\r\n", b"\n\rx", b"a\r\n\n"])
def test_bare_line_ends(octets: bytes) -> None:
    decoder = DataDecoder(100)
    decoder.feed(octets)
    decoder.feed(b"\r\n.\r\n")
    assert decoder.refusal is BARE_LINE_END
    chunks = ChunkDecoder(100)
    chunks.feed(octets)
    chunks.finish()
    assert chunks.refusal is BARE_LINE_END


def test_size_counts_what_is_decoded() -> None:
    decoder = DataDecoder(4)
    decoder.feed(b"a\r\n..\r\n.\r\n")
    assert (decoder.size, decoder.refusal) == (4, None)
    decoder = DataDecoder(3)
    decoder.feed(b"a\r\n..\r\n.\r\n")
    assert decoder.refusal is TOO_BIG


def test_a_bare_line_end_outweighs_size() -> None:
    decoder = ChunkDecoder(1)
    decoder.feed(b"too big")
    assert decoder.refusal is TOO_BIG
    decoder.feed(b"\n")
    assert decoder.refusal is BARE_LINE_END
    decoder.feed(b"fine")
    assert decoder.refusal is BARE_LINE_END


def test_chunk_line_end_in_two_chunks() -> None:
    decoder = ChunkDecoder(100)
    assert decoder.feed(b".a\r") == b".a"
    assert decoder.feed(b"\nb") == b"\nb"
    decoder.finish()
    assert (decoder.size, decoder.refusal) == (4, None)


def test_chunk_ending_in_cr() -> None:
    decoder = ChunkDecoder(100)
    assert decoder.feed(b"a\r") == b"a"
    assert decoder.refusal is None
    decoder.finish()
    assert decoder.refusal is BARE_LINE_END
