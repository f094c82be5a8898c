"""The embedded engine: one SQLite file, one connection, one process.

Guarantee
    The law in `paperpath.store.contract`.  Durability is the write-ahead log, synced at every commit: a
    commit that returned survives a power cut, one that did not leaves no trace.

Strategy
    What a message on its common way needs is done for a whole batch at once, by prepared statements run over
    lists.  Three things are remembered in memory, and none of them is needed to be right: which messages are
    so plain that they can be dropped without looking, where destinations have their rows, and the changes to
    the counters until the commit writes them.  A rollback forgets all three.

Left to others
    Content in files is written and synced by the caller before `accept`; here it is only given up.
"""

import os
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from typing import Any

from paperpath.base.address import VERP_SUFFIX
from paperpath.store import sqlite_look as look
from paperpath.store import sqlite_schema as sql
from paperpath.store.contract import (
    Claimed,
    ClaimedRecipient,
    ContentGone,
    Defer,
    DestinationDue,
    Finish,
    Interrupted,
    NewMessage,
    StoreUnusable,
    Totals,
)
from paperpath.store.sqlite_database import Database, Value
from paperpath.store.sqlite_lines import Lines
from paperpath.store.terms_column import message_terms, packed, recipient_terms
from paperpath.system.files import make_folders_durably
from paperpath.system.removal import remove_if_there
from paperpath.wire.control import MessageView

DATABASE = "queue.sqlite"
CONTENT = "content"

HISTORY_MOST = 50
"""Lines kept for one message: every deferral of a week on qmail's schedule, no more for thousands."""

LAST_MOST = 1000
"""Characters kept of what an attempt came to."""

INTERRUPTED_MOST = 1000


