"""The constant database of qmail and its relatives (reference 4.3): `users/cdb`, `morercpthosts.cdb`, alias files.

A file is 256 pairs of position and slot count, the records (key length, data length, key, data), then 256 hash
tables of as many slots as twice the records in them; a slot is a hash and a record's position, 0 where it is
free.  All numbers are 32 bits, little end first.  A file is hostile until shown otherwise: every position is held
against its size, and the worst a made-up one costs is a walk over its own bytes and a ValueError.
"""

from __future__ import annotations

import struct

TYPE_CHECKING = False
if TYPE_CHECKING:  # programs that live for a millisecond import this: annotations must cost them nothing
    from collections.abc import Iterable, Iterator
    from typing import Protocol

    class Bytes(Protocol):
        """What a file's content comes in: ``bytes``, or a mapping of it."""

        def __len__(self) -> int: ...
        def __getitem__(self, part: slice, /) -> bytes: ...


_PAIR = struct.Struct("<LL")
_HEADER_BYTES = 2048
_TABLES = 256
_MOST_BYTES = 0xFFFFFFFF


def build(pairs: Iterable[tuple[bytes, bytes]]) -> bytes:
    """Return the file of these keys and data, in their order; of equal keys the first is found.

    Raises ValueError where it would be larger than its positions can say (4 GiB).
    """
    records = bytearray()
    tables: list[list[tuple[int, int]]] = [[] for _ in range(_TABLES)]
    for key, data in pairs:
        code = _hash(key)
        tables[code & 255].append((code, _HEADER_BYTES + len(records)))
        records += _PAIR.pack(len(key), len(data)) + key + data
        if len(records) > _MOST_BYTES:
            raise ValueError("too much for one cdb file: 4 GiB at most")
    header, slots = bytearray(), bytearray()
    for table in tables:
        header += _PAIR.pack(_HEADER_BYTES + len(records) + len(slots), 2 * len(table))
        slots += _table(table)
        if _HEADER_BYTES + len(records) + len(slots) > _MOST_BYTES:
            raise ValueError("too much for one cdb file: 4 GiB at most")
    return bytes(header + records + slots)


class Cdb:
    """A file's records: to look up, or to go through in their order."""

    __slots__ = ("_data", "_size")

    def __init__(self, data: Bytes) -> None:
        self._data, self._size = data, len(data)
        if self._size < _HEADER_BYTES:
            raise ValueError("not a cdb file: shorter than its header")

    def find(self, key: bytes) -> bytes | None:
        """Return the data of the first record of this key, or None.  Raises ValueError."""
        code = _hash(key)
        start, slots = self._pair(8 * (code & 255))
        if not slots:
            return None
        if start + 8 * slots > self._size:
            raise ValueError("not a cdb file: a hash table reaches beyond its end")
        first = (code >> 8) % slots
        for step in range(slots):
            found, position = self._pair(start + 8 * ((first + step) % slots))
            if not position:
                return None
            if found == code and (value := self._value(position, key)) is not None:
                return value
        return None

    def __iter__(self) -> Iterator[tuple[bytes, bytes]]:
        """Yield all records.  Raises ValueError."""
        position, end = _HEADER_BYTES, self._pair(0)[0]
        if not _HEADER_BYTES <= end <= self._size:
            raise ValueError("not a cdb file: its first hash table is not in it")
        while position < end:
            key_bytes, data_bytes = self._pair(position)
            middle = position + 8 + key_bytes
            if middle + data_bytes > end:
                raise ValueError("not a cdb file: a record reaches beyond the last")
            yield self._data[position + 8 : middle], self._data[middle : middle + data_bytes]
            position = middle + data_bytes

    def _value(self, position: int, key: bytes) -> bytes | None:
        """Return the data of the record at a position, or None where its key is another one."""
        key_bytes, data_bytes = self._pair(position)
        middle = position + 8 + key_bytes
        if middle + data_bytes > self._size:
            raise ValueError("not a cdb file: a record reaches beyond its end")
        if key_bytes != len(key) or self._data[position + 8 : middle] != key:
            return None
        return self._data[middle : middle + data_bytes]

    def _pair(self, position: int) -> tuple[int, int]:
        if position + 8 > self._size:
            raise ValueError("not a cdb file: a position lies beyond its end")
        first, second = _PAIR.unpack(self._data[position : position + 8])
        return first, second


def _hash(key: bytes) -> int:
    code = 5381
    for byte in key:
        code = (code * 33 & 0xFFFFFFFF) ^ byte
    return code


def _table(entries: list[tuple[int, int]]) -> bytes:
    slots = [(0, 0)] * (2 * len(entries))
    for code, position in entries:
        at = (code >> 8) % len(slots)
        while slots[at][1]:
            at = (at + 1) % len(slots)
        slots[at] = code, position
    return b"".join(_PAIR.pack(code, position) for code, position in slots)
