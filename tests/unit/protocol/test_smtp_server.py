"""The table of states and commands, questions and answers, the end of a session, and what shells read off it."""

import pytest

from paperpath.base.reply import Reply, reply
from paperpath.protocol import smtp_server
from paperpath.protocol.smtp_refusals import BARE_LINE_END, TOO_BIG
from paperpath.protocol.smtp_server import (
    R354_START_INPUT,
    ClientTold,
    Closing,
    ContentEnd,
    ContentPart,
    ContentStart,
    RecipientGiven,
    Refusal,
    SenderGiven,
    ServerConfig,
    ServerSession,
    State,
    TlsBegins,
    TransactionDropped,
)
from tests.transcripts.smtp_shell import Shell

CONFIG = ServerConfig(b"mx.test", 1000, 3, starttls=True, xclient=True)
PLAIN = ServerConfig(b"mx.test", 1000, 3)
OK = reply(250, "2.0.0", "OK")
NO = reply(550, "5.7.1", "No")
BUSY = reply(421, "4.3.2", "Shutting down")
MAIL, RCPT = b"MAIL FROM:<a@c>\r\n", b"RCPT TO:<b@h>\r\n"

# How to come into each state: what is received, and the answers.
INTO: dict[State, list[bytes | Reply]] = {
    State.IDLE: [],
    State.MAIL: [MAIL, OK],
    State.RCPT: [MAIL, OK, RCPT, OK],
    State.CHUNKS: [MAIL, OK, RCPT, OK, b"BDAT 0\r\n", OK],
    State.DATA: [MAIL, OK, RCPT, OK, b"DATA\r\n", R354_START_INPUT],
    State.CHUNK: [MAIL, OK, RCPT, OK, b"BDAT 5000\r\n", OK],
    State.CLOSED: [b"QUIT\r\n"],
    State.SECURING: [b"STARTTLS\r\n"],
}


def session_in(state: State) -> ServerSession:
    session = ServerSession(CONFIG)
    for step in INTO[state]:
        if isinstance(step, bytes):
            session.receive(step)
        else:
            session.answer(step)
    session.take_output()
    assert session.state is state
    return session


COMMANDS = {
    "HELO": b"HELO c", "EHLO": b"EHLO c", "MAIL": b"MAIL FROM:<a@c>", "RCPT": b"RCPT TO:<b@h>", "DATA": b"DATA",
    "BDAT": b"BDAT 0 LAST", "RSET": b"RSET", "NOOP": b"NOOP", "VRFY": b"VRFY x", "HELP": b"HELP", "QUIT": b"QUIT",
    "EXPN": b"EXPN x", "STARTTLS": b"STARTTLS", "XCLIENT": b"XCLIENT ADDR=192.0.2.7", "other": b"XYZZY",
}  # fmt: skip

# The reply code, or the name of the question asked, and the state after it.
EVERYWHERE: dict[str, tuple[object, State | None]] = {
    "HELO": (250, State.IDLE),
    "EHLO": (250, State.IDLE),
    "RSET": (250, State.IDLE),
    "NOOP": (250, None),
    "VRFY": (252, None),
    "HELP": (214, None),
    "QUIT": (221, State.CLOSED),
    "EXPN": (502, None),
    "STARTTLS": (503, None),
    "XCLIENT": (503, None),
    "other": (500, None),
}
EXPECTED: dict[State, dict[str, tuple[object, State | None]]] = {
    State.IDLE: EVERYWHERE
    | {"MAIL": (SenderGiven, None), "RCPT": (503, None), "DATA": (503, None), "BDAT": (503, State.IDLE)}
    | {"STARTTLS": (220, State.SECURING), "XCLIENT": (ClientTold, None)},
    State.MAIL: EVERYWHERE
    | {"MAIL": (503, None), "RCPT": (RecipientGiven, None), "DATA": (554, None), "BDAT": (554, State.IDLE)},
    State.RCPT: EVERYWHERE
    | {
        "MAIL": (503, None),
        "RCPT": (RecipientGiven, None),
        "DATA": (ContentStart, None),
        "BDAT": (ContentStart, State.CHUNK),
    },
    State.CHUNKS: EVERYWHERE
    | {"MAIL": (503, None), "RCPT": (503, None), "DATA": (503, None), "BDAT": (ContentEnd, State.IDLE)},
    # No command is executed in content, nor after the end.
    State.DATA: dict.fromkeys(COMMANDS, (None, None)),
    State.CHUNK: dict.fromkeys(COMMANDS, (None, None)),
    State.CLOSED: dict.fromkeys(COMMANDS, (None, None)),
    State.SECURING: dict.fromkeys(COMMANDS, (None, None)),
}


