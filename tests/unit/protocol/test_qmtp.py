"""The server's side of QMTP."""

import random
from collections.abc import Iterable

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from paperpath.protocol.qmtp import EXCESS_MOST, LENGTH_MOST, TOO_MANY, Malformed, Package, QmtpServer
from tests.qmtp_client import answers, package, string

WORKED = b"4:\nHi\n,7:a@b.org,10:7:c@d.org,,"
"""The example of qmail-interfaces 14.2."""
Told = list[tuple[object, ...]]


def server(*, message: int = 1000, recipients: int = 3, envelope: int = 500, address: int = 60) -> QmtpServer:
    return QmtpServer(
        message_most_bytes=message,
        recipients_most=recipients,
        envelope_most_bytes=envelope,
        address_most_bytes=address,
    )


def told(served: QmtpServer, pieces: Iterable[bytes]) -> Told:
    """Feed a server, answer all packages with K and their number, and return what it told."""
    seen: Told = []
    message = b""
    for piece in pieces:
        events = served.receive(piece)
        while events:
            packages = [event for event in events if isinstance(event, Package)]
            assert packages == ([] if served.package is None else [served.package])
            for event in events:
                if isinstance(event, bytes):
                    assert event, "an empty piece"
                    message += event
                elif isinstance(event, Package):
                    assert event is events[-1], "an event behind a package that waits"
                    kept = None if event.is_too_large else message
                    seen.append((kept, event.sender, event.recipients))
                    message = b""
                else:
                    seen.append(("malformed", event.reason, event.is_too_long))
                    assert served.is_closed
            events = served.answer([b"K%d" % len(seen)] * len(packages[0].recipients)) if packages else []
    return seen


def by(data: bytes, step: int) -> list[bytes]:
    return [data[at : at + step] for at in range(0, len(data), step)]


@pytest.mark.parametrize("step", [1, 2, 3, 7, 1000])
def test_worked_example(step: int) -> None:
    served = server()
    assert told(served, by(WORKED, step)) == [(b"Hi\n", b"a@b.org", (b"c@d.org",))]
    assert served.take_output() == b"2:K1,"
    assert served.is_between


def test_nothing_is_answered_before_the_last_byte() -> None:
    served = server()
    for byte in by(WORKED[:-1], 1):
        told(served, [byte])
        assert not served.is_between
    assert served.take_output() == b""
    assert served.package is None


def test_packages_back_to_back_wait_for_one_another() -> None:
    served = server()
    events = served.receive(WORKED + WORKED)
    assert isinstance(events[-1], Package)
    assert served.buffered_bytes == len(WORKED)
    assert served.receive(WORKED) == []
    assert served.take_output() == b""
    events = served.answer([b"K1"])
    assert isinstance(events[-1], Package)
    served.answer([b"Z2"])
    assert served.take_output() == b"2:K1,2:Z2,"
    assert served.buffered_bytes == 0


@pytest.mark.parametrize("step", [1, 2, 1000])
def test_line_ends(step: int) -> None:
    def message(encoded: bytes) -> object:
        return told(server(), by(package(encoded, b"a@b", [b"c@d"]), step))[0][0]

    assert message(b"\rone\r\ntwo\r\n") == b"one\ntwo\n"
    assert message(b"\rlone\rcr\r\r\nand\nlf\r") == b"lone\rcr\r\nand\nlf\r"
    assert message(b"\none\r\ntwo\n.\n") == b"one\r\ntwo\n.\n"
    assert message(b"\n") == b""


def test_answers_are_one_for_each_recipient() -> None:
    served = server()
    told(served, [package(b"\nx\n", b"", [b"a@b", b"c@d", b"a@b"])])
    assert answers(served.take_output()) == [b"K1", b"K1", b"K1"]
    assert told(served, [package(b"\nx\n", b"", [])]) == [(b"x\n", b"", ())]
    assert served.take_output() == b""


@pytest.mark.parametrize("step", [1, 1000])
def test_what_cannot_be_an_address(step: int) -> None:
    long = b"x" * 61
    data = package(b"\nx\n", long, [b"a\0@b", long, b"x" * 60]) + package(b"\ny\n", b"\0", [b"", b"c@d"])
    assert told(server(), by(data, step)) == [
        (b"x\n", None, (b"a\0@b", None, b"x" * 60)),
        (b"y\n", b"\0", (b"", b"c@d")),
    ]


def test_long_addresses_are_not_held_in_memory() -> None:
    served = server()
    served.receive(b"1:\n,1000000:")
    for _ in range(100):
        served.receive(b"x" * 1000)
        assert served.buffered_bytes == 0


@pytest.mark.parametrize("step", [1, 7, 1000])
@pytest.mark.parametrize("encoding", [b"\n", b"\r"])
def test_message_that_is_too_large_is_read_to_its_end(encoding: bytes, step: int) -> None:
    served = server(message=5)
    data = package(encoding + b"123456", b"a@b", [b"c@d"]) + package(encoding + b"12345", b"a@b", [b"c@d"])
    assert told(served, by(data, step)) == [
        (None, b"a@b", (b"c@d",)),
        (b"12345", b"a@b", (b"c@d",)),
    ]


