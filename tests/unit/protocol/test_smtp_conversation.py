"""Command lines at their limits, and how faults end a session."""

import pytest

from paperpath.base.limits import COMMAND_LINE_MOST_BYTES
from paperpath.base.reply import reply
from paperpath.protocol.smtp_conversation import FAULTS_MOST
from paperpath.protocol.smtp_refusals import BARE_CR_IN_COMMAND, BARE_LF_IN_COMMAND, LINE_TOO_LONG, UNKNOWN_COMMAND
from paperpath.protocol.smtp_server import Closing, Event, Refusal, ServerConfig, ServerSession, State

CONFIG = ServerConfig(b"mx.test", 1000, 3)


def fresh() -> ServerSession:
    session = ServerSession(CONFIG)
    session.take_output()
    return session


@pytest.mark.parametrize("cut", [None, 1, 1000, COMMAND_LINE_MOST_BYTES - 1, COMMAND_LINE_MOST_BYTES])
@pytest.mark.parametrize("extra", [0, 1, 2, 5000])
def test_longest_line(extra: int, cut: int | None) -> None:
    session = fresh()
    line = b"NOOP " + b"x" * (COMMAND_LINE_MOST_BYTES - 7 + extra) + b"\r\n"
    events = session.receive(line[:cut]) + (session.receive(line[cut:]) if cut else [])
    assert events == ([LINE_TOO_LONG] if extra else [])
    assert session.take_output() == (b"500 5.5.2 Line too long\r\n" if extra else b"250 2.0.0 OK\r\n")
    assert session.buffered_bytes == 0


@pytest.mark.parametrize("line", [b"NOOP\n", b"\n", b"NOOP\r\r\nNOOP\n", b"NOOP x\rNOOP\r\n", b"\r\r\n", b"\r\nx\n"])
def test_line_ends_that_are_none(line: bytes) -> None:
    for pieces in ([line], [line[i : i + 1] for i in range(len(line))]):
        session = fresh()
        events: list[Event] = [event for piece in pieces for event in session.receive(piece)]
        assert isinstance(events[-1], Closing)
        assert events[-2] in (BARE_LF_IN_COMMAND, BARE_CR_IN_COMMAND)
        assert session.is_closed
        assert session.take_output().splitlines()[-1].startswith(b"500 5.5.2 Bare ")


def test_faults_in_a_row() -> None:
    session = fresh()
    for _ in range(FAULTS_MOST - 1):
        assert session.receive(b"XYZZY\r\n") == [UNKNOWN_COMMAND]
    assert session.receive(b"XYZZY\r\n") == [UNKNOWN_COMMAND, Closing("too many errors")]
    assert session.take_output().endswith(b"421 4.7.0 Too many errors; closing\r\n")
    assert session.refused == FAULTS_MOST
    assert session.state is State.CLOSED


def test_last_fault_and_a_reason_of_its_own_close_once() -> None:
    session = fresh()
    for _ in range(FAULTS_MOST - 1):
        session.receive(b"XYZZY\r\n")
    events = session.receive(b"NOOP\n")
    assert [type(event) for event in events] == [Refusal, Closing]


def test_faults_are_forgiven_by_progress() -> None:
    session = fresh()
    for step in (b"MAIL FROM:<a@c>\r\n", b"RCPT TO:<b@h>\r\n", b"DATA\r\n.\r\n"):
        for _ in range(FAULTS_MOST - 1):
            session.receive(b"XYZZY\r\n")
        session.receive(step)
        while session.question is not None:
            session.answer(reply(250, "2.0.0", "OK"))
        assert not session.is_closed


@pytest.mark.parametrize("start", [b"BDAT 5 ", b"bdat\t5 ", b"  BDAT"])
def test_octets_behind_an_unreadable_bdat_are_not_commands(start: bytes) -> None:
    session = fresh()
    assert session.receive(start + b"x" * 3000 + b"\r\n") == [LINE_TOO_LONG, Closing("chunk of unknown size")]


@pytest.mark.parametrize("line", [b"DATA " + b"x" * 3000, b"DATA\tx", b" data"])
def test_input_behind_an_unreadable_data_is_not_commands(line: bytes) -> None:
    session = fresh()
    events = session.receive(line + b"\r\nN")
    assert events[1:] == [Closing("pipelining past a refused DATA")]
    session = fresh()
    assert len(session.receive(line + b"\r\n")) == 1
    assert session.receive(b"NOOP\r\n") == []
    assert session.take_output().endswith(b"250 2.0.0 OK\r\n")


def test_output_is_taken_once_and_whole() -> None:
    session = ServerSession(CONFIG)
    session.receive(b"NOOP\r\n")
    assert session.take_output() == b"220 mx.test ESMTP Paperpath\r\n250 2.0.0 OK\r\n"
    assert session.take_output() == b""