@pytest.mark.parametrize("state", State)
@pytest.mark.parametrize("command", COMMANDS)
def test_every_state_and_command(state: State, command: str) -> None:
    session = session_in(state)
    events = session.receive(COMMANDS[command] + b"\r\n")
    said, after = EXPECTED[state][command]
    output = session.take_output()
    if isinstance(said, int):
        assert output.startswith(b"%d" % said)
        assert session.question is None
        if said >= 500:
            assert [event.reply.encode() for event in events if isinstance(event, Refusal)] == [output]
    elif said is None:
        assert output == b""
        assert all(isinstance(event, ContentPart) for event in events)
    else:
        assert output == b""
        assert session.question is events[-1]
        assert type(session.question) is said
    assert session.state is (state if after is None else after)


@pytest.mark.parametrize("command", ["STARTTLS", "XCLIENT"])
def test_what_is_not_offered_is_not_done(command: str) -> None:
    session = ServerSession(PLAIN)
    session.take_output()
    session.receive(COMMANDS[command] + b"\r\n")
    assert session.take_output() == b"502 5.5.1 Command not implemented\r\n"
    assert session.state is State.IDLE


def test_what_was_said_in_clear_counts_no_more_once_tls_is_there() -> None:
    session = ServerSession(CONFIG)
    session.receive(b"EHLO in.clear\r\n" + b"XYZZY\r\n" * 19)
    assert session.receive(b"STARTTLS\r\nEHLO injected\r\nMAIL FROM:<a@c>\r\n") == [TlsBegins()]
    assert session.take_output().endswith(b"500 5.5.2 Command not recognized\r\n220 2.0.0 Ready to start TLS\r\n")
    assert session.receive(b"RCPT TO:<b@h>\r\n") == []
    assert session.buffered_bytes == 0
    session.start_over(CONFIG, secure=True)
    assert (session.helo, session.esmtp, session.sender, session.state) == (b"", False, None, State.IDLE)
    session.receive(b"XYZZY\r\n")  # the twentieth, but the first over TLS
    assert not session.is_closed
    session.receive(b"EHLO c\r\n")
    assert b"STARTTLS" not in session.take_output()


@pytest.mark.parametrize("state", [State.MAIL, State.RCPT, State.CHUNKS])
@pytest.mark.parametrize("command", ["HELO", "EHLO", "RSET", "QUIT"])
def test_what_ends_a_transaction_says_so(state: State, command: str) -> None:
    session = session_in(state)
    events = session.receive(COMMANDS[command] + b"\r\n")
    assert events[0] == TransactionDropped()
    assert (session.sender, session.recipients) == (None, [])
    assert session_in(State.IDLE).receive(COMMANDS[command] + b"\r\n")[:1] != [TransactionDropped()]


@pytest.mark.parametrize("state", State)
def test_abort_in_every_state(state: State) -> None:
    session = session_in(state)
    has_transaction = session.sender is not None
    events = session.abort(BUSY)
    if state is State.CLOSED:
        assert (events, session.take_output()) == ([], b"")
        return
    assert events == [TransactionDropped()] * has_transaction + [Closing("Shutting down")]
    assert session.take_output() == b"421 4.3.2 Shutting down\r\n"
    assert session.state is State.CLOSED
    assert session.receive(b"NOOP\r\n") == []
    assert session.abort(BUSY) == []
    assert session.take_output() == b""


QUESTIONS: dict[type[object], list[bytes | Reply]] = {
    SenderGiven: [MAIL],
    RecipientGiven: [MAIL, OK, RCPT],
    ContentStart: [MAIL, OK, RCPT, OK, b"DATA\r\n"],
    ContentEnd: [MAIL, OK, RCPT, OK, b"DATA\r\n", R354_START_INPUT, b".\r\n"],
    ClientTold: [b"XCLIENT ADDR=192.0.2.7\r\n"],
}


def session_asking(question: type[object]) -> ServerSession:
    session = ServerSession(CONFIG)
    for step in QUESTIONS[question]:
        if isinstance(step, bytes):
            session.receive(step)
        else:
            session.answer(step)
    session.take_output()
    assert type(session.question) is question
    return session


AFTER: dict[type[object], tuple[State, State]] = {
    SenderGiven: (State.MAIL, State.IDLE),
    RecipientGiven: (State.RCPT, State.MAIL),
    ContentStart: (State.DATA, State.RCPT),
    ContentEnd: (State.IDLE, State.IDLE),
    ClientTold: (State.IDLE, State.IDLE),
}


