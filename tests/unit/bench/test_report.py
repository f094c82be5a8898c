"""The page."""

import json

from bench.bars import TIMES
from bench.report import render
from bench.results import Results, Sample


def _results() -> Results:
    results = Results(
        date="2026-01-02 03:04 UTC",
        command="make bench",
        turns=3,
        scale={"messages": 5000},
        machine={"processor": "a slow one, 2 cores"},
    )
    for turn, (ours, theirs) in enumerate([(2600.0, 500.0), (3000.0, 520.0), (2700.0, 540.0)]):
        for server, rate in (("Paperpath", ours), ("Postfix", theirs)):
            figures = {"accepted_per_s": rate}
            results.samples.append(Sample(scenario="accept", server=server, turn=turn, figures=figures))
    return results


def _row(page: str, begin: str) -> list[str]:
    line = next(line for line in page.splitlines() if line.startswith(f"| {begin}"))
    return [cell.strip() for cell in line.strip("|").split("|")]


def test_bar_row_compares_the_medians() -> None:
    row = _row(render(_results()), "accept and commit, against Postfix")
    assert row[1:] == [f"at least 5{TIMES}", f"at least 8{TIMES}", f"5.19{TIMES}", "bar met"]


def test_what_was_not_measured_says_so() -> None:
    assert _row(render(_results()), "accept to synced Maildir")[-2:] == ["", "not measured"]


def test_numbers_show_median_and_spread() -> None:
    row = _row(render(_results()), "accept and commit |")
    assert row[1:] == ["2,700/s (2,600 to 3,000)", "520/s (500 to 540)"]


def test_page_says_on_what_when_and_how() -> None:
    page = render(_results())
    for part in ("a slow one, 2 cores", "2026-01-02 03:04 UTC", "    make bench\n", "5,000 messages", "Median of 3"):
        assert part in page


def test_failures_are_told_only_when_there_are_some() -> None:
    results = _results()
    assert "Not measured:" not in render(results)
    results.failures.append("relay, Postfix, turn 1: out of paper")
    assert "- relay, Postfix, turn 1: out of paper\n" in render(results)


def test_json_keeps_every_single_figure() -> None:
    kept = json.loads(_results().as_json())
    assert [sample["figures"]["accepted_per_s"] for sample in kept["samples"]] == [2600, 500, 3000, 520, 2700, 540]
    assert kept["machine"] == {"processor": "a slow one, 2 cores"}
