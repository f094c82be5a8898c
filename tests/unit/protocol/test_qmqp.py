"""The server's side of QMQP, and netstrings."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from paperpath.protocol.netstring import NetstringError, length, netstring, split
from paperpath.protocol.qmqp import Event, Malformed, QmqpServer, Request, TooLarge, answer

WORKED = b"50:16:A simple message,7:a@b.org,7:c@d.org,7:e@f.org,,"
"""The example of qmail-interfaces 14.3."""


def served(data: bytes, *, step: int = 1 << 20, message: int = 1000, envelope: int = 1000) -> list[Event]:
    server = QmqpServer(message_most_bytes=message, envelope_most_bytes=envelope)
    events: list[Event] = []
    for at in range(0, len(data), step):
        events += server.receive(data[at : at + step])
    return events


def message_of(events: list[Event]) -> bytes:
    return b"".join(event for event in events if isinstance(event, bytes))


def envelope_of(events: list[Event]) -> tuple[bytes, tuple[bytes, ...]]:
    request = events[-1]
    assert isinstance(request, Request)
    return request.sender, request.recipients


@pytest.mark.parametrize("step", [1, 2, 3, 7, 1000])
def test_worked_example(step: int) -> None:
    events = served(WORKED, step=step)
    assert message_of(events) == b"A simple message"
    assert envelope_of(events) == (b"a@b.org", (b"c@d.org", b"e@f.org"))


def test_nothing_is_said_before_the_end() -> None:
    for end in range(len(WORKED)):
        assert all(isinstance(event, bytes) for event in served(WORKED[:end]))


@pytest.mark.parametrize(
    "data",
    [
        b"x:",
        b":",
        b"-1:",
        b"12345678901",
        b"1:x,",
        b"3:5:abc",  # the message is longer than the whole
        b"5:2:abX" + b"," * 9,
        WORKED[:-1] + b";",
        WORKED + b"x",
        netstring(netstring(b"message")),
        netstring(netstring(b"message") + b"3:abc"),
        netstring(netstring(b"message") + b"abc"),
        netstring(netstring(b"message") + b"3;abc,"),
    ],
)
def test_malformed(data: bytes) -> None:
    for step in (1, 1000):
        end = served(data, step=step)[-1]
        assert isinstance(end, Malformed)


@pytest.mark.parametrize(("message", "envelope"), [(15, 1000), (1000, 20)])
@pytest.mark.parametrize("step", [1, 1000])
def test_too_large_is_said_at_the_end_and_nothing_kept(message: int, envelope: int, step: int) -> None:
    assert served(WORKED[:-1], step=step, message=message, envelope=envelope) == []
    (end,) = served(WORKED, step=step, message=message, envelope=envelope)
    assert isinstance(end, TooLarge)


def test_far_too_large_is_not_held_in_memory() -> None:
    server = QmqpServer(message_most_bytes=10, envelope_most_bytes=10)
    assert server.receive(b"999999999:") == []
    for _ in range(100):
        assert server.receive(b"x" * 1000) == []
    assert not server.buffered_bytes


def test_exact_bounds_fit() -> None:
    assert isinstance(served(WORKED, message=16, envelope=30)[-1], Request)


@given(
    st.binary(max_size=300), st.binary(max_size=50), st.lists(st.binary(max_size=50), max_size=5), st.integers(1, 40)
)
def test_what_is_written_is_read(message: bytes, sender: bytes, recipients: list[bytes], step: int) -> None:
    events = served(netstring(b"".join(map(netstring, [message, sender, *recipients]))), step=step)
    assert message_of(events) == message
    assert envelope_of(events) == (sender, tuple(recipients))


PIECES = st.one_of(
    st.sampled_from([b",", b":", b"0:,", b"1:x,", WORKED, WORKED[:20], b"007:", b"+1:"]),
    st.binary(max_size=4),
    st.integers(0, 80).map(lambda number: b"%d:" % number),
)


@given(st.lists(PIECES, max_size=8).map(b"".join), st.integers(1, 10))
def test_anything_may_come(data: bytes, step: int) -> None:
    """Except that what comes behind a request in a piece of its own cannot be seen in time."""
    whole, cut = served(data), served(data, step=step)
    if not any(isinstance(event, Request | TooLarge) for event in cut):
        assert message_of(cut) == message_of(whole)
        assert [type(event) for event in cut if not isinstance(event, bytes)] == [
            type(event) for event in whole if not isinstance(event, bytes)
        ]


@given(st.lists(st.binary(max_size=30)))
def test_netstrings_split(pieces: list[bytes]) -> None:
    assert split(b"".join(map(netstring, pieces))) == pieces


@pytest.mark.parametrize("digits", [b"", b"x", b"1 ", b"+1", "²".encode(), b"12345678901"])
def test_no_length(digits: bytes) -> None:
    with pytest.raises(NetstringError):
        length(digits)


def test_answers() -> None:
    assert answer("K", "ok") == b"3:Kok,"
