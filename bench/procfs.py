"""What /proc says, as numbers: parsing only, the reading is in `measure`."""

from collections.abc import Iterable, Mapping

KIB = 1024

# The columns of the "cpu" line of /proc/stat that are work: user, nice, system, irq, softirq.  Idle and iowait are
# not, steal belongs to other machines, and guest time is contained in user.
_BUSY_COLUMNS = (0, 1, 2, 5, 6)


def busy_ticks(stat: str) -> int:
    """Return the clock ticks that all processors together have worked since boot, from /proc/stat."""
    first = stat.split("\n", 1)[0].split()
    if first[0] != "cpu":
        raise ValueError("not the text of /proc/stat")
    columns = [int(column) for column in first[1:]]
    return sum(columns[index] for index in _BUSY_COLUMNS)


def pss_bytes(smaps_rollup: str) -> int:
    """Return the proportional set size of one process, from /proc/PID/smaps_rollup."""
    for line in smaps_rollup.splitlines():
        if line.startswith("Pss:"):
            return int(line.split()[1]) * KIB
    raise ValueError("no Pss line")


def parent_of(stat: str) -> int:
    """Return the parent's process id, from /proc/PID/stat; the name in there may hold spaces and parentheses."""
    return int(stat[stat.rindex(")") + 1 :].split()[1])


def tree(parents: Mapping[int, int], roots: Iterable[int]) -> frozenset[int]:
    """Return `roots` and all their descendants, given each process's parent."""
    found = set(roots)
    grown = True
    while grown:
        more = {pid for pid, parent in parents.items() if parent in found} - found
        found |= more
        grown = bool(more)
    return frozenset(found)
