"""Outcomes: class and status cannot contradict, and the wire carries them unchanged."""

import msgspec
import pytest

from paperpath.base.outcome import Deferred, Delivered, Failed, Outcome


@pytest.mark.parametrize(
    ("outcome", "status"),
    [
        (Delivered("taken"), "2.0.0"),
        (Delivered("taken", host="mx", code="1.5"), "2.1.5"),
        (Deferred("later", code="4.1", destination_down=True), "4.4.1"),
        (Failed("never", code="1.1"), "5.1.1"),
    ],
)
def test_status_and_wire(outcome: Outcome, status: str) -> None:
    assert outcome.status == status
    raw = msgspec.msgpack.encode(outcome)
    assert msgspec.msgpack.decode(raw, type=Delivered | Deferred | Failed) == outcome


def test_there_is_no_fourth_word() -> None:
    raw = msgspec.msgpack.encode(["vanished", "text"])
    with pytest.raises(msgspec.ValidationError):
        msgspec.msgpack.decode(raw, type=Delivered | Deferred | Failed)
