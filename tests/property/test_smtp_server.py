"""The SMTP server machine does the same however its input is cut, and decodes as the obvious decoder does."""

import random
import re
from collections import defaultdict, deque
from collections.abc import Iterable

from hypothesis import example, given
from hypothesis import strategies as st

from paperpath.base.reply import Reply, reply
from paperpath.protocol.smtp_data import ChunkDecoder, DataDecoder
from paperpath.protocol.smtp_refusals import BARE_LINE_END, TOO_BIG
from paperpath.protocol.smtp_server import Closing, ServerConfig, ServerSession, TransactionDropped
from tests.transcripts.smtp_shell import CONFIG, POSITIVE, Shell

LMTP = ServerConfig(b"mx.test", 1000, 3, lmtp=True)
PAST_DATA = Closing("pipelining past a refused DATA")

# Pieces that a dialogue is thrown together from: enough sense to get into every state, enough nonsense to test it.
FRAGMENTS = [
    b"\r\n", b"\r", b"\n", b".", b"\0", b" ", b"x", b"\r\n.\r\n", b"\n.\r\n", b"\r\n..x\r\n",
    b"EHLO c\r\n", b"HELO c\r\n", b"LHLO c\r\n", b"RSET\r\n", b"NOOP\r\n", b"QUIT\r\n", b"XYZZY\r\n",
    b"MAIL FROM:<a@c>\r\n", b"MAIL FROM:<> SIZE=5 SMTPUTF8\r\n", b"MAIL FROM:<a@c> SIZE=1001\r\n",
    b"RCPT TO:<b@h>\r\n", b"RCPT TO:<\xc3\xbc@h>\r\n", b"RCPT TO:<>\r\n", b"RCPT TO:<@r:b@h>\r\n",
    b"DATA\r\n", b"DATA x\r\n", b"line\r\nline\r\n", b"x" * 1100, b"BDAT 5\r\n", b"BDAT 3 LAST\r\n", b"BDAT 0 LAST\r\n",
    b"BDAT x\r\n", b"ab\r\nc", b"cd\r", b"\n", b"BDAT 2000\r\n",
    b"STARTTLS\r\n", b"XCLIENT ADDR=192.0.2.7 HELO=x LOGIN=joe\r\n",
    b"MAIL FROM:<a@c> RET=HDRS ENVID=x+2B REQUIRETLS\r\n", b"MAIL FROM:<a@c> HOLDFOR=9 BY=9;N MT-PRIORITY=3\r\n",
    b"RCPT TO:<b@h> NOTIFY=NEVER ORCPT=rfc822;x\r\n", b"RCPT TO:<b@h> NOTIFY=NEVER,DELAY\r\n",
    b"MAIL FROM:<a@c>\r\nRCPT TO:<b@h>\r\nDATA\r\n", b"MAIL FROM:<a@c>\r\nRCPT TO:<b@h>\r\nBDAT 4\r\nab\r\n",
]  # fmt: skip
DIALOGUES = st.lists(st.sampled_from(FRAGMENTS), max_size=25).map(b"".join)
NEGATIVE = {
    "mail": reply(550, "5.7.1", "No"),
    "rcpt": reply(450, "4.2.0", "No"),
    "data": reply(451, "4.3.0", "No"),
    "end": reply(554, "5.6.0", "No"),
}
ANSWERS = st.fixed_dictionaries({kind: st.lists(st.booleans(), max_size=4) for kind in NEGATIVE})


def run(pieces: Iterable[bytes], answers: dict[str, list[bool]], config: ServerConfig = CONFIG) -> Shell:
    script: dict[str, deque[Reply]] = defaultdict(deque)
    for kind, verdicts in answers.items():
        script[kind].extend(POSITIVE[kind] if verdict else NEGATIVE[kind] for verdict in verdicts)
    shell = Shell(ServerSession(config), script)
    shell.feed(b"")
    for piece in pieces:
        shell.feed(piece)
    return shell


def cut_at_random(octets: bytes, chance: random.Random) -> list[bytes]:
    cuts = sorted(chance.randrange(len(octets) + 1) for _ in range(chance.randrange(1, 20)))
    return [octets[a:b] for a, b in zip([0, *cuts], [*cuts, len(octets)], strict=True)]


