import pytest

from paperpath.queue.retry import after_lost_agent, next_attempt

BIRTH = 1_000_000


@pytest.mark.parametrize(
    ("channel", "waits"),
    [("local", [100, 400, 900, 1600, 2500]), ("remote", [400, 1600, 3600, 6400, 10_000])],
)
def test_retries_are_quadratic_as_in_qmail(channel: str, waits: list[int]) -> None:
    now, seen = BIRTH, []
    for _ in waits:
        now = next_attempt(channel, BIRTH, now, 0)
        seen.append(now - BIRTH)
    assert seen == waits


@pytest.mark.parametrize(("chance", "wait"), [(0, 400), (0.5, 420), (1, 440)])
def test_chance_spreads_retries_by_a_tenth_and_only_later(chance: float, wait: int) -> None:
    assert next_attempt("remote", BIRTH, BIRTH, chance) - BIRTH == wait


def test_message_born_under_a_clock_that_was_ahead_is_not_held_for_as_long() -> None:
    assert next_attempt("remote", BIRTH + 365 * 86400, BIRTH, 0) == BIRTH + 400


def test_work_of_a_lost_agent_comes_again_soon_then_ever_later() -> None:
    waits = [after_lost_agent("remote", BIRTH, BIRTH, attempts, 0) - BIRTH for attempts in range(8)]
    assert waits == [5, 10, 20, 40, 80, 160, 320, 400]
    old = BIRTH - 10**8
    assert after_lost_agent("remote", old, BIRTH, 100, 0) - BIRTH == 5 << 10
