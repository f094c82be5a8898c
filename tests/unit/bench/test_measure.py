"""Waiting for counts, and counting."""

import os
from pathlib import Path

import pytest

from bench import measure
from bench.errors import BenchError


def test_waiting_ends_when_the_count_is_reached() -> None:
    counts = iter([0, 0, 1, 3, 99])
    measure.wait_for_count(lambda: next(counts), 3, 60, "files")
    assert next(counts) == 99


def test_waiting_in_vain_says_how_far_it_came() -> None:
    with pytest.raises(BenchError, match="files: 2 of 3 after 0 s"):
        measure.wait_for_count(lambda: 2, 3, 0, "files")


def test_quiet_is_not_the_end_while_something_is_queued() -> None:
    queued = iter([True, True, False])
    measure.wait_for_quiet(lambda: 7, 0, lambda: not next(queued), 60)
    assert next(queued, None) is None


def test_folder_that_is_not_there_holds_nothing(tmp_path: Path) -> None:
    assert measure.count_files(tmp_path / "new") == 0
    (tmp_path / "a").touch()
    assert measure.count_files(tmp_path) == 1


def test_own_memory_is_found_by_command_line() -> None:
    assert measure.tree_pss_bytes(os.getpid(), "python") > 1_000_000


def test_unknown_command_is_an_error() -> None:
    with pytest.raises(BenchError, match="runs no-such-program"):
        measure.tree_pss_bytes(os.getpid(), "no-such-program")
