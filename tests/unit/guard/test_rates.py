"""Counters of the last while, beside the plainest model: a list of everything that was counted."""

from hypothesis import given
from hypothesis import strategies as st

from paperpath.guard.rates import SLOTS, Rates
from paperpath.wire.guard import Rate

PERIOD_S = 60
RATE = Rate(10, PERIOD_S)
STEPS = st.lists(st.tuples(st.floats(0, 30), st.integers(0, 6)), max_size=60)


def used(taken: list[tuple[float, int]], since: float) -> int:
    return sum(amount for at, amount in taken if at > since)


@given(STEPS, st.floats(0, 1e9))
def test_never_more_than_the_rate_in_any_period_and_never_less_than_is_due(
    steps: list[tuple[float, int]], now: float
) -> None:
    rates = Rates(100)
    taken: list[tuple[float, int]] = []
    for pause, amount in steps:
        now += pause
        again = rates.take("joe", amount, (RATE,), now)
        if again == 0:
            taken.append((now, amount))
        else:
            assert used(taken, now - PERIOD_S * (SLOTS + 1) / SLOTS - 1e-3) + amount > RATE.most, "refused though due"
        assert used(taken, now - PERIOD_S) <= RATE.most


@given(STEPS, st.integers(1, 10))
def test_after_the_time_told_it_is_allowed(steps: list[tuple[float, int]], amount: int) -> None:
    rates, now = Rates(100), 1000.0
    for pause, some in steps:
        now += pause
        rates.take("joe", some, (RATE,), now)
    again = rates.take("joe", amount, (RATE,), now)
    if again:
        assert 1 <= again <= PERIOD_S * (SLOTS + 1) / SLOTS + 1
        assert rates.take("joe", amount, (RATE,), now + again) == 0


def test_all_rates_must_allow_or_nothing_is_counted() -> None:
    rates = Rates(100)
    both = (Rate(3, 3600), Rate(4, 86400))
    assert rates.take("joe", 3, both, 0.0) == 0
    assert rates.take("joe", 1, both, 1.0) > 0
    assert rates.take("joe", 1, both, 4000.0) == 0
    assert rates.take("joe", 1, both, 8000.0) > 4000, "the day is full"
    assert rates.take("joe", 1, both, 100_000.0) == 0


def test_names_and_amounts_are_told_apart() -> None:
    rates = Rates(100)
    assert rates.take("joe", 10, (RATE,), 0.0) == 0
    assert rates.take("ann", 10, (RATE,), 0.0) == 0
    assert rates.take("bob", 11, (RATE,), 0.0) == PERIOD_S, "more than may ever be"


def test_what_has_happened_is_counted_and_judged() -> None:
    rates = Rates(100)
    assert rates.count("192.0.2.1", 10, RATE, 0.0) == 0
    assert rates.count("192.0.2.1", 50, RATE, 1.0) > 0
    assert rates.count("192.0.2.1", 0, RATE, 70.0) == 0


def test_the_counter_used_longest_ago_goes_first() -> None:
    rates = Rates(2)
    for name in ("a", "b", "a", "c"):
        rates.take(name, 5, (RATE,), 0.0)
    assert len(rates) == 2
    assert rates.take("a", 1, (RATE,), 0.0) > 0, "still known"
    assert rates.take("b", 10, (RATE,), 0.0) == 0, "forgotten"