class SqliteStore:
    """`paperpath.store.contract.Store` in ``folder``: `queue.sqlite` and `content/`."""

    def __init__(self, folder: str) -> None:
        self.content_folder = os.path.join(folder, CONTENT)
        self.interrupted = 0
        self._database = Database(os.path.join(folder, DATABASE))
        self._lines = Lines(self._database)
        self._plain: dict[int, int] = {}
        """Messages, with their sizes, of which there is only this to say: their only recipient is under way.

        They have inline content of their own, shared with nobody, and no history: three rows in
        all.  Whatever ends that takes them out of here.  There are at most as many as deliveries under way.
        """
        self._changes = [0, 0, 0, 0]  # as the columns of `total`
        self._unneeded: list[str] = []  # files to remove after the commit

    # --- opening, closing, transactions --------------------------------------------------------------------

    def open(self, now: int = 0) -> tuple[Interrupted, ...]:
        try:
            make_folders_durably(self.content_folder)
            self._database.open()
            with self.transaction():
                interrupted = self._void_claims(now)
                self._remove_orphans()
        except BaseException as error:
            self.close()
            if isinstance(error, OSError):
                raise StoreUnusable(f"{error.filename}: {error.strerror}: check its owner and mode") from error
            raise
        return interrupted

    def _void_claims(self, now: int) -> tuple[Interrupted, ...]:
        self.interrupted = self._database.one("SELECT under_way FROM total")
        if not self.interrupted:
            return ()
        rows = self._database.all(sql.ALL_CLAIMED)
        text = "interrupted: the queue ended while a delivery was under way"
        # It was due when it was claimed, so it is due now.
        self._defer([Defer(message, number, due, text, False) for message, number, due, _, _ in rows], now)
        return tuple(
            Interrupted(message, number, address, destination)
            for message, number, _, address, destination in rows[:INTERRUPTED_MOST]
        )

    def _remove_orphans(self) -> None:
        """Remove files that no row names: the process before this one died before their commit."""
        with os.scandir(self.content_folder) as entries:
            for entry in entries:
                if entry.is_file() and self._database.one(sql.FIND_FILE, (entry.name,)) is None:
                    remove_if_there(entry.path)

    def close(self) -> None:
        self._forget()
        self._database.close()

    @contextmanager
    def transaction(self) -> Iterator[None]:
        try:
            self._database.run("BEGIN IMMEDIATE")
            yield
            self._write_totals()
            self._database.run("COMMIT")
        except BaseException as error:
            self._forget()
            verdict = self._database.roll_back(error)
            if verdict is error:
                raise
            raise verdict from error
        self._remove_unneeded()
        self._database.checkpoint_if_longer(sql.CHECKPOINT_AT_LAST_PAGES)

    def rest(self) -> bool:
        self._database.checkpoint_if_longer(sql.CHECKPOINT_PAGES)
        return self._database.lengthen_log(sql.LOG_KEEP_BYTES, sql.LOG_STEP_BYTES)

    def _remove_unneeded(self) -> None:
        for name in self._unneeded:
            # The commit stands, so nobody may be told that it failed; what stays is an orphan at the next opening.
            with suppress(OSError):
                remove_if_there(os.path.join(self.content_folder, name))
        self._unneeded.clear()

    def _forget(self) -> None:
        self._changes = [0, 0, 0, 0]
        self._unneeded.clear()
        self._plain.clear()
        self._lines.forget()

    def _count(self, messages: int, recipients: int, under_way: int, content_bytes: int) -> None:
        for at, change in enumerate((messages, recipients, under_way, content_bytes)):
            self._changes[at] += change

    def _write_totals(self) -> None:
        if any(self._changes):
            self._database.run(sql.ADD_TOTALS, self._changes)
            self._changes = [0, 0, 0, 0]

    # --- accept --------------------------------------------------------------------------------------------

    def accept(self, messages: Sequence[NewMessage]) -> None:
        bringing = [new for new in messages if not new.shares]
        self._database.each(sql.ADD_CONTENT, [(new.message, new.size, new.file, new.content) for new in bringing])
        self._add_messages([(new.message, new) for new in bringing])
        for new in messages:
            if new.shares:
                self._add_messages([(self._share(new.shares), new)])
        self._add_recipients(messages)
        self._count(len(messages), 0, 0, sum(new.size for new in bringing))
        for new in bringing:
            if len(new.recipients) == 1 and new.recipients[0].claimed and not new.file:
                self._plain[new.message] = new.size
        for new in messages:
            self._plain.pop(new.shares, None)

    def _share(self, message: int) -> int:
        """Count one more message on the content of ``message``; return that content's id."""
        content: int | None = self._database.one(sql.FIND_CONTENT, (message,))
        if content is None:
            raise ContentGone(f"message {message}, whose content was to be shared, is not in the queue")
        self._database.run(sql.SHARE_CONTENT, (content,))
        return content

    def _add_messages(self, messages: Sequence[tuple[int, NewMessage]]) -> None:
        rows = []
        for content, new in messages:
            flags = new.birth, new.smtputf8
            rows.append((new.message, content, *flags, new.origin, new.sender, new.trace, packed(new.terms)))
        self._database.each(sql.ADD_MESSAGE, rows)

    def _add_recipients(self, messages: Sequence[NewMessage]) -> None:
        rows: list[tuple[Value, ...]] = []
        claimed = 0
        for new in messages:
            message, due = new.message, new.due or new.birth
            if not new.recipients:
                raise ValueError(f"message {message} has no recipient")
            for number, to in enumerate(new.recipients):
                where = to.channel, to.destination
                waits = None if to.claimed else self._lines.join(*where, due)
                claimed += to.claimed
                rows.append((message, number, waits, to.claimed, due, *where, to.address, packed(to.terms)))
        self._database.each(sql.ADD_RECIPIENT, rows)
        self._count(0, len(rows), claimed, 0)

    # --- claim ---------------------------------------------------------------------------------------------

    def due_destinations(
        self, now: int, most: int, channels: frozenset[str], skip: frozenset[tuple[str, str]]
    ) -> list[DestinationDue]:
        return self._lines.due(now, most, channels, skip)

    def next_due(self, now: int) -> int | None:
        return self._lines.next_due(now)

    def claim(self, channel: str, destination: str, now: int, most: int, per_group: int) -> list[Claimed]:
        place = self._lines.place(channel, destination)
        if place is None or place[1] > now:
            return []
        rows = self._claimable(place[0], now, most, per_group)
        taken = self._database.each(sql.CLAIM, [(message, number) for message, number, _, _, _ in rows])
        self._count(0, 0, taken, 0)
        self._lines.correct(channel, destination, *place)
        by_message: dict[int, list[ClaimedRecipient]] = {}
        for message, number, address, attempts, terms in rows:
            recipient = ClaimedRecipient(number, address, attempts, recipient_terms(terms))
            by_message.setdefault(message, []).append(recipient)
        return [
            group
            for message, recipients in by_message.items()
            for group in self._groups(message, channel, destination, recipients, per_group)
        ]

    def _claimable(self, destination: int, now: int, most: int, per_group: int) -> list[Any]:
        """Return the rows of the first ``most`` groups, reading no further than they reach."""
        rows: list[Any] = []
        groups = 0
        sizes: Counter[int] = Counter()
        for message, *row, sender in self._database.cursor(sql.CLAIMABLE, (destination, now, most * per_group)):
            if sizes[message] % _group_size(sender, per_group) == 0:
                groups += 1
                if groups > most:
                    break
            sizes[message] += 1
            rows.append((message, *row))
        return rows

    def _groups(
        self, message: int, channel: str, destination: str, recipients: list[ClaimedRecipient], most: int
    ) -> Iterator[Claimed]:
        row = self._database.one(sql.CLAIMED_MESSAGE, (message,))
        sender, trace, body, size, birth, smtputf8, file, terms = row
        head = message, sender, trace, body, size, birth, bool(smtputf8), file, channel, destination
        step = _group_size(sender, most)
        for start in range(0, len(recipients), step):
            yield Claimed(*head, tuple(recipients[start : start + step]), message_terms(terms))

    # --- settle --------------------------------------------------------------------------------------------

    def settle(self, defers: Sequence[Defer], finishes: Sequence[Finish], now: int = 0) -> list[int]:
        self._defer(defers, now)
        plain: list[tuple[int]] = []
        others: list[tuple[int, int]] = []
        content_bytes = 0
        for finish in finishes:
            size = None if finish.number else self._plain.pop(finish.message, None)
            if size is None:
                others.append((finish.message, finish.number))
            else:
                plain.append((finish.message,))
                content_bytes += size
        for statement in sql.DROP_PLAIN:
            self._database.each(statement, plain)
        self._count(-len(plain), -len(plain), -len(plain), -content_bytes)
        return [message for (message,) in plain] + self._finish(others)

    def _finish(self, finishes: list[tuple[int, int]]) -> list[int]:
        gone = self._database.each(sql.FINISH, finishes)
        self._count(0, -gone, -gone, 0)
        touched = dict.fromkeys(message for message, _ in finishes)
        return [message for message in touched if self._drop(sql.DROP_IF_FINISHED, message)]

    def _drop(self, statement: str, message: int) -> bool:
        """Take away a message, its history, and its content where no other message needs that."""
        dropped = self._database.one(statement, (message,))
        if dropped is None:
            return False
        content, notes = dropped
        if notes:
            self._database.run(sql.DROP_HISTORY, (message,))
        last = self._database.one(sql.DROP_LAST_CONTENT, (content,))
        if last is None:
            self._database.run(sql.UNSHARE_CONTENT, (content,))
            self._count(-1, 0, 0, 0)
            return True
        size, file = last
        if file:
            self._unneeded.append(file)
        self._count(-1, 0, 0, -size)
        return True

    def _defer(self, defers: Sequence[Defer], now: int) -> None:
        texts: dict[int, dict[str, int]] = {}
        for defer in defers:
            message, number, due = defer.message, defer.number, defer.due
            found = self._database.one(sql.FIND_CLAIMED, (message, number))
            if found is None:
                continue
            channel, destination, held = found
            waits = None if held else self._lines.join(channel, destination, due)
            last = defer.last[:LAST_MOST]
            self._database.run(sql.DEFER, (waits, due, defer.counts, last, packed(defer.terms), message, number))
            self._count(0, 0, -1, 0)
            self._plain.pop(message, None)
            counted = texts.setdefault(message, {})
            counted[last] = counted.get(last, 0) + 1
        for message, counted in texts.items():
            self._note(message, now, [_deferred(text, count) for text, count in counted.items()])

    def _note(self, message: int, now: int, texts: list[str]) -> None:
        """Add lines to a message's history, and drop the oldest beyond `HISTORY_MOST`."""
        notes: int = self._database.one(sql.COUNT_NOTES, (len(texts), message))
        first = notes - len(texts)
        lines = [(message, first + at, now, text) for at, text in enumerate(texts)]
        self._database.each(sql.ADD_HISTORY, lines[-HISTORY_MOST:])
        if notes > HISTORY_MOST:
            self._database.run(sql.DROP_OLD_HISTORY, (message, notes - HISTORY_MOST))

    # --- operate -------------------------------------------------------------------------------------------

    def hold(self, message: int, now: int, note: str) -> bool:
        return self._operate(message, now, note, self._leave_lines)

    def release(self, message: int, now: int, note: str) -> bool:
        return self._operate(message, now, note, self._join_lines)

    def retry(self, message: int, now: int, note: str) -> bool:
        return self._operate(message, now, note, self._make_due)

    def _operate(self, message: int, now: int, note: str, act: Callable[[int, int, bool], None]) -> bool:
        held: int | None = self._database.one(sql.FIND_HELD, (message,))
        if held is None:
            return False
        self._plain.pop(message, None)
        self._note(message, now, [note[:LAST_MOST]])
        act(message, now, bool(held))
        self._lines.forget()
        return True

    def _leave_lines(self, message: int, _now: int, _held: bool) -> None:
        self._database.run(sql.SET_HELD, (1, message))
        self._database.run(sql.LEAVE_LINES, (message,))

    def _join_lines(self, message: int, _now: int, _held: bool) -> None:
        self._database.run(sql.SET_HELD, (0, message))
        self._database.run(sql.OPEN_LINES, (message,))
        self._database.run(sql.JOIN_LINES, (message,))

    def _make_due(self, message: int, now: int, held: bool) -> None:
        terms = message_terms(self._database.one(sql.FIND_TERMS, (message,)))
        self._database.run(sql.DUE_NOW, (now if terms is None else max(now, terms.hold_until), message))
        if not held:
            self._database.run(sql.OPEN_LINES, (message,))

    def remove(self, message: int) -> bool:
        under_way = self._database.one(sql.COUNT_CLAIMED, (message,))
        if not self._drop(sql.DROP_MESSAGE, message):
            return False
        gone = self._database.each(sql.DROP_RECIPIENTS, [(message,)])
        self._count(0, -gone, -under_way, 0)
        self._plain.pop(message, None)
        return True

    # --- look ----------------------------------------------------------------------------------------------

    def get(self, message: int, recipients: int) -> MessageView | None:
        return look.get(self._database, message, recipients)

    def content(self, message: int, most: int) -> tuple[bytes, bytes, int] | None:
        return look.content(self._database, self.content_folder, message, most)

    def page(
        self, after: int, most: int, sender: bytes, recipient: bytes, destination: str, held_only: bool
    ) -> tuple[list[MessageView], bool]:
        return look.page(self._database, after, most, sender, recipient, destination, held_only)

    def last_id(self) -> int:
        last: int | None = self._database.one(sql.LAST_ID)
        return last or 0

    def messages_after(self, after: int, most: int) -> list[int]:
        return look.messages_after(self._database, after, most)

    def totals(self, now: int) -> Totals:
        self._write_totals()
        return look.totals(self._database, now)


def _deferred(text: str, count: int) -> str:
    return text if count == 1 else f"{count} recipients: {text}"


def _group_size(sender: bytes, most: int) -> int:
    """Return how many recipients may share a group: with VERP each has a sender of its own."""
    return 1 if sender.endswith(VERP_SUFFIX) else most