@pytest.mark.parametrize("question", QUESTIONS)
@pytest.mark.parametrize("answer", [OK, NO, BUSY])
def test_every_question_and_answer(question: type[object], answer: Reply) -> None:
    session = session_asking(question)
    has_transaction = session.sender is not None
    events = session.answer(answer)
    is_greeted = question is ClientTold and answer is OK
    assert session.take_output() == (CONFIG.greeting if is_greeted else answer.encode())
    assert session.refused == (not answer.is_positive)
    if answer is BUSY:
        assert events == [TransactionDropped()] * has_transaction + [Closing("Shutting down")]
        assert session.state is State.CLOSED
    else:
        assert events == []
        assert session.state is AFTER[question][not answer.is_positive]
        with pytest.raises(RuntimeError):
            session.answer(OK)


@pytest.mark.parametrize("question", QUESTIONS)
def test_input_waits_while_a_question_is_open(question: type[object]) -> None:
    session = session_asking(question)
    assert session.receive(b"NO") == []
    assert session.receive(b"OP\r\n") == []
    assert session.buffered_bytes == 6
    assert session.take_output() == b""


@pytest.mark.parametrize("question", QUESTIONS)
def test_an_answer_overtaken_by_abort_is_ignored(question: type[object]) -> None:
    session = session_asking(question)
    session.abort(BUSY)
    session.take_output()
    assert session.question is None
    assert session.answer(OK) == []
    assert session.take_output() == b""


def test_refused_first_chunk_ends_the_transaction() -> None:
    session = session_in(State.RCPT)
    session.receive(b"BDAT 6 LAST\r\nQUI")
    assert session.answer(NO) == [TransactionDropped()]
    assert session.take_output() == b""
    assert session.receive(b"T\r\n") == []
    assert session.take_output() == NO.encode()
    assert session.state is State.IDLE


def test_content_is_dropped_as_soon_as_it_is_bad_and_refused_once() -> None:
    session = session_in(State.DATA)
    assert session.receive(b"good\r\n") == [ContentPart(b"good")]
    assert session.receive(b"bad\nline") == [TransactionDropped()]
    assert session.sender is None
    assert session.receive(b"another\nand more") == []
    assert session.take_output() == b""
    events = session.receive(b"\r\n.\r\n")
    assert [type(event) for event in events] == [Refusal]
    assert session.take_output().startswith(b"550 5.6.0 ")
    assert session.refused == 1


def test_what_a_shell_reads_off_the_session() -> None:
    session = ServerSession(CONFIG)
    assert session.take_output() == b"220 mx.test ESMTP Paperpath\r\n"
    assert (session.helo, session.esmtp, session.sender) == (b"", False, None)
    session.receive(b"EHLO [192.0.2.1]\r\n")
    assert (session.helo, session.esmtp) == (b"[192.0.2.1]", True)
    question = session.receive(b"MAIL FROM:<> SIZE=7 BODY=8BITMIME SMTPUTF8\r\n")
    assert question == [SenderGiven(b"", 7, True, "8BITMIME")]
    session.answer(OK)
    assert (session.sender, session.smtputf8) == (b"", True)
    session.receive(b"RCPT TO:<\xc3\xbc@h>\r\n")
    session.answer(OK)
    assert session.recipients == [b"\xc3\xbc@h"]
    session.receive(b"HELO c\r\n")
    assert (session.helo, session.esmtp, session.sender) == (b"c", False, None)
    assert not session.smtputf8
    assert session.bytes_in == len(b"EHLO [192.0.2.1]\r\nMAIL FROM:<> SIZE=7 BODY=8BITMIME SMTPUTF8\r\n") + 16 + 8


@pytest.mark.parametrize(
    ("state", "line", "code"),
    [
        (State.IDLE, b"EHLO", 501),
        (State.IDLE, b"HELO " + b"x" * 256, 501),
        (State.IDLE, b"MAIL FROM:<a@c> SIZE=1001", 552),
        (State.MAIL, b"RCPT TO:<>", 501),
        (State.RCPT, b"DATA now", 501),
    ],
)
def test_bad_arguments_change_nothing(state: State, line: bytes, code: int) -> None:
    session = session_in(state)
    assert [type(event) for event in session.receive(line + b"\r\n")] == [Refusal]
    assert session.take_output().startswith(b"%d " % code)
    assert session.state is state


