"""qmail's table of hosts that did not answer lately, ``queue/lock/tcpto`` (qmail-interfaces 12.6)."""

from paperpath.system import helpers

TABLE = "queue/lock/tcpto"
TABLE_BYTES = 1024

_RECORD_BYTES = 16
_AVOIDED_FROM = 2
_COUNTED_APART_S = 120
_COUNT_MOST = 10
_COUNT_WEIGHS_S = 1024


class Table:
    """The table of one qmail home.  What cannot be read or written means that nothing is known."""

    __slots__ = ("_file", "_was_there")

    def __init__(self, home: str) -> None:
        self._file = f"{home}/{TABLE}"
        self._was_there = False

    def is_avoided(self, address: bytes, now: int, pid: int) -> bool:
        """Tell whether an address (4 bytes) timed out so lately that it is not to be tried."""
        self._was_there = False
        try:
            table = helpers.read_locked(self._file, TABLE_BYTES)
        except OSError:
            return False
        record = next((record for record in _records(table) if record[:4] == address), None)
        self._was_there = record is not None
        return record is not None and record[4] >= _AVOIDED_FROM and now - _time(record) < (60 + (pid & 31)) << 6

    def note(self, address: bytes, now: int, *, timed_out: bool) -> None:
        """Note what came of trying the address that was last asked about."""
        if timed_out or self._was_there:
            try:
                helpers.change_locked(self._file, TABLE_BYTES, lambda table: change(table, address, now, timed_out))
            except OSError:
                pass


def change(table: bytes, address: bytes, now: int, timed_out: bool) -> tuple[int, bytes] | None:
    """Return where the table changes, and the bytes that go there; None: it stays as it is."""
    records = _records(table)
    for number, record in enumerate(records):
        if record[:4] == address:
            return _changed(number, record, now, timed_out)
    if not timed_out or not records:
        return None
    # The first that is unused, else the one whose time and count say least.
    unused = [number for number, record in enumerate(records) if not record[4]]
    oldest = min(range(len(records)), key=lambda at: _time(records[at]) + records[at][4] * _COUNT_WEIGHS_S)
    number = unused[0] if unused else oldest
    return number * _RECORD_BYTES, _written(records[number], address, 1, now)


def _changed(number: int, record: bytes, now: int, timed_out: bool) -> tuple[int, bytes] | None:
    at = number * _RECORD_BYTES
    if not timed_out:
        return at, record[:4] + b"\0" + record[5:]
    if record[4] and now < _time(record) + _COUNTED_APART_S:
        return None
    return at, _written(record, record[:4], min(record[4] + 1, _COUNT_MOST), now)


def _written(record: bytes, address: bytes, count: int, now: int) -> bytes:
    return address + bytes([count]) + record[5:8] + (now & 0xFFFF_FFFF).to_bytes(4, "little") + record[12:]


def _records(table: bytes) -> list[bytes]:
    return [table[at : at + _RECORD_BYTES] for at in range(0, len(table) - _RECORD_BYTES + 1, _RECORD_BYTES)]


def _time(record: bytes) -> int:
    return int.from_bytes(record[8:12], "little")


def describe(table: bytes, now: int) -> bytes:
    """Return a line for each host that timed out; ``now`` in seconds since the epoch."""
    lines = []
    for record in _records(table):
        if record[4]:
            address, age = ".".join(map(str, record[:4])), now - _time(record)
            lines.append(f"{address} timed out {age} seconds ago; # recent timeouts: {record[4]}\n")
    return "".join(lines).encode()
