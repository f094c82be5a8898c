"""Dates, against the standard library's reader and writer."""

from datetime import UTC, datetime
from email.utils import format_datetime, parsedate_to_datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st

from paperpath.base.dates import iso8601, rfc5322

_SECONDS = st.integers(0, 253_402_300_799)  # to the end of the year 9999


@pytest.mark.parametrize(
    ("seconds", "mail", "iso"),
    [
        (0, "Thu, 1 Jan 1970 00:00:00 +0000", "1970-01-01T00:00:00Z"),
        (1795343417, "Sun, 22 Nov 2026 10:30:17 +0000", "2026-11-22T10:30:17Z"),
        (1709164799, "Wed, 28 Feb 2024 23:59:59 +0000", "2024-02-28T23:59:59Z"),
    ],
)
def test_dates(seconds: int, mail: str, iso: str) -> None:
    assert (rfc5322(seconds), iso8601(seconds)) == (mail, iso)


@given(_SECONDS)
def test_agree_with_the_standard_library(seconds: int) -> None:
    moment = datetime.fromtimestamp(seconds, UTC)
    assert parsedate_to_datetime(rfc5322(seconds)) == datetime.fromisoformat(iso8601(seconds)) == moment
    assert rfc5322(seconds).replace(", ", ", 0" if moment.day < 10 else ", ") == format_datetime(moment)