def test_size_is_counted_as_it_is_kept() -> None:
    data = package(b"\r1\r\n2\r\n3\r\n", b"a@b", [b"c@d"])
    assert told(server(message=6), [data])[0][0] == b"1\n2\n3\n"
    assert told(server(message=5), [data])[0][0] is None


def test_far_too_large_message_is_not_held_in_memory() -> None:
    served = server(message=10)
    assert served.receive(b"%d:\n" % LENGTH_MOST) == []
    for _ in range(100):
        assert served.receive(b"x" * 1000) == []
        assert served.buffered_bytes == 0


def test_recipients_beyond_the_limit_are_put_off() -> None:
    served = server(recipients=2)
    assert told(served, [package(b"\nx\n", b"", [b"a@b", b"c@d", b"e@f"])]) == [(b"x\n", b"", (b"a@b", b"c@d"))]
    assert answers(served.take_output()) == [b"K1", b"K1", TOO_MANY]
    told(served, [package(b"\nx\n", b"", [b"a@b"])])
    assert answers(served.take_output()) == [b"K1"]


def test_far_too_many_recipients_end_the_conversation() -> None:
    most = server(recipients=2, envelope=1 << 20)
    told(most, [package(b"\nx\n", b"", [b""] * (EXCESS_MOST + 2))])
    assert len(answers(most.take_output())) == EXCESS_MOST + 2
    over = server(recipients=2, envelope=1 << 20)
    seen = told(over, [package(b"\nx\n", b"", [b""] * (EXCESS_MOST + 3))])
    assert seen == [("malformed", "far too many recipients", False)]


@pytest.mark.parametrize(
    ("data", "is_too_long"),
    [
        (b"x", False),
        (b":", False),
        (b"-1:", False),
        (b"1x345678901:", False),
        (b"12345678901", False),
        (b"\r\n", False),
        (b"EHLO client.test\r\n", False),
        (b"0:,", False),
        (b"3:xab,", False),
        (b"3:\nab;", False),
        (b"%d:" % (LENGTH_MOST + 1), True),
        (b"2:\na,2:ab;", False),
        (b"2:\na,9999999999:", True),
        (b"2:\na,1:a,2:12,", False),
        (b"2:\na,1:a,0:;", False),
        (b"2:\na,1:a,3:5:a", False),
        (b"2:\na,1:a,4:1:ab,", False),
        (b"2:\na,1:a,4:1:a,;", False),
        (b"2:\na,1:a,2:0:,,", False),  # the list ends before the recipient's comma
        (b"2:\na,1:a,501:", True),
    ],
)
def test_malformed(data: bytes, is_too_long: bool) -> None:
    whole = told(server(), [data])
    assert whole[-1][0] == "malformed"
    assert whole[-1][2] is is_too_long
    for step in (1, 2, 3):
        assert told(server(), by(data, step)) == whole


def test_after_the_end_nothing_happens() -> None:
    served = server()
    served.receive(b"x")
    assert served.receive(WORKED) == []
    assert served.buffered_bytes == 0


NUMBERS = st.one_of(st.integers(0, 40), st.sampled_from([10**6, LENGTH_MOST, LENGTH_MOST + 1, 10**10 - 1]))
PIECES = st.one_of(
    st.sampled_from([b",", b":", b"\n", b"\r", b"\r\n", b"0:,", b"1:\n,", b"2:\ra,", WORKED, b"007:", b"+1:", b"\0"]),
    st.binary(max_size=4),
    NUMBERS.map(lambda number: b"%d:" % number),
    st.builds(
        lambda message, sender, recipients, crlf: package(b"\n\r"[crlf : crlf + 1] + message, sender, recipients),
        st.binary(max_size=30),
        st.binary(max_size=70),
        st.lists(st.binary(max_size=70), max_size=5),
        st.booleans(),
    ),
)


@given(st.lists(PIECES, max_size=8).map(b"".join), st.integers(0, 1 << 32))
@example(b"1:\n,0:,4:1:a,,1:\n,", 0)
def test_the_cut_does_not_matter(data: bytes, seed: int) -> None:
    chance = random.Random(seed)
    cuts = sorted(chance.randrange(len(data) + 1) for _ in range(chance.randrange(1, 20)))
    at_random = [data[a:b] for a, b in zip([0, *cuts], [*cuts, len(data)], strict=True)]
    whole = server(message=20)
    expected = told(whole, [data])
    output = whole.take_output()
    for pieces in (by(data, 1), at_random):
        cut = server(message=20)
        assert told(cut, pieces) == expected
        assert cut.take_output() == output
        assert cut.is_between == whole.is_between


@given(
    st.lists(
        st.tuples(st.binary(max_size=50), st.binary(max_size=60), st.lists(st.binary(max_size=60), max_size=3)),
        max_size=4,
    ),
    st.integers(1, 40),
)
def test_what_is_written_is_read(packages: list[tuple[bytes, bytes, list[bytes]]], step: int) -> None:
    data = b"".join(package(b"\n" + message, sender, recipients) for message, sender, recipients in packages)
    expected = [(message, sender, tuple(recipients)) for message, sender, recipients in packages]
    assert told(server(), by(data, step)) == expected


def test_independent_encoder() -> None:
    assert package(b"\nHi\n", b"a@b.org", [b"c@d.org"]) == WORKED
    assert string(b"hello world!") == b"12:hello world!,"
    assert isinstance(server().receive(b"x")[0], Malformed)
