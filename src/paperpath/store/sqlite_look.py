"""What an operator sees of the SQLite engine: reads only, bounded by the number that the caller names."""

import os

from paperpath.store.contract import Totals
from paperpath.store.sqlite_database import Database
from paperpath.store.terms_column import message_terms, recipient_terms
from paperpath.wire.control import HistoryView, MessageView, RecipientView

_VIEW = """
SELECT m.id, m.sender, m.birth, c.size, m.origin, m.held,
    (SELECT count(*) FROM recipient r WHERE r.message = m.id), m.terms
FROM message m JOIN content c ON c.id = m.content
"""

_RECIPIENTS = """
SELECT number, address, channel, destination, claimed, due, attempts, last, terms
FROM recipient WHERE message = ? ORDER BY number LIMIT ?
"""

# lower() folds ASCII, as mail compares domains; an empty filter is found in everything.
_MATCHES = """
EXISTS (
    SELECT 1 FROM recipient r WHERE r.message = m.id
    AND instr(lower(CAST(r.address AS TEXT)), lower(CAST(:recipient AS TEXT)))
    AND instr(lower(r.destination), lower(:destination))
)
"""

_CONTENT = """
SELECT m.trace, substr(c.body, 1, ?), c.size, c.file
FROM message m JOIN content c ON c.id = m.content WHERE m.id = ?
"""

_TOTALS = """
SELECT t.messages, t.recipients, t.under_way, t.content_bytes,
    (SELECT count(*) FROM message WHERE held),
    (SELECT birth FROM message ORDER BY id LIMIT 1)
FROM total t
"""

_WAITING = "SELECT count(*), count(*) FILTER (WHERE due <= ?) FROM recipient WHERE waits IS NOT NULL"


def get(database: Database, message: int, recipients: int) -> MessageView | None:
    """Return one message with up to ``recipients`` of its recipients, and its history; None: no such."""
    row = database.one(_VIEW + "WHERE m.id = ?", (message,))
    if row is None:
        return None
    held = bool(row[5])
    to = tuple(
        RecipientView(
            number, address, channel, destination, _state(claimed, held), due, attempts, last, recipient_terms(terms)
        )
        for number, address, channel, destination, claimed, due, attempts, last, terms in database.cursor(
            _RECIPIENTS, (message, recipients)
        )
    )
    lines = database.cursor("SELECT at, text FROM history WHERE message = ? ORDER BY line", (message,))
    return _view(row, to, tuple(HistoryView(at, text) for at, text in lines))


def _state(claimed: int, held: bool) -> str:
    if claimed:
        return "under-way"
    return "held" if held else "waiting"


def _view(
    row: tuple[int, bytes, int, int, str, int, int, bytes | None],
    recipients: tuple[RecipientView, ...] = (),
    history: tuple[HistoryView, ...] = (),
) -> MessageView:
    message, sender, birth, size, origin, held, count, terms = row
    asked = message_terms(terms)
    return MessageView(message, sender, birth, size, origin, bool(held), count, recipients, history, asked)


def content(database: Database, folder: str, message: int, most: int) -> tuple[bytes, bytes, int] | None:
    """Return trace, the first ``most`` bytes of content, and the content's size; None where there is none.

    Raises OSError where the content is a file that cannot be read.
    """
    row = database.one(_CONTENT, (most, message))
    if row is None:
        return None
    trace, body, size, file = row
    if file:
        with open(os.path.join(folder, file), "rb") as stream:
            body = stream.read(most)
    return trace, body, size


def page(
    database: Database,
    after: int,
    most: int,
    sender: bytes,
    recipient: bytes,
    destination: str,
    held_only: bool,
) -> tuple[list[MessageView], bool]:
    """List up to ``most`` messages above ``after`` that match every filter; tell whether more follow."""
    conditions = ["m.id > :after"]
    if held_only:
        conditions.append("m.held")
    if sender:
        conditions.append("instr(lower(CAST(m.sender AS TEXT)), lower(CAST(:sender AS TEXT)))")
    if recipient or destination:
        conditions.append(_MATCHES)
    rows = database.all(
        f"{_VIEW} WHERE {' AND '.join(conditions)} ORDER BY m.id LIMIT :most",
        {
            "after": after,
            "most": most + 1,
            "sender": sender,
            "recipient": recipient,
            "destination": destination,
        },
    )
    return [_view(row) for row in rows[:most]], len(rows) > most


def messages_after(database: Database, after: int, most: int) -> list[int]:
    """Return up to ``most`` ids above ``after``, in order."""
    rows = database.cursor("SELECT id FROM message WHERE id > ? ORDER BY id LIMIT ?", (after, most))
    return [int(message) for (message,) in rows]


def totals(database: Database, now: int) -> Totals:
    """Count everything; those who wait are counted one by one, at about ten million a second."""
    messages, recipients, under_way, content_bytes, held, oldest = database.one(_TOTALS)
    waiting, due = database.one(_WAITING, (now,))
    return Totals(messages, recipients, held, under_way, due, waiting - due, oldest or 0, content_bytes)
