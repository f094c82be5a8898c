"""Frames: every cut gives the same frames, hostile lengths are refused at once, many small pieces stay
cheap."""

from itertools import pairwise

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from paperpath.base.limits import FRAME_MOST_BYTES
from paperpath.wire.frame import FrameBuffer, FrameError, Hello, encode

_BODIES = st.lists(st.binary(max_size=40), max_size=8)


def framed(body: bytes) -> bytes:
    return len(body).to_bytes(4, "big") + body


def feed(buffer: FrameBuffer, data: bytes) -> list[bytes]:
    return [bytes(body) for body in buffer.feed(data)]


def test_encode_is_length_and_msgpack() -> None:
    raw = encode(Hello(1, "queue"))
    assert raw[:4] == (len(raw) - 4).to_bytes(4, "big")
    assert msgspec.msgpack.decode(raw[4:]) == ["hello", 1, "queue"]
    assert [msgspec.msgpack.decode(body, type=Hello) for body in feed(FrameBuffer(), raw)] == [Hello(1, "queue")]


def test_encode_refuses_what_no_reader_takes() -> None:
    class Bulk(msgspec.Struct, array_like=True):
        data: bytes

    around = len(msgspec.msgpack.encode(Bulk(bytes(FRAME_MOST_BYTES)))) - FRAME_MOST_BYTES
    assert len(encode(Bulk(bytes(FRAME_MOST_BYTES - around)))) == 4 + FRAME_MOST_BYTES
    with pytest.raises(FrameError):
        encode(Bulk(bytes(FRAME_MOST_BYTES - around + 1)))


@given(_BODIES, st.binary(max_size=3), st.lists(st.integers(0, 400)))
def test_any_cuts_give_the_same_frames(bodies: list[bytes], tail: bytes, cuts: list[int]) -> None:
    stream = b"".join(map(framed, bodies)) + tail
    edges = [0, *sorted(min(cut, len(stream)) for cut in cuts), len(stream)]
    buffer = FrameBuffer()
    found: list[bytes] = []
    for start, end in pairwise(edges):
        whole_before = len(found)
        found += feed(buffer, stream[start:end])
        # Nothing is given out early or held back.
        assert len(b"".join(map(framed, bodies[: len(found)]))) <= end
        assert len(found) == len(bodies) or len(b"".join(map(framed, bodies[: len(found) + 1]))) > end
        assert len(found) >= whole_before
    assert found == bodies


@given(_BODIES)
def test_byte_by_byte(bodies: list[bytes]) -> None:
    buffer = FrameBuffer()
    stream = b"".join(map(framed, bodies))
    assert [body for i in range(len(stream)) for body in feed(buffer, stream[i : i + 1])] == bodies


@pytest.mark.parametrize("length", [11, 2**31, 2**32 - 1])
@pytest.mark.parametrize("cut", [0, 1, 3])
def test_forbidden_length_is_an_error_at_once_and_for_good(length: int, cut: int) -> None:
    buffer = FrameBuffer(most_bytes=10)
    assert feed(buffer, framed(b"x" * 10)) == [b"x" * 10]
    prefix = length.to_bytes(4, "big")
    assert feed(buffer, prefix[:cut]) == []
    with pytest.raises(FrameError):
        feed(buffer, prefix[cut:])
    with pytest.raises(FrameError):
        feed(buffer, framed(b"later"))


def test_frames_before_a_forbidden_length_are_given_out() -> None:
    buffer = FrameBuffer(most_bytes=10)
    bodies = buffer.feed(framed(b"one") + framed(b"two") + b"\xff\xff\xff\xff")
    assert [bytes(next(bodies)), bytes(next(bodies))] == [b"one", b"two"]
    with pytest.raises(FrameError):
        next(bodies)


def test_stopping_early_loses_nothing() -> None:
    buffer = FrameBuffer()
    for body in buffer.feed(framed(b"one") + framed(b"two") + framed(b"three")[:5]):
        assert bytes(body) == b"one"
        break
    assert feed(buffer, framed(b"three")[5:]) == [b"two", b"three"]


def test_a_body_stays_valid_while_more_arrives() -> None:
    buffer = FrameBuffer()
    (kept,) = buffer.feed(framed(b"kept"))
    assert feed(buffer, framed(b"next")) == [b"next"]
    assert bytes(kept) == b"kept"


def test_large_frame_in_small_pieces_is_joined_once(monkeypatch: pytest.MonkeyPatch) -> None:
    looked_at: list[int] = []
    keep = FrameBuffer._keep

    def counting(self: FrameBuffer, rest: bytes) -> None:
        looked_at.append(len(rest))
        keep(self, rest)

    monkeypatch.setattr(FrameBuffer, "_keep", counting)
    buffer = FrameBuffer()
    stream = framed(bytes(1_000_000))
    found = [len(body) for i in range(0, len(stream), 100) for body in feed(buffer, stream[i : i + 100])]
    assert found == [1_000_000]
    assert sum(looked_at) < 1000  # once for the length, once for the frame; not once a piece
