"""What MAIL, RCPT and BDAT say."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from paperpath.protocol import smtp_commands
from paperpath.protocol.smtp_commands import parse_bdat, parse_mail, parse_rcpt
from paperpath.protocol.smtp_events import RecipientGiven, Refusal, SenderGiven
from paperpath.protocol.smtp_grammar import parse_path
from paperpath.protocol.smtp_refusals import (
    BDAT_SYNTAX,
    MAIL_SYNTAX,
    PARAMETER_SYNTAX,
    PARAMETER_UNKNOWN,
    RCPT_SYNTAX,
    RECIPIENT_BAD,
    SENDER_BAD,
    TOO_BIG,
    UTF8_NOT_ANNOUNCED,
)


@pytest.mark.parametrize(
    ("argument", "given"),
    [
        (b"FROM:<>", SenderGiven(b"")),
        (b"from: <a@h>", SenderGiven(b"a@h")),
        (b"FROM:a@h SIZE=100", SenderGiven(b"a@h", 100)),
        (b"FROM:<a>", SenderGiven(b"a")),
        (b"FROM:<a@h> SIZE=100 BODY=8bitmime SMTPUTF8", SenderGiven(b"a@h", 100, True, "8BITMIME")),
        (b"FROM:<\xc3\xbc@h> SMTPUTF8", SenderGiven(b"\xc3\xbc@h", 0, True)),
        (b"FROM:<a@h> SIZE=101", TOO_BIG),
        (b"FROM:<\xc3\xbc@h>", UTF8_NOT_ANNOUNCED),
        (b"FROM:<\xc3@h> SMTPUTF8", SENDER_BAD),
        (b"FROM <a@h>", MAIL_SYNTAX),
        (b"TO:<a@h>", MAIL_SYNTAX),
        (b"FROM:", SENDER_BAD),
        (b"FROM:<@h>", SENDER_BAD),
        (b'FROM:<""@h>', SENDER_BAD),
        (b"FROM:<a\0@h>", SENDER_BAD),
        (b"FROM:<a@h\x01>", SENDER_BAD),
        (b"FROM:<a@h> SOLICIT=x", PARAMETER_UNKNOWN),
        (b"FROM:<a@h> SIZE=1 SIZE=1", PARAMETER_SYNTAX),
        (b"FROM:<a@h> BODY", PARAMETER_SYNTAX),
        (b"FROM:<a@h> BODY=X", PARAMETER_SYNTAX),
        (b"FROM:<a@h> SMTPUTF8=1", PARAMETER_SYNTAX),
    ],
)
def test_mail(argument: bytes, given: SenderGiven | Refusal) -> None:
    assert parse_mail(argument, 100) == given


@pytest.mark.parametrize(
    ("argument", "smtputf8", "given"),
    [
        (b"TO:<b@h>", False, RecipientGiven(b"b@h")),
        (b"to:  <Postmaster>", False, RecipientGiven(b"Postmaster")),
        (b"TO:<\xc3\xbc@h>", True, RecipientGiven(b"\xc3\xbc@h")),
        (b"TO:<\xc3\xbc@h>", False, UTF8_NOT_ANNOUNCED),
        (b"TO:<\xc3@h>", True, RECIPIENT_BAD),
        (b"TO:<>", False, RECIPIENT_BAD),
        (b"TO:", False, RECIPIENT_BAD),
        (b"TO:<b", False, RECIPIENT_BAD),
        (b"TO:<b@h@>", False, RECIPIENT_BAD),
        (b"FROM:<b@h>", False, RCPT_SYNTAX),
        (b"TO:<b@h> X", False, PARAMETER_UNKNOWN),
        (b"TO:<b@h> X X", False, PARAMETER_SYNTAX),
    ],
)
def test_rcpt(argument: bytes, smtputf8: bool, given: RecipientGiven | Refusal) -> None:
    assert parse_rcpt(argument, smtputf8) == given


@pytest.mark.parametrize(
    ("argument", "parsed"),
    [
        (b"0", (0, False)),
        (b"10 LAST", (10, True)),
        (b"9999999999  last", (9999999999, True)),
        (b"", BDAT_SYNTAX),
        (b"LAST", BDAT_SYNTAX),
        (b"10 FIRST", BDAT_SYNTAX),
        (b"10 LAST LAST", BDAT_SYNTAX),
        (b"10000000000", BDAT_SYNTAX),
        (b"-1", BDAT_SYNTAX),
    ],
)
def test_bdat(argument: bytes, parsed: tuple[int, bool] | Refusal) -> None:
    assert parse_bdat(argument) == parsed


@given(st.from_regex(smtp_commands.USUAL_PATH, fullmatch=True))
def test_the_usual_path_means_what_the_long_way_says(path: bytes) -> None:
    address = parse_path(path)
    assert address == (path[1:-1], b"") and smtp_commands._is_address(path[1:-1])
    assert parse_mail(b"FROM:" + path, 0) == SenderGiven(path[1:-1])
    assert parse_rcpt(b"TO: " + path, False) == RecipientGiven(path[1:-1])
