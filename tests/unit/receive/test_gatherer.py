"""Content while it arrives: where it lies, and what is left when it is dropped."""

import os
from pathlib import Path

import pytest

from paperpath.base.limits import HOPS_MOST, INLINE_CONTENT_BYTES
from paperpath.receive import gatherer as gatherer_module
from paperpath.receive.gatherer import Gatherer


def gathered(folder: Path, *parts: bytes) -> Gatherer:
    gatherer = Gatherer(str(folder))
    for part in parts:
        gatherer.add(part)
    return gatherer


@pytest.mark.parametrize("part_bytes", [1000, 65_536, INLINE_CONTENT_BYTES - 1, INLINE_CONTENT_BYTES, 1_000_000])
@pytest.mark.parametrize("more", [-1, 0, 1, INLINE_CONTENT_BYTES, 5 * INLINE_CONTENT_BYTES])
def test_content_is_inline_as_long_as_it_fits_a_frame(tmp_path: Path, part_bytes: int, more: int) -> None:
    whole = os.urandom(INLINE_CONTENT_BYTES + more)
    gatherer = gathered(tmp_path, *(whole[at : at + part_bytes] for at in range(0, len(whole), part_bytes)))
    content, descriptor = gatherer.finish()
    assert gatherer.size == len(whole)
    if more <= 0:
        assert (content, descriptor) == (whole, None)
    else:
        assert descriptor is not None
        assert (content, os.pread(descriptor, len(whole) + 1, 0)) == (b"", whole)
    assert not list(tmp_path.iterdir())
    gatherer.drop()
    gatherer.drop()


def test_small_content_needs_no_folder() -> None:
    assert gathered(Path("/nowhere"), b"a", b"b").finish() == (b"ab", None)
    with pytest.raises(OSError):
        gathered(Path("/nowhere"), bytes(INLINE_CONTENT_BYTES + 1))


def test_dropped_content_leaves_no_descriptor(tmp_path: Path) -> None:
    gatherer = gathered(tmp_path, bytes(INLINE_CONTENT_BYTES + 1))
    _, descriptor = gatherer.finish()
    assert descriptor is not None
    gatherer.drop()
    with pytest.raises(OSError):
        os.fstat(descriptor)


@pytest.mark.parametrize("body_bytes", [0, 10 * INLINE_CONTENT_BYTES])
def test_hops_are_counted_wherever_the_content_lies(tmp_path: Path, body_bytes: int) -> None:
    for hops, looping in ((HOPS_MOST - 1, False), (HOPS_MOST, True)):
        gatherer = gathered(tmp_path, b"Received: x\n" * hops + b"\n", bytes(body_bytes))
        content, _ = gatherer.finish()
        assert gatherer.is_looping(content) == looping
        gatherer.drop()


def test_where_memory_runs_short_small_messages_wait_in_files(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    before = gatherer_module._Memory.held
    monkeypatch.setattr(gatherer_module, "HELD_MOST_BYTES", before + 1_000_000)
    whole = os.urandom(100_000)
    gatherers = [gathered(tmp_path, *(whole[at : at + 10_000] for at in range(0, 100_000, 10_000))) for _ in range(100)]
    assert gatherer_module._Memory.held - before < 1_000_000 + 100 * 20_000
    for gatherer in gatherers:
        content, descriptor = gatherer.finish()
        assert (content, descriptor) == (whole, None), "what fits a frame travels in it all the same"
        assert not gatherer.is_looping(content)
        gatherer.drop()
    assert gatherer_module._Memory.held == before


def test_the_last_descriptors_are_left_for_others(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(gatherer_module, "descriptors_most", lambda: 55)
    made: list[Gatherer] = []
    with pytest.raises(OSError, match="Too many open files"):
        for _ in range(60):
            made.append(gathered(tmp_path, bytes(INLINE_CONTENT_BYTES + 1)))
    for gatherer in made:
        gatherer.drop()


def test_where_memory_runs_short_the_smallest_still_need_no_file(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(gatherer_module, "HELD_MOST_BYTES", 0)
    gatherer = gathered(Path("/nowhere"), bytes(1000), bytes(1000))
    assert gatherer.finish() == (bytes(2000), None)
    gatherer.drop()
