"""The file of bans: written at once when that is seldom, and together when it is not."""

import asyncio
from pathlib import Path

from paperpath.guard.keeping import Keeping
from paperpath.wire.guard import BanView


def view(number: int) -> BanView:
    return BanView(f"192.0.2.{number}", 1, 0, "x", "guard", 1, 0, ())


class Book:
    """Something to keep, and how often it was asked for."""

    def __init__(self) -> None:
        self.bans: list[BanView] = []
        self.asked = 0

    def kept(self) -> tuple[BanView, ...]:
        self.asked += 1
        return tuple(self.bans)


async def test_a_flood_is_written_together_and_its_end_is_not_lost(tmp_path: Path) -> None:
    book, errors = Book(), list[str]()
    keeping = Keeping(str(tmp_path / "kept"), tuple[BanView, ...], book.kept, errors.append, pause_least_s=0.05)
    for flood in (range(100), range(100, 200)):
        before = book.asked
        for number in flood:
            book.bans.append(view(number))
            keeping.save_soon()
        assert book.asked - before <= 1, "the first is written at once"
        while keeping.read() != tuple(book.bans):
            await asyncio.sleep(0)
        assert book.asked - before <= 2
    assert not errors
