"""One SQLite connection with our rules: sole owner, synced commits, and three words for what can go wrong.

`apsw.FullError` becomes StoreFull: SQLite has rolled back or we do, and everything goes on.  What says that
the disk or the file cannot be trusted becomes StoreBroken, and from then on every call here raises it: after
a failed sync nobody knows what the disk holds, and asking again proves nothing.
"""

from collections.abc import Mapping, Sequence
from typing import Any

import apsw

from paperpath.store import sqlite_schema as schema
from paperpath.store.contract import StoreBroken, StoreFull, StoreUnusable
from paperpath.system.growing import grow

Value = int | str | bytes | None
Values = Sequence[Value] | Mapping[str, Value]

_BROKEN = (apsw.IOError, apsw.CorruptError, apsw.NotADBError, apsw.ReadOnlyError, apsw.CantOpenError)


class Database:
    """The connection.  ``open`` comes first; rows are what the statement's own columns say."""

    def __init__(self, path: str) -> None:
        self._path = path
        self._connection: apsw.Connection | None = None
        self._trouble = "the store is not open"
        self._log_pages = 0

    def open(self) -> None:
        """Open or create the file.  Raises StoreUnusable, StoreFull, StoreBroken; the file is closed then."""
        connection = None
        try:
            connection = apsw.Connection(self._path)
            version = schema.prepare(connection)
        except apsw.Error as error:
            if connection is not None:
                connection.close()
            raise self._unopened(error) from error
        if version != schema.VERSION:
            connection.close()
            raise StoreUnusable(
                f"{self._path} has format {version}, this paperpath knows {schema.VERSION}:"
                " run the paperpath that wrote it"
            )
        connection.set_wal_hook(self._note_log_pages)
        self._connection, self._trouble, self._log_pages = connection, "", 0

    def _unopened(self, error: apsw.Error) -> Exception:
        if isinstance(error, apsw.BusyError):
            return StoreUnusable(f"{self._path} is in use: stop the paperpath that has it open")
        if isinstance(error, apsw.CantOpenError):
            return StoreUnusable(f"{self._path} cannot be opened: check the owner and mode of its folder")
        verdict = self.judge(error)
        return verdict if isinstance(verdict, Exception) else error

    def close(self) -> None:
        """Close; the last log pages go into the file first where that can be done."""
        connection, self._connection = self._connection, None
        self._trouble = self._trouble or "the store is closed"
        if connection is not None:
            connection.close()

    # --- statements ----------------------------------------------------------------------------------------

    def cursor(self, statement: str, values: Values = ()) -> apsw.Cursor:
        """Run a statement; its rows are read from what is returned, one by one."""
        if self._connection is None or self._trouble:
            raise StoreBroken(self._trouble)
        return self._connection.execute(statement, values)

    def run(self, statement: str, values: Values = ()) -> None:
        """Run a statement that returns nothing."""
        self.cursor(statement, values)

    def one(self, statement: str, values: Values = ()) -> Any:
        """Return the only row, where it has one column its value; None where there is no row."""
        return self.cursor(statement, values).get

    def all(self, statement: str, values: Values = ()) -> list[Any]:
        """Return every row, as tuples."""
        return self.cursor(statement, values).fetchall()

    def each(self, statement: str, rows: Sequence[Sequence[Value]]) -> int:
        """Run a statement for each of ``rows``; return how many rows of tables it changed in all."""
        if self._connection is None or self._trouble:
            raise StoreBroken(self._trouble)
        if not rows:
            return 0
        before = self._connection.total_changes()
        self._connection.executemany(statement, rows)
        return self._connection.total_changes() - before

    def insert(self, statement: str, values: Values) -> int:
        """Insert a row and return its id."""
        return self.cursor(statement, values).connection.last_insert_rowid()

    # --- transactions --------------------------------------------------------------------------------------

    def roll_back(self, error: BaseException) -> BaseException:
        """Undo the transaction, where there still is one, and return what to raise for ``error``."""
        verdict = self.judge(error)
        if self._connection is not None and self._connection.in_transaction:
            try:
                self._connection.execute("ROLLBACK")
            except apsw.Error as again:
                return self._break(again)
        return verdict

    def judge(self, error: BaseException) -> BaseException:
        """Return what callers shall see of an error; one that is not of the disk stays itself."""
        if isinstance(error, apsw.FullError):
            return StoreFull(f"no room for {self._path}")
        if isinstance(error, _BROKEN):
            return self._break(error)
        return error

    def _break(self, error: BaseException) -> StoreBroken:
        self._trouble = f"{self._path}: {error}"
        return StoreBroken(self._trouble)

    def checkpoint_if_longer(self, pages: int) -> None:
        """Copy the log into the file once it has so many pages.  Without room for that, the log simply goes on."""
        if self._log_pages < pages or self._connection is None:
            return
        self._log_pages = 0
        try:
            self._connection.wal_checkpoint(mode=apsw.SQLITE_CHECKPOINT_PASSIVE)
        except _BROKEN as error:
            raise self._break(error) from error
        except apsw.Error:  # full, busy: the commit before it stands, so nothing may be said to have failed
            pass

    def lengthen_log(self, size: int, step: int) -> bool:
        """Make the log file up to ``step`` bytes longer, to ``size`` at the most; return whether it is still shorter.

        SQLite does not see it: it knows which frames are its own, at a recovery too, and zeros are none.
        """
        if self._connection is None or self._trouble:
            return False
        try:
            return grow(f"{self._path}-wal", size, step)
        except OSError as error:
            raise self._break(error) from error

    def _note_log_pages(self, _connection: apsw.Connection, _schema: str, pages: int) -> int:
        self._log_pages = pages
        return apsw.SQLITE_OK
