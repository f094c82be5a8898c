"""What can be asked for beside the delivery, and what follows from it."""

import pytest

from paperpath.base.terms import (
    NOTIFY_VALUES,
    NOTIFY_WORDS,
    MessageTerms,
    RecipientTerms,
    check_message_terms,
    check_recipient_terms,
    is_never,
    is_original,
    wants_delay,
    wants_failure,
    wants_success,
)


def test_every_value_of_notify_is_there_once_in_one_order() -> None:
    assert len(NOTIFY_VALUES) == 2 + 7
    for value in NOTIFY_VALUES - {"", "NEVER"}:
        words = value.split(",")
        assert words == [word for word in NOTIFY_WORDS if word in words]


@pytest.mark.parametrize(
    ("terms", "failure", "success", "delay", "never"),
    [
        (None, True, False, False, False),
        (RecipientTerms(), True, False, False, False),
        (RecipientTerms("NEVER"), False, False, False, True),
        (RecipientTerms("FAILURE"), True, False, False, False),
        (RecipientTerms("SUCCESS"), False, True, False, False),
        (RecipientTerms("DELAY"), False, False, True, False),
        (RecipientTerms("SUCCESS,FAILURE,DELAY"), True, True, True, False),
    ],
)
def test_what_is_wanted(terms: RecipientTerms | None, failure: bool, success: bool, delay: bool, never: bool) -> None:
    assert (wants_failure(terms), wants_success(terms), wants_delay(terms), is_never(terms)) == (
        failure, success, delay, never,
    )  # fmt: skip


def test_terms_that_can_be() -> None:
    check_message_terms(MessageTerms())
    check_message_terms(MessageTerms("FULL", b"x" * 100, True, "until;2026-12-22T10:23:20.5Z", 1, -5, "N", True, -9))
    check_message_terms(MessageTerms(hold="for;999999999", priority=9))
    for notify in NOTIFY_VALUES:
        check_recipient_terms(RecipientTerms(notify, b"rfc822;" + b"x" * 493))


@pytest.mark.parametrize(
    ("value", "is_one"),
    [
        (b"rfc822;a+2Bb@x", True),
        (b"x-my.type;a", False),
        (b"x400;/c=de/", False),
        (b"x400;/c+3Dde/", True),
        ("utf-8;ü@x".encode(), True),
        (b"utf-8;\xff@x", False),
        (rb"utf-8;\x{FC}@x", True),
        (b"utf-8;a b", False),
        (b"rfc822;" + b"x" * 493, True),
        (b"rfc822;" + b"x" * 494, False),
        (b"rfc822;", False),
        (b"utf-8;", False),
        (b"rfc822", False),
        (b"rfc822;a\n", False),
        (b"", False),
    ],
)
def test_original_recipients(value: bytes, is_one: bool) -> None:
    assert is_original(value) is is_one