@pytest.mark.parametrize("state", [State.IDLE, State.MAIL, State.RCPT, State.CHUNKS])
def test_bdat_without_a_size_ends_the_session(state: State) -> None:
    session = session_in(state)
    events = session.receive(b"BDAT\r\nNOOP\r\n")
    assert [type(event) for event in events if event != TransactionDropped()] == [Refusal, Closing]
    assert [line[:3] for line in session.take_output().splitlines()] == [b"501", b"421"]


def test_one_recipient_too_many() -> None:
    session = session_in(State.RCPT)
    for answer in (OK, OK):
        session.receive(RCPT)
        session.answer(answer)
    assert session.receive(RCPT) == [Refusal(reply(452, "4.5.3", "Too many recipients"), "too many recipients")]
    assert len(session.recipients) == 3


def test_input_behind_a_refused_data_ends_the_session() -> None:
    session = session_asking(ContentStart)
    session.receive(b"x")
    assert session.answer(NO) == [TransactionDropped(), Closing("pipelining past a refused DATA")]


def test_chunks() -> None:
    session = session_in(State.CHUNK)
    assert session.receive(b"a\r\nb") == [ContentPart(b"a\nb")]
    assert session.receive(b"x" * 4995) == [TransactionDropped()]
    assert session.take_output() == b""
    assert session.receive(b"x") == [TOO_BIG]
    assert session.take_output().startswith(b"552 5.3.4 ")
    session = session_in(State.CHUNKS)
    assert session.receive(b"BDAT 1\r\naBDAT 1 LAST\r\n\r") == [ContentPart(b"a"), TransactionDropped(), BARE_LINE_END]


def test_replies_to_pipelined_commands_come_in_one_piece() -> None:
    session = session_in(State.IDLE)
    session.receive(b"NOOP\r\nRSET\r\nNOOP\r\n")
    assert session.take_output() == b"250 2.0.0 OK\r\n250 2.0.0 Flushed\r\n250 2.0.0 OK\r\n"
    assert session.take_output() == b""


def test_an_endless_line_is_not_kept() -> None:
    session = session_in(State.IDLE)
    for _ in range(1000):
        session.receive(b"x" * 1000)
        assert session.buffered_bytes <= 2048
    session.receive(b"\r\n")
    assert session.take_output() == b"500 5.5.2 Line too long\r\n"


def test_recipients_of_one_transaction_are_not_those_of_the_next() -> None:
    session = session_in(State.RCPT)
    recipients = session.recipients
    session.receive(b"RSET\r\n")
    assert recipients == [b"b@h"]


def test_extensions_can_be_added() -> None:
    config = ServerConfig(b"mx.test", 5, 1, (*CONFIG.extensions, b"STARTTLS"))
    assert config.ehlo_reply.endswith(
        b"250-SIZE 5\r\n250-8BITMIME\r\n250-ENHANCEDSTATUSCODES\r\n250-SMTPUTF8\r\n"
        b"250-CHUNKING\r\n250-DSN\r\n250-LIMITS RCPTMAX=1\r\n250 STARTTLS\r\n"
    )
    assert ServerConfig(b"mx.test", 5, 1, ()).ehlo_reply == b"250 mx.test\r\n"


def test_an_envelope_is_bounded_in_bytes_too(monkeypatch: pytest.MonkeyPatch) -> None:
    """So that the frame that carries it always can: addresses, and what they are to be called in reports."""
    monkeypatch.setattr(smtp_server, "ENVELOPE_MOST_BYTES", 1000)
    shell = Shell(ServerSession(ServerConfig(b"mx.test", 1000, 100_000)))
    shell.feed(b"MAIL FROM:<a@c>\r\n" + b"RCPT TO:<b@h> ORCPT=rfc822;%b\r\n" % (b"x" * 480) * 3)
    taken, refused = b"250 2.1.5 Recipient OK", b"452 4.5.3 Too many recipients"
    assert shell.output.split(b"\r\n")[-4:-1] == [taken, taken, refused]
    shell.output = b""
    shell.feed(b"RCPT TO:<b@h> ORCPT=rfc822;%b\r\nRCPT TO:<%b>\r\n" % (b"x" * 8, b"x" * 9))
    assert shell.output.split(b"\r\n")[:-1] == [taken, refused]
    shell.output = b""
    shell.feed(b"RSET\r\nMAIL FROM:<a@c>\r\nRCPT TO:<b@h>\r\n")
    assert shell.output.endswith(b"250 2.1.5 Recipient OK\r\n")
