"""Reading smtp-sink's counters."""

from pathlib import Path

import pytest

from bench.sink import RunningSink


@pytest.mark.parametrize(
    ("text", "count"),
    [
        (b"", 0),
        (b"sess=1 quit=0 mesg=0\r", 0),
        (b"sess=3 quit=2 mesg=2\rsess=3 quit=3 mesg=3\r", 3),
        (b"sess=9 quit=8 mesg=8\rsess=19 quit=18 mesg=1", 8),
        (b"sess=9 quit=8 mesg=8\r" * 100 + b"sess=99 quit=99 mesg=99\r", 99),
    ],
    ids=["nothing yet", "no mail", "the last counts", "half a line", "long file"],
)
def test_last_whole_counter_counts(tmp_path: Path, text: bytes, count: int) -> None:
    counters = tmp_path / "counters"
    counters.write_bytes(text)
    assert RunningSink(port=1, pid=1, recipient="", counters=counters).delivered() == count
