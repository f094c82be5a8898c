"""The QMTP client machine: what it sends a server of ours reads; whatever a server says, each recipient ends once."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from paperpath.base.outcome import Deferred, Delivered, Failed, Outcome
from paperpath.protocol.qmtp import Package, QmtpServer
from paperpath.protocol.qmtp_client import ANSWER_MOST_BYTES, PackageEncoder, QmtpClient
from paperpath.protocol.smtp_client_events import Event, Finished, Phase, Ready, SendContent, Transaction
from tests.qmtp_client import package, string

CONTENT = b"Subject: x\n\n.\nbare \r here\n"


def transaction(*recipients: bytes, content: bytes | None = CONTENT, size: int = len(CONTENT)) -> Transaction:
    return Transaction(b"s@c.test", recipients or (b"a@d.test",), content, size, eight_bit=False)


def under_way(*recipients: bytes) -> QmtpClient:
    client = QmtpClient("d.test")
    (event,) = client.connected()
    assert isinstance(event, Ready)
    assert client.begin(transaction(*recipients)) == []
    assert client.take_output() == package(b"\n" + CONTENT, b"s@c.test", recipients)
    assert client.phase is Phase.END_OF_DATA
    return client


def outcomes(events: list[Event]) -> tuple[Outcome, ...]:
    (event,) = events
    assert isinstance(event, Finished) and not event.untouched
    return event.outcomes


@pytest.mark.parametrize("step", [1, 3, 1000])
def test_answers_become_outcomes_in_their_order(step: int) -> None:
    client = under_way(b"a@d.test", b"b@d.test", b"c@d.test", b"d@d.test")
    said = b"Kok 1 qp 2", b"Zlater (#4.2.1)", b"Dnever (#5.1.1)", b"Dodd (#4.1.1)"
    data = b"".join(map(string, said))
    events: list[Event] = []
    for at in range(0, len(data), step):
        assert client.phase is Phase.END_OF_DATA
        events += client.receive(data[at : at + step])
    assert outcomes(events) == (
        Delivered("ok 1 qp 2", "d.test"),
        Deferred("later (#4.2.1)", "d.test", "2.1"),
        Failed("never (#5.1.1)", "d.test", "1.1"),
        Failed("odd (#4.1.1)", "d.test"),
    )
    assert client.phase is Phase.READY
    assert client.begin(transaction(b"e@d.test")) == []
    assert outcomes(client.receive(b"1:K,")) == (Delivered("", "d.test"),)


def test_content_in_blocks() -> None:
    client = QmtpClient("d.test")
    client.connected()
    (event,) = client.begin(transaction(b"a@d.test", content=None))
    assert isinstance(event, SendContent) and client.phase is Phase.CONTENT
    encoder = client.encoder()
    sent = b"".join(encoder.feed(CONTENT[at : at + 7]) for at in range(0, len(CONTENT), 7)) + encoder.end()
    assert sent == package(b"\n" + CONTENT, b"s@c.test", [b"a@d.test"])
    client.content_sent()
    assert outcomes(client.receive(b"3:Kok,")) == (Delivered("ok", "d.test"),)


@pytest.mark.parametrize(
    "data",
    [
        b"220 mx.test ESMTP\r\n",
        b"x",
        b"0:,",
        b"%d:" % (ANSWER_MOST_BYTES + 1),
        b"3:Xok,",
        b"3:Kok;",
        b":",
        b"99999999999",
    ],
)
def test_what_is_no_answer_defers(data: bytes) -> None:
    client = under_way(b"a@d.test", b"b@d.test")
    first, second = outcomes(client.receive(b"1:K," + data))
    assert first == Delivered("", "d.test")
    assert isinstance(second, Deferred) and second.code == "5.0" and "possible duplicate" in second.text
    assert client.phase is Phase.CLOSED
    assert client.receive(b"1:K,") == []


def test_a_server_that_speaks_out_of_turn() -> None:
    idle = QmtpClient("d.test")
    idle.connected()
    assert idle.receive(b"220 mx.test ESMTP\r\n") == []
    assert idle.phase is Phase.CLOSED
    client = under_way(b"a@d.test")
    assert outcomes(client.receive(b"1:K,1:K,")) == (Delivered("", "d.test"),)
    assert client.phase is Phase.CLOSED
    streamed = QmtpClient("d.test")
    streamed.connected()
    streamed.begin(transaction(b"a@d.test", content=None))
    (deferred,) = outcomes(streamed.receive(b"1:K,"))
    assert isinstance(deferred, Deferred) and "duplicate" not in deferred.text


@pytest.mark.parametrize("answered", [0, 1])
def test_a_connection_that_is_lost(answered: int) -> None:
    client = under_way(b"a@d.test", b"b@d.test")
    client.receive(b"1:K," * answered)
    *_, last = outcomes(client.lost("timed out"))
    assert isinstance(last, Deferred)
    assert (last.text, last.code) == (
        "timed out while waiting for the reply to the end of data; possible duplicate",
        "4.2",
    )
    assert client.lost("again") == []
    idle = QmtpClient("d.test")
    idle.connected()
    assert idle.lost("gone") == []


def test_parting() -> None:
    client = QmtpClient("d.test")
    client.connected()
    client.quit()
    assert (client.phase, client.take_output()) == (Phase.CLOSED, b"")


@given(st.lists(st.sampled_from([b"1:", b"K", b",", b"3:Kok,", b"2:Zn,", b"D", b"9:", b"\0", b"1:D,"])).map(b"".join))
def test_whatever_a_server_says_each_recipient_ends_once(said: bytes) -> None:
    client = under_way(b"a@d.test", b"b@d.test", b"c@d.test")
    events = [event for byte in said for event in client.receive(bytes([byte]))]
    events += client.lost("gone")
    assert len(outcomes(events)) == 3
    whole = under_way(b"a@d.test", b"b@d.test", b"c@d.test")
    assert outcomes(whole.receive(said) + whole.lost("gone")) == outcomes(events)


@given(st.binary(max_size=40), st.binary(max_size=20), st.lists(st.binary(max_size=20), max_size=4), st.integers(1, 9))
def test_our_own_server_reads_it(content: bytes, sender: bytes, recipients: list[bytes], step: int) -> None:
    made = Transaction(sender, tuple(recipients), content, len(content), eight_bit=False)
    encoder = PackageEncoder(made)
    data = encoder.feed(content[:step]) + encoder.feed(content[step:]) + encoder.end()
    server = QmtpServer(message_most_bytes=40, recipients_most=4, envelope_most_bytes=100, address_most_bytes=20)
    *pieces, last = server.receive(data)
    assert b"".join(piece for piece in pieces if isinstance(piece, bytes)) == content
    assert isinstance(last, Package)
    assert (last.sender, last.recipients) == (sender, tuple(recipients))
