"""Bars, aims and verdicts."""

import pytest

from bench.bars import BARS, Bar, judge, medians

FASTER = Bar(what="speed", figure="per_s", peer="Postfix", at_least=2, aim=4)
SMALLER = Bar(what="memory", figure="bytes", peer=None, at_least=200, aim=120, less_is_better=True, scale=1e6)


def _words(bar: Bar, ours: float, theirs: float) -> str:
    return judge(bar, {("Paperpath", bar.figure): ours, ("Postfix", bar.figure): theirs}).words


@pytest.mark.parametrize(
    ("ours", "words"),
    [(399, "bar met"), (400, "aim met"), (200, "bar met"), (199, "**not met**"), (9000, "aim met")],
)
def test_more_is_better(ours: float, words: str) -> None:
    assert _words(FASTER, ours, 100) == words


@pytest.mark.parametrize(
    ("ours", "words"),
    [(120e6, "aim met"), (120.1e6, "bar met"), (200e6, "bar met"), (200.1e6, "**not met**"), (0, "aim met")],
)
def test_less_is_better(ours: float, words: str) -> None:
    assert _words(SMALLER, ours, 1) == words


def test_ratio_is_ours_to_theirs() -> None:
    assert judge(FASTER, {("Paperpath", "per_s"): 300.0, ("Postfix", "per_s"): 100.0}).measured == 3


@pytest.mark.parametrize("middle", [{}, {("Paperpath", "per_s"): 300.0}, {("Postfix", "per_s"): 100.0}])
def test_half_a_comparison_is_none(middle: dict[tuple[str, str], float]) -> None:
    verdict = judge(FASTER, middle)
    assert verdict.measured is None
    assert verdict.words == "not measured"


def test_median_ignores_the_one_bad_turn() -> None:
    assert medians({("Postfix", "per_s"): [500, 2, 510], ("Postfix", "none"): []}) == {("Postfix", "per_s"): 500}


@pytest.mark.parametrize("bar", BARS, ids=lambda bar: bar.what)
def test_an_aim_demands_more_than_its_bar(bar: Bar) -> None:
    assert bar.aim < bar.at_least if bar.less_is_better else bar.aim > bar.at_least
