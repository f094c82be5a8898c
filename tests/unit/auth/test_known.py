import pytest

from paperpath.auth import known as module
from paperpath.auth.known import Known
from paperpath.auth.verdict import Identity

ANN = Identity("ann@example.test")


class Clock:
    at = 100.0

    def __call__(self) -> float:
        return self.at


def test_it_is_good_for_a_while_and_for_exactly_that() -> None:
    clock = Clock()
    known = Known(b"k" * 32, 60, clock)
    known.add(ANN, b"accounts", b"ann", b"secret")
    assert known.find(b"accounts", b"ann", b"secret") == ANN
    for other in ([b"accounts", b"ann", b"secre"], [b"accounts", b"anns", b"ecret"], [b"pam", b"ann", b"secret"]):
        assert known.find(*other) is None
    clock.at += 60
    assert known.find(b"accounts", b"ann", b"secret") is None


def test_it_can_be_switched_off() -> None:
    known = Known(b"k" * 32, 0, Clock())
    known.add(ANN, b"x")
    assert known.find(b"x") is None


def test_it_is_bounded_and_the_oldest_goes_first(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "_KNOWN_MOST", 2)
    known = Known(b"k" * 32, 60, Clock())
    for name in (b"1", b"2", b"1", b"3"):
        known.add(ANN, name)
    assert [known.find(name) is not None for name in (b"1", b"2", b"3")] == [True, False, True]


def test_nothing_of_a_password_is_in_it() -> None:
    known = Known(b"k" * 32, 60, Clock())
    known.add(ANN, b"pam", b"ann", b"secret")
    assert "secret" not in repr(vars(known))
