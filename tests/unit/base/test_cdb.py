"""The constant database: against a reader of its own, against the package's programs, against hostile files."""

import mmap
import subprocess
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from paperpath.base.cdb import Cdb, build
from tests.peers import require_peer

PAIRS = st.lists(st.tuples(st.binary(max_size=12), st.binary(max_size=30)), max_size=40)


def number(data: bytes, at: int) -> int:
    return int.from_bytes(data[at : at + 4], "little")


def plain_find(data: bytes, key: bytes) -> bytes | None:
    """Look a key up as the format's description says, word by word, believing the file."""
    h = 5381
    for byte in key:
        h = (((h << 5) + h) ^ byte) % 2**32
    table, slots = number(data, 8 * (h % 256)), number(data, 8 * (h % 256) + 4)
    for probe in range(slots):
        slot = table + 8 * ((h // 256 + probe) % slots)
        record = number(data, slot + 4)
        if record == 0:
            return None
        key_end = record + 8 + number(data, record)
        if number(data, slot) == h and data[record + 8 : key_end] == key:
            return data[key_end : key_end + number(data, record + 4)]
    return None


@given(PAIRS)
def test_what_goes_in_comes_out_first_of_a_key_first(pairs: list[tuple[bytes, bytes]]) -> None:
    data = build(pairs)
    first = dict(reversed(pairs))  # of equal keys the first counts
    assert {key: Cdb(data).find(key) for key in first} == first
    assert {key: plain_find(data, key) for key in first} == first
    assert list(Cdb(data)) == pairs


@given(PAIRS, st.binary(max_size=12))
def test_what_did_not_go_in_is_not_found(pairs: list[tuple[bytes, bytes]], key: bytes) -> None:
    assert (Cdb(build(pairs)).find(key) is None) == (key not in dict(pairs))


def test_an_empty_file_is_its_header() -> None:
    assert build([]) == (2048).to_bytes(4, "little").ljust(8, b"\0") * 256


def test_the_bytes_of_one_record() -> None:
    data = build([(b"", b"x")])
    table = 5381 % 256
    record = b"\0\0\0\0\1\0\0\0x"
    assert data[2048:2057] == record
    assert data[2057:] == bytes(8) + (5381).to_bytes(4, "little") + (2048).to_bytes(4, "little")
    assert data[: 8 * table] == b"\x09\x08\0\0\0\0\0\0" * table
    assert data[8 * table : 8 * table + 8] == b"\x09\x08\0\0\2\0\0\0"
    assert data[8 * table + 8 : 2048] == b"\x19\x08\0\0\0\0\0\0" * (255 - table)


def test_a_mapped_file(tmp_path: Path) -> None:
    path = tmp_path / "cdb"
    path.write_bytes(build([(b"a", b"1"), (b"b", b"2")]))
    with path.open("rb") as file, mmap.mmap(file.fileno(), 0, prot=mmap.PROT_READ) as mapped:
        assert Cdb(mapped).find(b"b") == b"2"


@given(PAIRS.filter(bool), st.data())
def test_spoiled_files_end_in_an_answer_or_a_value_error(pairs: list[tuple[bytes, bytes]], data: st.DataObject) -> None:
    file = bytearray(build(pairs))
    for at in data.draw(st.lists(st.integers(0, len(file) - 1), min_size=1, max_size=8)):
        file[at] = data.draw(st.integers(0, 255))
    spoiled = bytes(file[: data.draw(st.integers(0, len(file)))])
    for question in (lambda: [Cdb(spoiled).find(key) for key, _ in pairs], lambda: list(Cdb(spoiled))):
        try:
            question()
        except ValueError as error:
            assert str(error).startswith("not a cdb file")


@pytest.mark.parametrize(
    ("at", "number", "reason"),
    [
        (8 * 5 + 4, 0xFFFFFFFF, "hash table reaches beyond"),
        (8 * 5, 0xFFFFFFF0, "hash table reaches beyond"),
        (2048, 0xFFFFFFFF, "record reaches beyond"),
        (2052, 0xFFFFFFFF, "record reaches beyond"),
        (2057 + 8 + 4, 0xFFFFFFFE, "position lies beyond"),
    ],
)
def test_a_hostile_number_is_named(at: int, number: int, reason: str) -> None:
    file = bytearray(build([(b"", b"x")]))
    file[at : at + 4] = number.to_bytes(4, "little")
    with pytest.raises(ValueError, match=reason):
        Cdb(bytes(file)).find(b"")


def test_a_full_table_ends_the_search() -> None:
    file = bytearray(build([(b"", b"x")]))
    file[2057:2065] = file[2065:2073] = (6).to_bytes(4, "little") + (2048).to_bytes(4, "little")
    assert Cdb(bytes(file)).find(b"") is None


def test_a_slot_without_position_is_free_whatever_its_hash() -> None:
    file = bytearray(build([(b"", b"x")]))
    file[2057 + 8 :] = (5381).to_bytes(4, "little") + bytes(4)
    file[0:8] = bytes(8)  # what would be read as a record of no key and no data
    assert Cdb(bytes(file)).find(b"") is None


def test_no_data_from_behind_the_records() -> None:
    file = bytearray(build([(b"a", b"x")]))
    file[2052] = 2
    with pytest.raises(ValueError, match="record reaches beyond the last"):
        list(Cdb(bytes(file)))


@pytest.mark.parametrize("end", [0, 2047, 0xFFFFFFFF])
def test_no_walk_past_the_records(end: int) -> None:
    file = bytearray(build([(b"a", b"x")]))
    file[0:4] = end.to_bytes(4, "little")
    with pytest.raises(ValueError, match="first hash table"):
        list(Cdb(bytes(file)))


def test_a_short_file_is_none() -> None:
    with pytest.raises(ValueError, match="shorter than its header"):
        Cdb(bytes(2047))


@given(PAIRS)
def test_the_same_bytes_as_tinycdb(tmp_path_factory: pytest.TempPathFactory, pairs: list[tuple[bytes, bytes]]) -> None:
    cdb = require_peer("cdb")
    made = tmp_path_factory.mktemp("cdb") / "made"
    text = b"".join(b"+%d,%d:%b->%b\n" % (len(key), len(data), key, data) for key, data in pairs) + b"\n"
    subprocess.run([cdb, "-c", "-t", "-", str(made)], input=text, check=True)
    assert made.read_bytes() == build(pairs)
