"""Limits that must agree with one another and with the standard they come from."""

from paperpath.base import limits


def test_limits_agree() -> None:
    assert limits.PATH_BYTES < limits.ADDRESS_MOST_BYTES < limits.COMMAND_LINE_MOST_BYTES
    assert limits.HOPS_MOST >= 100
    assert limits.RECIPIENTS_MINIMUM <= limits.RECIPIENTS_MOST
    # RFC 5321 4.5.3.2: least waits, in seconds.
    assert limits.CLIENT_END_OF_DATA_S >= 600


def test_the_largest_submission_fits_a_frame() -> None:
    whole = limits.ENVELOPE_MOST_BYTES + limits.INLINE_CONTENT_BYTES + limits.TRACE_MOST_BYTES
    length_prefixes = 5 * limits.RECIPIENTS_MOST
    assert whole + length_prefixes + 1000 < limits.FRAME_MOST_BYTES
