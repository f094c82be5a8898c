"""The POP3 machine does the same however its input is cut, and its content is what the obvious code makes of it."""

import random
import re

from hypothesis import example, given
from hypothesis import strategies as st

from paperpath.protocol.pop3 import Pop3Session
from paperpath.protocol.pop3_content import Stuffer, Top
from paperpath.protocol.pop3_lines import RESPONSE_LINE_MOST_BYTES
from paperpath.protocol.qmail_pop3 import Sending, leading_number
from tests.transcripts.pop3_story import Mail, Shell, config

# Pieces that a dialogue is thrown together from.  No STLS: what is forgotten then depends on what has arrived.
FRAGMENTS = [
    b"\r\n", b"\r", b"\n", b"\0", b" ", b"x", b"=", b"*\r\n", b"QUJD\r\n", b"NOOP\r\n", b"CAPA\r\n", b"XYZZY\r\n",
    b"USER a\r\n", b"PASS b\r\n", b"USER a\r\nPASS b\r\n", b"APOP a b\r\n", b"AUTH PLAIN\r\n", b"AUTH PLAIN QUJD\r\n",
    b"STAT\r\n", b"LIST\r\n", b"UIDL\r\n", b"LIST 2\r\n", b"RETR 1\r\n", b"RETR 3\r\n", b"TOP 2 1\r\n", b"DELE 1\r\n",
    b"DELE 2\r\n", b"RSET\r\n", b"QUIT\r\n", b"9", b"u" * 600, b"auth " + b"A" * 600, b"u" * RESPONSE_LINE_MOST_BYTES,
]  # fmt: skip
DIALOGUES = st.lists(st.sampled_from(FRAGMENTS), max_size=25).map(b"".join)
ANSWERS = st.lists(st.sampled_from(["ok", "failed No", "later No", "challenge QUJD"]), max_size=5)
MAILS = [Mail(b"one", b"A: b\n\n.x\ny"), Mail(b"two", b"A: b\r\n\r\nx\r\ny\r\n"), Mail(b"three")]

Ways = list[list[bytes]]


def ways_of(octets: bytes, seed: int) -> Ways:
    chance = random.Random(seed)
    cuts = sorted(chance.randrange(len(octets) + 1) for _ in range(chance.randrange(1, 20)))
    return [
        octets.splitlines(keepends=True),
        [octets[i : i + 1] for i in range(len(octets))],
        [octets[a:b] for a, b in zip([0, *cuts], [*cuts, len(octets)], strict=True)],
    ]


def run(pieces: list[bytes], answers: list[str]) -> Shell:
    shell = Shell(Pop3Session(config("apop PLAIN")), config(""), MAILS, gone={3})
    shell.answers.extend(answers)
    shell.feed(b"")
    for piece in pieces:
        shell.feed(piece)
    return shell


@given(DIALOGUES, ANSWERS, st.integers(0, 1 << 32))
def test_the_cut_does_not_matter(dialogue: bytes, answers: list[str], seed: int) -> None:
    whole = run([dialogue], answers)
    for pieces in ways_of(dialogue, seed):
        assert run(pieces, answers) == whole


@given(DIALOGUES, ANSWERS)
def test_what_holds_for_every_dialogue(dialogue: bytes, answers: list[str]) -> None:
    shell = run([dialogue], answers)
    session = shell.session
    assert shell.output.startswith(b"+OK pop.test POP3 ready <1.2@pop.test>\r\n")
    assert session.buffered_bytes < RESPONSE_LINE_MOST_BYTES
    assert session.failed_logins <= session.config.logins_most
    if shell.marked is not None:
        assert shell.closed == "quit" and session.is_open and len(shell.marked) == session.deleted
    assert (shell.closed is not None) == session.is_closed


OCTETS = st.lists(st.sampled_from([b"\r\n", b"\r", b"\n", b".", b"..", b"\n.", b"x", b"\0", b"a line"])).map(b"".join)


def sent(octets: bytes) -> bytes:
    """Return what goes over the wire for stored content, the obvious way."""
    lines = octets.split(b"\n")
    if not lines[-1]:
        lines.pop()
    else:
        lines[-1] += b"\0END"
    ended = [line[:-1] if line.endswith(b"\r") else line for line in lines]
    out = b"".join((b"." if line.startswith(b".") else b"") + line + b"\r\n" for line in ended)
    return out.replace(b"\0END", b"") + b".\r\n"


@given(OCTETS, st.integers(0, 1 << 32))
@example(b"\r", 1)
@example(b".\r\r\n.", 1)
def test_stuffing(octets: bytes, seed: int) -> None:
    for pieces in ways_of(octets, seed):
        stuffer = Stuffer()
        assert b"".join(map(stuffer.feed, pieces)) + stuffer.finish() == sent(octets)


@given(OCTETS, st.integers(0, 5), st.integers(0, 1 << 32))
@example(b"\r\r\n\r\n", 0, 0)
def test_top(octets: bytes, lines: int, seed: int) -> None:
    stored = re.findall(rb"[^\n]*\n|[^\n]+", octets)
    header = next((i + 1 for i, line in enumerate(stored) if line in {b"\n", b"\r\n"}), len(stored))
    wanted = b"".join(stored[: header + lines])
    for pieces in ways_of(octets, seed):
        top = Top(lines)
        assert b"".join(map(top.take, pieces)) == wanted


def sent_by_qmail(octets: bytes, limit: int) -> bytes:
    """Return what qmail-pop3d sends, line by line as qmail-interfaces 15.3 tells it."""
    lines = octets.split(b"\n")
    if not lines[-1]:
        lines.pop()
    header = next((at + 1 for at, line in enumerate(lines) if not line), len(lines))
    wanted = lines[: header + limit - 1] if limit else lines
    stuffed = (b"." + line if line.startswith(b".") else line for line in wanted)
    return b"".join(line + b"\r\n" for line in stuffed) + b"\r\n.\r\n"


@given(OCTETS, st.integers(0, 5), st.integers(0, 1 << 32))
def test_sending_as_qmail(octets: bytes, limit: int, seed: int) -> None:
    for pieces in ways_of(octets, seed):
        sending = Sending(limit)
        said = b"".join(sending.feed(piece) for piece in pieces if not sending.done)
        assert said + sending.finish() == sent_by_qmail(octets, limit)


@given(st.binary(max_size=40))
def test_leading_number(text: bytes) -> None:
    digits = re.match(rb"[0-9]*", text)
    assert digits is not None
    number, rest = leading_number(text)
    assert text == digits[0] + rest
    assert number == (int(digits[0]) % (1 << 64) if digits[0] else None)