@given(DIALOGUES, ANSWERS, st.integers(0, 1 << 32), st.sampled_from([CONFIG, LMTP]))
def test_the_cut_does_not_matter(
    dialogue: bytes, answers: dict[str, list[bool]], seed: int, config: ServerConfig
) -> None:
    whole = run([dialogue], answers, config)
    ways = [
        dialogue.splitlines(keepends=True),
        [dialogue[i : i + 1] for i in range(len(dialogue))],
        cut_at_random(dialogue, random.Random(seed)),
    ]
    for pieces in ways:
        cut = run(pieces, answers, config)
        if whole.happened[-1:] == [PAST_DATA]:
            # Only what lay in the buffer could tell; up to there it must be the same.
            common = [event for event in whole.happened if event not in (PAST_DATA, TransactionDropped())]
            seen = [event for event in cut.happened if event != TransactionDropped()]
            assert seen[: len(common)] == common
        else:
            assert cut.happened == whole.happened
            assert cut.output == whole.output
            assert cut.messages == whole.messages
            assert cut.session.state is whole.session.state


@given(st.integers(1, 3), st.lists(st.integers(0, 700), max_size=4), st.booleans(), st.booleans())
def test_lmtp_says_as_much_as_its_client_counts_on(
    recipients: int, chunks: list[int], is_taken: bool, is_bare: bool
) -> None:
    """RFC 2033 4.3: one reply to each chunk, one for each recipient to the last, whatever is refused."""
    line = b"MAIL FROM:<a@c>\r\n" + b"RCPT TO:<b@h>\r\n" * recipients
    for octets in chunks:
        line += b"BDAT %d\r\n" % octets + b"x" * octets
    tail = b"x\ny" if is_bare else b"x\r\n"
    line += b"BDAT %d LAST\r\n" % len(tail) + tail
    shell = run([line], {"end": [is_taken]}, LMTP)
    replies = shell.output.splitlines()[2 + recipients + len(chunks) :]
    assert len(replies) == recipients
    is_good = is_taken and not is_bare and sum(chunks) + 2 <= 1000
    assert {reply[:3] for reply in replies} <= ({b"250"} if is_good else {b"550", b"552", b"554"})
    assert len(shell.messages) == is_good


OCTETS = st.lists(
    st.sampled_from([b"\r\n", b"\r", b"\n", b".", b"..", b"\r\n.", b"x", b"\0", b"text of a line", b"\r\n.\r\n"])
).map(b"".join)
END = b"\r\n.\r\n"


def obvious(octets: bytes) -> tuple[bytes | None, bytes] | None:
    """Return content (None: bare line end) and what follows, or None where the end has not come; line by line."""
    lines: list[bytes] = []
    rest = octets
    while True:
        line, found, rest = rest.partition(b"\r\n")
        if not found:
            return None
        if line == b".":
            break
        lines.append(line[1:] if line.startswith(b".") else line)
    content = b"".join(line + b"\n" for line in lines)
    is_bare = any(re.search(rb"[\r\n]", line) for line in lines)
    return (None if is_bare else content), rest


@given(OCTETS, st.integers(0, 1 << 32), st.integers(0, 60))
@example(b"\n\r", 0, 60)
@example(b".\r\r\n", 0, 60)
@example(b"\r\n.\r", 0, 60)
def test_data_as_the_obvious_decoder(octets: bytes, seed: int, size_most: int) -> None:
    octets += END
    expected = obvious(octets)
    assert expected is not None
    content, rest = expected
    decoder = DataDecoder(size_most)
    decoded, fed = b"", 0
    for piece in cut_at_random(octets, random.Random(seed)):
        part, end = decoder.feed(piece)
        decoded += part
        if end >= 0:
            assert octets[fed + end :] == rest
            break
        fed += len(piece)
    else:
        raise AssertionError("the end was not seen")
    if content is None:
        assert decoder.refusal is BARE_LINE_END
    else:
        assert decoder.refusal is (TOO_BIG if len(content) > size_most else None)
        assert decoded == content
        assert decoder.size == len(content)


@given(OCTETS, st.integers(0, 1 << 32))
def test_chunks_as_the_obvious_decoder(octets: bytes, seed: int) -> None:
    decoder = ChunkDecoder(1 << 20)
    decoded = b"".join(decoder.feed(piece) for piece in cut_at_random(octets, random.Random(seed)))
    decoder.finish()
    if re.search(rb"\r(?!\n)|(?<!\r)\n", octets):
        assert decoder.refusal is BARE_LINE_END
    else:
        assert decoder.refusal is None
        assert decoded == octets.replace(b"\r\n", b"\n")


@given(OCTETS)
def test_no_octet_of_content_is_a_command(octets: bytes) -> None:
    """Whatever stands before the true end of data, the session sees one message at most, then the command after it."""
    expected = obvious(octets + END)
    assert expected is not None
    before = octets + END
    before = before[: len(before) - len(expected[1])]
    shell = run([b"MAIL FROM:<a@c>\r\nRCPT TO:<b@h>\r\nDATA\r\n", before, b"NOOP\r\n"], {})
    replies = [line[:3] for line in shell.output.splitlines()]
    assert replies[4:] == [b"550" if expected[0] is None else b"250", b"250"]
    assert len(shell.messages) == (expected[0] is not None)
