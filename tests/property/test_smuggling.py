"""No sequence but CR LF . CR LF ends a message: not in SMTP, not in LMTP, however it is cut; nor in what we send on."""

from collections import defaultdict, deque

import pytest

from paperpath.protocol.smtp_client_data import DataEncoder, encode_data
from paperpath.protocol.smtp_server import ServerConfig, ServerSession
from tests.smuggling import END, INNER, OUTER, cuts, ends, hidden, lenient_ends, sequences
from tests.transcripts.smtp_shell import Shell

SEQUENCES = sequences()
SMTP = ServerConfig(b"mx.test", 1_000_000, 10)
LMTP = ServerConfig(b"mx.test", 1_000_000, 10, lmtp=True)
ENVELOPE = b"MAIL FROM:<a@client.test>\r\nRCPT TO:<b@here.test>\r\n"
CONTENT_REFUSED = b"550 5.6.0 "


def run(*pieces: bytes, config: ServerConfig = SMTP) -> Shell:
    shell = Shell(ServerSession(config), defaultdict(deque))
    for piece in pieces:
        shell.feed(piece)
    return shell


def check(shell: Shell, name: str) -> None:
    """One message with everything in it, or none and a refusal; and the session goes on behind it."""
    assert shell.output.endswith(b"250 2.0.0 OK\r\n"), name
    assert b"\r\n250 2.1.0 Sender OK\r\n250 2.1.0" not in shell.output
    assert shell.output.count(b"Sender OK") == 1, f"{name}: a second sender"
    if not shell.messages:
        assert CONTENT_REFUSED in shell.output, name
        return
    (message,) = shell.messages
    assert message.sender == b"a@client.test"
    assert b"MAIL FROM:<evil@client.test>" in message.content, name
    assert b"\r" not in message.content


@pytest.mark.parametrize("config", [SMTP, LMTP], ids=["smtp", "lmtp"])
def test_data(config: ServerConfig) -> None:
    taken = 0
    for name, sequence in list(SEQUENCES.items())[:: 3 if config.lmtp else 1]:
        if ends(sequence):
            continue
        content = hidden(sequence)
        begin = ENVELOPE + b"DATA\r\n"
        whole = run(begin, content + b"NOOP\r\n", config=config)
        check(whole, name)
        taken += len(whole.messages)
        for pieces in cuts(content + b"NOOP\r\n", sequence):
            cut = run(begin, *pieces, config=config)
            assert (cut.output, cut.messages) == (whole.output, whole.messages), name
    assert 0 < taken < len(SEQUENCES) / 2


def test_data_byte_by_byte() -> None:
    for name, sequence in list(SEQUENCES.items())[::5]:
        if not ends(sequence):
            content = hidden(sequence) + b"NOOP\r\n"
            check(run(ENVELOPE + b"DATA\r\n", *(content[at : at + 1] for at in range(len(content)))), name)


@pytest.mark.parametrize("position", ["first", "last", "only"])
def test_beginning_and_end_of_content(position: str) -> None:
    """At the very beginning a line begins without a line end before it; at the very end nothing is added."""
    for name, sequence in SEQUENCES.items():
        before, after = {"first": (b"", INNER), "last": (OUTER, b""), "only": (b"", b"")}[position]
        content = before + sequence + after
        if END in b"\r\n" + content + b"\r\n.":
            continue
        shell = run(ENVELOPE + b"DATA\r\n", content + END + b"NOOP\r\n")
        assert shell.output.endswith(b"250 2.0.0 OK\r\n"), name
        assert len(shell.messages) == (CONTENT_REFUSED not in shell.output), name
        assert shell.output.count(b"Sender OK") == 1, name


@pytest.mark.parametrize("last", [True, False])
def test_chunks_are_exactly_their_octets(last: bool) -> None:
    """In BDAT even the true end is content; and so are the octets of a chunk that begins with a command."""
    for name, sequence in {**dict(list(SEQUENCES.items())[last::2]), "the end": END}.items():
        content = hidden(sequence)
        for first, second in cuts(content, sequence):
            commands = b"BDAT %d\r\n%bBDAT %d%b\r\n%b" % (len(first), first, len(second), b" LAST" * last, second)
            shell = run(ENVELOPE, commands + (b"" if last else b"BDAT 0 LAST\r\n") + b"NOOP\r\n")
            assert shell.output.endswith(b"250 2.0.0 OK\r\n"), name
            assert shell.output.count(b"Sender OK") == 1, name
            assert len(shell.messages) == (CONTENT_REFUSED not in shell.output), name


@pytest.mark.parametrize(
    "command",
    [
        b"BDAT 10 LAST\n",
        b"BDAT 10 LAST\r",
        b"BDAT 1\0 LAST\r\n",
        b"BDAT +10 LAST\r\n",
        b"BDAT 0x10 LAST\r\n",
        b"BDAT 10,000 LAST\r\n",
        b"BDAT 1 0 LAST\r\n",
        b"BDAT 99999999999 LAST\r\n",
        b"BDAT LAST\r\n",
        b"BDAT 10 LASTLY\r\n",
        "BDAT \uff11\uff10 LAST\r\n".encode(),
        b"BDAT\t10 LAST\r\n",
        b"\xa0BDAT 10 LAST\r\n",
    ],
)
def test_a_chunk_of_uncertain_size_is_never_followed_by_commands(command: bytes) -> None:
    shell = run(ENVELOPE, command + INNER + END + b"NOOP\r\n")
    assert not shell.messages
    assert shell.output.count(b"Sender OK") == 1 or shell.closed


@pytest.mark.parametrize("command", [b"DATA x\r\n", b"DATA\t\r\n", b"D\0ATA\r\n", b"DATA\r", b"DATA\n", b" DATA\r\n"])
def test_content_behind_a_refused_data_is_no_commands(command: bytes) -> None:
    shell = run(ENVELOPE, command + INNER + END + b"NOOP\r\n")
    assert not shell.messages
    assert shell.closed


def test_what_we_send_has_one_end_however_it_is_read() -> None:
    for name, sequence in {**SEQUENCES, "the end": END}.items():
        content = OUTER + sequence + INNER
        wire = encode_data(content)
        assert wire.count(b"\r") == wire.count(b"\n") == wire.count(b"\r\n"), name
        assert (b"\r\n" + wire).index(END) == len(wire) + 2 - len(END), name
        if not any(byte in sequence for byte in b"\0\v\f "):  # of these nothing is known to be a line end
            assert lenient_ends(wire) == 1, name
        for first, second in cuts(content, sequence):
            encoder = DataEncoder()
            assert encoder.feed(first) + encoder.feed(second) + encoder.end() == wire, name
