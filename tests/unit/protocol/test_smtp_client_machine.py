"""The machine's promises over all states and all replies."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from paperpath.base.outcome import Deferred, Delivered, Failed
from paperpath.protocol.smtp_client import SmtpClient
from paperpath.protocol.smtp_client_events import LIMITS, Finished, Phase, Transaction
from paperpath.protocol.smtp_client_grammar import parse_capabilities, wire_path
from paperpath.protocol.smtp_replies import PeerReply

EHLO = b"220 x\r\n"
PIPELINED = b"250-x\r\n250 PIPELINING\r\n"
MESSAGE = Transaction(b"a@c.test", (b"b@d.test", b"c@d.test"), b"Hi\n", 3, False)
STREAMED = Transaction(b"a@c.test", (b"b@d.test",), None, 3, False)


def client_in(phase: Phase) -> SmtpClient:
    """Bring a machine into a phase the way a server would."""
    client = SmtpClient("c.test", "d.test", want_tls=phase in (Phase.STARTTLS, Phase.UPGRADING))

    def hear(*lines: bytes) -> None:
        for line in lines:
            client.take_output()
            client.receive(line)
        client.take_output()

    def begin(transaction: Transaction = MESSAGE) -> None:
        client.begin(transaction)
        client.take_output()

    match phase:
        case Phase.GREETING:
            pass
        case Phase.EHLO:
            hear(EHLO)
        case Phase.HELO:
            hear(EHLO, b"500 x\r\n")
        case Phase.STARTTLS:
            hear(EHLO, b"250-x\r\n250 STARTTLS\r\n")
        case Phase.UPGRADING:
            hear(EHLO, b"250-x\r\n250 STARTTLS\r\n", b"220 x\r\n")
        case Phase.READY:
            hear(EHLO, PIPELINED)
        case Phase.QUIT:
            hear(EHLO, PIPELINED)
            client.quit()
            client.take_output()
        case Phase.CLOSED:
            client.lost("lost")
        case Phase.MAIL:
            hear(EHLO, PIPELINED)
            begin()
        case Phase.RESET:
            hear(EHLO, PIPELINED)
            begin()
            hear(b"250 x\r\n550 x\r\n550 x\r\n554 x\r\n")
            begin()
        case Phase.RCPT:
            hear(EHLO, PIPELINED)
            begin()
            hear(b"250 x\r\n")
        case Phase.DATA:
            hear(EHLO, PIPELINED)
            begin()
            hear(b"250 x\r\n250 x\r\n250 x\r\n")
        case Phase.CONTENT:
            hear(EHLO, PIPELINED)
            begin(STREAMED)
            hear(b"250 x\r\n250 x\r\n354 x\r\n")
        case Phase.END_OF_DATA:
            hear(EHLO, PIPELINED)
            begin()
            hear(b"250 x\r\n250 x\r\n250 x\r\n354 x\r\n")
        case Phase.EMPTY_END:
            hear(EHLO, PIPELINED)
            begin()
            hear(b"250 x\r\n550 x\r\n550 x\r\n354 x\r\n")
    assert client.phase is phase
    return client


def test_every_phase_has_a_limit_and_every_open_one_an_answer_to_replies() -> None:
    assert set(LIMITS) == set(Phase)
    assert set(SmtpClient._handlers) == set(Phase) - {Phase.CLOSED}


@pytest.mark.parametrize("code", [b"220", b"250", b"354", b"421", b"450", b"452", b"500", b"552"])
@pytest.mark.parametrize("phase", Phase, ids=lambda phase: phase.name)
def test_every_reply_in_every_phase_is_decided(phase: Phase, code: bytes) -> None:
    client = client_in(phase)
    in_transaction = phase in (
        Phase.RESET, Phase.MAIL, Phase.RCPT, Phase.DATA, Phase.CONTENT, Phase.END_OF_DATA, Phase.EMPTY_END
    )  # fmt: skip
    finished = [event for event in client.receive(code + b" x\r\n") if isinstance(event, Finished)]
    client.take_output()
    finished += [event for event in client.lost("lost") if isinstance(event, Finished)]
    assert client.phase is Phase.CLOSED
    assert len(finished) == (1 if in_transaction else 0)
    assert client.receive(code + b" x\r\n") == [] and client.lost("lost") == []


@pytest.mark.parametrize("code", [b"450", b"550"])
def test_only_a_clear_answer_to_the_end_of_data_delivers(code: bytes) -> None:
    kinds = {b"250": Delivered, b"450": Deferred, b"550": Failed}
    for answer in (b"250", code):
        (event,) = client_in(Phase.END_OF_DATA).receive(answer + b" x\r\n")
        assert isinstance(event, Finished)
        assert [type(outcome) for outcome in event.outcomes] == [kinds[answer]] * 2


replies = st.sampled_from(
    [
        b"220 a\r\n",
        b"250 a\r\n",
        b"250-a\r\n",
        b"354 a\r\n",
        b"421 a\r\n",
        b"450 a\r\n",
        b"452 a\r\n",
        b"550 a\r\n",
        b"x\n",
    ]
)


@given(st.booleans(), st.lists(replies, max_size=14), st.booleans())
def test_whatever_a_server_says_each_recipient_ends_once(pipelining: bool, said: list[bytes], together: bool) -> None:
    client = SmtpClient("c.test", "d.test", want_tls=False)
    for line in (EHLO, PIPELINED if pipelining else b"250 x\r\n"):
        client.take_output()
        client.receive(line)
    client.take_output()
    finished: list[Finished] = []
    events = client.begin(MESSAGE)
    for piece in [b"".join(said)] if together else said:
        client.take_output()
        events += client.receive(piece)
    events += client.lost("lost")
    finished = [event for event in events if isinstance(event, Finished)]
    assert len(finished) == 1
    assert len(finished[0].outcomes) == 2
    if any(isinstance(outcome, Delivered) for outcome in finished[0].outcomes):
        assert b"354 a\r\n" in said and said.count(b"250 a\r\n") >= 3


def test_capabilities_are_read_without_regard_to_case_and_order() -> None:
    lines = (b"PIPELINING", b"size 1000", b"8bitMIME", b"", b"X-NEW thing", b"chunking", b"EnhancedStatusCodes")
    offered = parse_capabilities(PeerReply(250, 2, lines))
    assert not offered.pipelining  # the first line is the greeting
    assert offered.size and offered.size_most == 1000 and offered.eight_bit and offered.chunking
    assert offered.enhanced_codes and not offered.smtputf8 and not offered.starttls


@pytest.mark.parametrize(
    ("said", "most"),
    [
        (b"SIZE", 0),
        (b"SIZE 0", 0),
        (b"SIZE 10240000", 10_240_000),
        (b"SIZE " + b"9" * 20, 10**20 - 1),  # RFC 1870 3: up to 20 digits
        (b"SIZE " + b"9" * 21, 0),
        (b"SIZE -1", 0),
        (b"SIZE 1e9", 0),
    ],
)
def test_a_size_that_is_none_is_no_limit(said: bytes, most: int) -> None:
    offered = parse_capabilities(PeerReply(250, 2, (b"d.test", said)))
    assert offered.size and offered.size_most == most


@given(st.binary(min_size=1, max_size=30))
def test_a_path_never_breaks_out_of_its_command(address: bytes) -> None:
    path = wire_path(address)
    if path is not None:
        assert not any(byte < 32 or byte == 127 for byte in path)
        outside = path.rpartition(b'"')[2] if path.startswith(b'"') else path
        assert b">" not in outside and b" " not in outside


@pytest.mark.parametrize(
    ("address", "path"),
    [
        (b"", b""),
        (b"#@[]", b"#@[]"),
        (b"postmaster", b"postmaster"),
        (b"a@[192.0.2.1]", b"a@[192.0.2.1]"),
        (b"a@[IPv6:2001:db8::1]", b"a@[IPv6:2001:db8::1]"),
        (b"a b@d.test", b'"a b"@d.test'),
        (b'a"b\\c@d.test', b'"a\\"b\\\\c"@d.test'),
        (b"a@b@d.test", b'"a@b"@d.test'),
        (b"a\nb@d.test", None),
        (b"a\x00b@d.test", None),
        (b"a@d.test> SIZE=1", None),
        (b"a@d test", None),
        (b"a@", None),
    ],
)
def test_paths(address: bytes, path: bytes | None) -> None:
    assert wire_path(address) == path
