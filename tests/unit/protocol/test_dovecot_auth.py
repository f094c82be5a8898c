"""Dovecot's protocol as its client sees it."""

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from paperpath.protocol.dovecot_auth import (
    LINE_MOST_BYTES,
    Answered,
    Challenged,
    DovecotClient,
    DovecotError,
    Ready,
    cancel,
    greeting,
    login,
    plain_login,
    response,
)

HELLO = b"VERSION\t1\t2\nMECH\tPLAIN\tplaintext\nMECH\tlogin\nSPID\t7\nCUID\t1\nCOOKIE\tabc\nDONE\n"


def ready() -> DovecotClient:
    client = DovecotClient()
    assert client.receive(HELLO) == [Ready(frozenset({"PLAIN", "LOGIN"}))]
    return client


@pytest.mark.parametrize("at", range(0, len(HELLO), 7))
def test_it_may_come_in_pieces(at: int) -> None:
    client = DovecotClient()
    events = client.receive(HELLO[:at]) + client.receive(HELLO[at:])
    assert events == [Ready(frozenset({"PLAIN", "LOGIN"}))]


@pytest.mark.parametrize(
    ("line", "answer"),
    [
        (b"OK\t3\tuser=ann\tx=y\n", Answered(3, "ann")),
        (b"OK\t3\tuser=a\x01tb\x011\n", Answered(3, "a\tb\x01")),
        (b"OK\t3\n", Answered(3, None, temporary=True)),
        (b"FAIL\t3\tuser=ann\n", Answered(3, None)),
        (b"FAIL\t3\tuser=ann\ttemp\n", Answered(3, None, temporary=True)),
        (b"FAIL\t3\tuser=ann\tcode=temp_fail\n", Answered(3, None, temporary=True)),
        (b"CONT\t3\tYWJj\n", Challenged(3, b"abc")),
        (b"CONT\t3\t\n", Challenged(3, b"")),
        (b"CONT\t3\n", Challenged(3, b"")),
    ],
)
def test_answers(line: bytes, answer: Answered | Challenged) -> None:
    assert ready().receive(b"NOBODY\tknows\n" + line) == [answer]


@pytest.mark.parametrize("said", [b"VERSION\t2\t0\n", b"VERSION\n", b"220 mx ESMTP\r\n", b"x" * (LINE_MOST_BYTES + 1)])
def test_what_is_not_dovecot(said: bytes) -> None:
    with pytest.raises(DovecotError):
        DovecotClient().receive(said)


@pytest.mark.parametrize("line", [b"OK\n", b"OK\tx\n", b"FAIL\t99999999999\n", b"CONT\t3\t*\n", b"CONT\t3\tYWJ\n"])
def test_answers_to_nothing(line: bytes) -> None:
    with pytest.raises(DovecotError):
        ready().receive(line)


def test_what_is_sent() -> None:
    assert greeting(42) == b"VERSION\t1\t1\nCPID\t42\n"
    line = plain_login(3, "ann", b"p\tw", service="submission", peer="192.0.2.1", secure=True)
    assert line == b"AUTH\t3\tPLAIN\tservice=smtp\tsecured\trip=192.0.2.1\tresp=AGFubgBwCXc=\n"
    line = plain_login(4, "ann", b"x", service="pop3s", peer="local uid\t0", secure=False)
    assert line == b"AUTH\t4\tPLAIN\tservice=pop3\tresp=AGFubgB4\n"
    line = login(5, b"SCRAM-SHA-256", b"n,,", service="submission", peer="192.0.2.1", secure=False)
    assert line == b"AUTH\t5\tSCRAM-SHA-256\tservice=smtp\trip=192.0.2.1\tresp=biws\n"
    assert (response(5, b"abc"), response(5, b""), cancel(5)) == (b"CONT\t5\tYWJj\n", b"CONT\t5\t\n", b"CANCEL\t5\n")


LINES = st.lists(
    st.sampled_from(
        [HELLO, b"OK\t3\tuser=a\n", b"CONT\t3\tYQ==\n", b"FAIL\t", b"3\n", b"\t", b"MECH\n", b"\x01", b"x" * 5000]
    )
    | st.binary(max_size=8)
)


@example([HELLO, b"x" * 5000, b"x" * 5000, b"\n"], 9000, 9000)
@given(LINES, st.integers(0, 20_000), st.integers(0, 20_000))
def test_whatever_comes_and_however_it_is_cut(parts: list[bytes], one: int, another: int) -> None:
    stream = b"".join(parts)
    first, second = sorted((one % (len(stream) + 1), another % (len(stream) + 1)))

    def seen(*pieces: bytes) -> list[object]:
        client, events = DovecotClient(), list[object]()
        try:
            for piece in pieces:
                events += client.receive(piece)
        except DovecotError:
            events = ["none"]
        return events

    assert seen(stream) == seen(stream[:first], stream[first:second], stream[second:])
