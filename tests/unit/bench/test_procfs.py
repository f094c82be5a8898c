"""What /proc says."""

import pytest

from bench import procfs

STAT = "cpu  100 20 30 4000 500 6 7 8000 9 10\ncpu0 1 2 3 4 5 6 7 8 9 10\nintr 12345\n"
ROLLUP = "55d0-7ffd ---p 00000000 00:00 0    [rollup]\nRss:  9000 kB\nPss:  1234 kB\nPss_Dirty:  7 kB\n"


def test_waiting_and_stolen_time_is_not_work() -> None:
    assert procfs.busy_ticks(STAT) == 100 + 20 + 30 + 6 + 7


def test_another_file_is_not_taken_for_stat() -> None:
    with pytest.raises(ValueError, match="not the text"):
        procfs.busy_ticks("processor : 0\n")


def test_proportional_set_size_in_bytes() -> None:
    assert procfs.pss_bytes(ROLLUP) == 1234 * 1024


def test_rollup_of_a_kernel_thread_is_refused() -> None:
    with pytest.raises(ValueError, match="no Pss"):
        procfs.pss_bytes("")


@pytest.mark.parametrize("name", ["master", "(sd-pam)", "a) b (c", "x ) S 99"])
def test_parent_is_found_whatever_the_name(name: str) -> None:
    assert procfs.parent_of(f"42 ({name}) S 7 42 42 0 -1") == 7


def test_tree_holds_descendants_and_nobody_else() -> None:
    parents = {1: 0, 10: 1, 13: 12, 11: 10, 12: 11, 20: 1, 21: 20}
    assert procfs.tree(parents, [10]) == {10, 11, 12, 13}
    assert procfs.tree(parents, [10, 21]) == {10, 11, 12, 13, 21}
