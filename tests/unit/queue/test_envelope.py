import pytest

from paperpath.base.limits import ADDRESS_MOST_BYTES, ENVELOPE_MOST_BYTES, RECIPIENTS_MOST, TRACE_MOST_BYTES
from paperpath.queue.envelope import check_envelope

TO = (b"a@b.test",)


@pytest.mark.parametrize("sender", [b"", b"#@[]", b"a@b.test", b"l-@b.test-@[]", b"x" * ADDRESS_MOST_BYTES, b"\xff@b"])
def test_senders_that_can_be(sender: bytes) -> None:
    check_envelope(sender, TO, b"")


@pytest.mark.parametrize("sender", [b"x" * (ADDRESS_MOST_BYTES + 1), b"a\0@b.test"])
def test_senders_that_cannot_be(sender: bytes) -> None:
    with pytest.raises(ValueError, match="sender"):
        check_envelope(sender, TO, b"")


@pytest.mark.parametrize("recipient", [b"", b"x" * (ADDRESS_MOST_BYTES + 1), b"a\0@b.test"])
def test_recipients_that_cannot_be(recipient: bytes) -> None:
    with pytest.raises(ValueError, match="recipient"):
        check_envelope(b"", (*TO, recipient), b"")


def test_number_of_recipients_is_bounded() -> None:
    check_envelope(b"", TO * RECIPIENTS_MOST, b"")
    for recipients in ((), TO * (RECIPIENTS_MOST + 1)):
        with pytest.raises(ValueError, match="number"):
            check_envelope(b"", recipients, b"")


def test_size_of_the_envelope_is_bounded() -> None:
    long = (b"x" * ADDRESS_MOST_BYTES,)
    most = ENVELOPE_MOST_BYTES // ADDRESS_MOST_BYTES
    check_envelope(b"", long * most, b"")
    with pytest.raises(ValueError, match="too large"):
        check_envelope(b"", long * (most + 1), b"")


@pytest.mark.parametrize("trace", [b"", b"Received: x\n", b"x" * (TRACE_MOST_BYTES - 1) + b"\n"])
def test_trace_that_can_be(trace: bytes) -> None:
    check_envelope(b"", TO, trace)


@pytest.mark.parametrize("trace", [b"Received: x", b"x" * TRACE_MOST_BYTES + b"\n"])
def test_trace_that_cannot_be(trace: bytes) -> None:
    with pytest.raises(ValueError, match="trace"):
        check_envelope(b"", TO, trace)
