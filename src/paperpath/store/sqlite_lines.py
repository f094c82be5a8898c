"""Where recipients wait, one line for each destination, in the SQLite engine.

A destination has a row in `destination` only while somebody waits there.  The row's ``due`` may be too early
(the first who waited was held or removed) but is never too late; whoever reads it corrects it, so that the
hot path and the operator's acts need not.
"""

from paperpath.store import sqlite_schema as sql
from paperpath.store.contract import DestinationDue
from paperpath.store.sqlite_database import Database

PLACES_MOST = 50_000
"""Destinations whose rows are remembered: about 10 MB."""


class Lines:
    """The table `destination`, and what is remembered of it."""

    def __init__(self, database: Database) -> None:
        self._database = database
        self._places: dict[tuple[str, str], tuple[int, int]] = {}  # destination -> its row's id and due

    def forget(self) -> None:
        """Look again: rows were changed behind our back, or a transaction was rolled back."""
        self._places.clear()

    def place(self, channel: str, name: str) -> tuple[int, int] | None:
        """Return the id and the due time of a destination's row; None where nobody waits."""
        place = self._places.get((channel, name))
        if place is None:
            place = self._database.one(sql.FIND_DESTINATION, (channel, name))
            if place is not None:
                self._remember(channel, name, place)
        return place

    def _remember(self, channel: str, name: str, place: tuple[int, int]) -> None:
        if len(self._places) >= PLACES_MOST:
            self._places.clear()
        self._places[channel, name] = place

    def join(self, channel: str, name: str, due: int) -> int:
        """Return the id of a destination's row, made or dated back for somebody who waits until ``due``."""
        place = self.place(channel, name)
        if place is None:
            row = self._database.insert(sql.ADD_DESTINATION, (channel, name, due))
        elif place[1] <= due:
            return place[0]
        else:
            row = place[0]
            self._database.run(sql.SET_DESTINATION_DUE, (due, row))
        self._remember(channel, name, (row, due))
        return row

    def correct(self, channel: str, name: str, row: int, due: int) -> int | None:
        """Make a row's due time, ``due`` so far, exact and return it; drop a row where nobody waits."""
        first: int | None = self._database.one(sql.FIRST_DUE, (row,))
        if first is None:
            self._database.run(sql.DROP_DESTINATION, (row,))
            self._places.pop((channel, name), None)
        elif first != due:
            self._database.run(sql.SET_DESTINATION_DUE, (first, row))
            self._remember(channel, name, (row, first))
        return first

    def due(
        self, now: int, most: int, channels: frozenset[str], skip: frozenset[tuple[str, str]]
    ) -> list[DestinationDue]:
        """Return up to ``most`` destinations that have somebody due, longest due first."""
        while True:
            rows = self._first_rows(now, most, channels, skip)
            # Each round mends rows, so this ends; a mended row may belong further back, or nowhere.
            wrong = [row for row, channel, name, due in rows if self.correct(channel, name, row, due) != due]
            if not wrong:
                return [DestinationDue(channel, name, due) for _, channel, name, due in rows]

    def _first_rows(
        self, now: int, most: int, channels: frozenset[str], skip: frozenset[tuple[str, str]]
    ) -> list[tuple[int, str, str, int]]:
        found: list[tuple[int, str, str, int]] = []
        cursor = self._database.cursor(sql.DESTINATIONS_DUE, (now,))
        while len(found) < most and (row := cursor.fetchone()) is not None:
            if row[1] in channels and (row[1], row[2]) not in skip:
                found.append(row)
        cursor.close()
        return found

    def next_due(self, now: int) -> int | None:
        """Return when the next destination that has nobody due at ``now`` will have."""
        while (first := self._database.one(sql.NEXT_DESTINATION, (now,))) is not None:
            row, channel, name, due = first
            if self.correct(channel, name, row, due) == due:
                return int(due)
        return None
