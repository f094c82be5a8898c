"""Clocks, processor time, memory and waiting."""

import os
import time
from collections.abc import Callable
from pathlib import Path
from typing import Final

from bench import procfs
from bench.errors import BenchError

_TICKS_PER_S: Final = os.sysconf("SC_CLK_TCK")


class CpuMeter:
    """Processor time of the whole machine, minus what it uses when nothing is asked of it."""

    def __init__(self, idle_cores: float) -> None:
        """Begin to count; `idle_cores` is what `idle_cores` measured, in processors."""
        self._idle_cores = idle_cores
        self._began_s = time.monotonic()
        self._began_ticks = _busy_ticks()

    def used_s(self) -> float:
        """Return the processor seconds used since the beginning, load generator included."""
        busy_s = (_busy_ticks() - self._began_ticks) / _TICKS_PER_S
        return max(0.0, busy_s - self._idle_cores * (time.monotonic() - self._began_s))


def idle_cores(for_s: float) -> float:
    """Watch the machine for a while and return how many processors are busy with other things."""
    began_s, began_ticks = time.monotonic(), _busy_ticks()
    time.sleep(for_s)
    return (_busy_ticks() - began_ticks) / _TICKS_PER_S / (time.monotonic() - began_s)


def tree_pss_bytes(root: int, command: str = "") -> int:
    """Return the proportional set size of process `root` and all its descendants together.

    With `command`, only of those that have it in their command line; raises BenchError where none has.
    """
    sizes = [
        procfs.pss_bytes(rollup)
        for pid in procfs.tree(_parents(), [root])
        if command in _read(pid, "cmdline") and (rollup := _read(pid, "smaps_rollup"))
    ]
    if not sizes:
        raise BenchError(f"no process under {root} runs {command}")
    return sum(sizes)


def count_files(folder: Path) -> int:
    """Return how many entries `folder` has; none when it is not there yet."""
    try:
        with os.scandir(folder) as entries:
            return sum(1 for _ in entries)
    except FileNotFoundError:
        return 0


def wait_for_count(count: Callable[[], int], wanted: int, within_s: float, what: str) -> float:
    """Wait until `count` returns `wanted` or more; return the moment (monotonic) that this was seen.

    Looking costs the machine under test, so it looks the less often the more is missing.  Raises BenchError after
    `within_s` seconds.
    """
    began_s = time.monotonic()
    first = count()
    while True:
        have, now_s = count(), time.monotonic()
        if have >= wanted:
            return now_s
        if now_s - began_s > within_s:
            raise BenchError(f"{what}: {have} of {wanted} after {within_s:.0f} s")
        rate = (have - first) / max(now_s - began_s, 1e-9)
        left_s = (wanted - have) / rate if rate else 0.25
        time.sleep(min(max(left_s / 2, 0.005), 0.25))


def wait_for_quiet(count: Callable[[], int], quiet_s: float, is_done: Callable[[], bool], within_s: float) -> float:
    """Wait until `count` stands still for `quiet_s` and `is_done` agrees; return when it last moved (monotonic)."""
    began_s = moved_s = asked_s = time.monotonic()
    last = count()
    while True:
        have, now_s = count(), time.monotonic()
        if have != last:
            last, moved_s = have, now_s
        elif now_s - max(moved_s, asked_s) > quiet_s:
            if is_done():
                return moved_s
            asked_s = time.monotonic()
        if now_s - began_s > within_s:
            raise BenchError(f"the queue is not empty after {within_s:.0f} s")
        time.sleep(0.02)


def _busy_ticks() -> int:
    return procfs.busy_ticks(Path("/proc/stat").read_text())


def _parents() -> dict[int, int]:
    stats = {int(entry): _read(int(entry), "stat") for entry in os.listdir("/proc") if entry.isdigit()}
    return {pid: procfs.parent_of(stat) for pid, stat in stats.items() if stat}


def _read(pid: int, name: str) -> str:
    """Return what /proc says about a process; nothing when it has ended meanwhile."""
    try:
        return Path(f"/proc/{pid}/{name}").read_text(errors="replace")
    except (FileNotFoundError, ProcessLookupError):
        return ""
