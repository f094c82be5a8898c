"""The SQLite engine's file: its tables, its settings, and every statement that changes a row.

Tables
    content     one row for each body, named after the message that brought it; ``refs`` messages need it
    message     one row for each message that has a recipient left
    recipient   one row for each unsettled recipient, in one of three states:
                    waiting     ``waits`` names its destination's row
                    under way   ``claimed``, and ``waits`` is null
                    held        neither, and the message is ``held``
    destination one row for each destination where somebody waits; ``due`` is never later than their first
    history     what happened to a message, deferrals and operators' acts, the newest few
    total       counters that would otherwise cost a scan

A recipient that is born under way and finishes never meets the index of those who wait, nor `destination`:
that is the common life, and it costs three rows written and three deleted.
"""

import apsw

APPLICATION = 0x50617065
"""``PRAGMA application_id``: "Pape"."""

VERSION = 2
"""``PRAGMA user_version``: changes with the tables."""

PAGE_BYTES = 4096
"""A commit writes whole pages to the log, and most of them hold little that is new: smaller pages, fewer bytes a sync.
Bodies of 4 KB cost the same CPU at every size, larger ones up to a third less with larger pages."""

CACHE_KIB = 32 * 1024
"""Holds the upper pages of every tree with a million recipients waiting."""

LOG_KEEP_BYTES = 64 * 1024 * 1024
"""The log is made so long when there is nothing else to do, and is cut back to this after a long transaction made it
longer.  A commit into a log that need not grow has no metadata to sync with it, and takes half the time."""

LOG_STEP_BYTES = 4 * 1024 * 1024
"""By how much it is lengthened at once: mail that comes meanwhile waits for some ten milliseconds."""

CHECKPOINT_PAGES = 1000
"""Pages in the log that call for a checkpoint when there is nothing else to do: 4 MB."""

CHECKPOINT_AT_LAST_PAGES = 16_000
"""Pages that call for one at any time, 64 MB; commits wait meanwhile."""

_TABLES = """
CREATE TABLE content (
    id INTEGER PRIMARY KEY, refs INTEGER NOT NULL, size INTEGER NOT NULL, file TEXT NOT NULL,
    body BLOB NOT NULL
) STRICT;
CREATE UNIQUE INDEX content_file ON content (file) WHERE file <> '';
CREATE TABLE message (
    id INTEGER PRIMARY KEY, content INTEGER NOT NULL, birth INTEGER NOT NULL, held INTEGER NOT NULL DEFAULT 0,
    notes INTEGER NOT NULL DEFAULT 0, smtputf8 INTEGER NOT NULL, origin TEXT NOT NULL, sender BLOB NOT NULL,
    trace BLOB NOT NULL, terms BLOB
) STRICT;
CREATE INDEX message_held ON message (held) WHERE held;
CREATE TABLE recipient (
    message INTEGER NOT NULL, number INTEGER NOT NULL, waits INTEGER, claimed INTEGER NOT NULL,
    due INTEGER NOT NULL, attempts INTEGER NOT NULL DEFAULT 0, channel TEXT NOT NULL,
    destination TEXT NOT NULL, address BLOB NOT NULL, last TEXT NOT NULL DEFAULT '', terms BLOB,
    PRIMARY KEY (message, number)
) STRICT, WITHOUT ROWID;
CREATE INDEX recipient_waits ON recipient (waits, due) WHERE waits IS NOT NULL;
CREATE TABLE destination (
    id INTEGER PRIMARY KEY, due INTEGER NOT NULL, channel TEXT NOT NULL, name TEXT NOT NULL,
    UNIQUE (channel, name)
) STRICT;
CREATE INDEX destination_due ON destination (due);
CREATE TABLE history (
    message INTEGER NOT NULL, line INTEGER NOT NULL, at INTEGER NOT NULL, text TEXT NOT NULL,
    PRIMARY KEY (message, line)
) STRICT, WITHOUT ROWID;
CREATE TABLE total (
    messages INTEGER NOT NULL, recipients INTEGER NOT NULL, under_way INTEGER NOT NULL,
    content_bytes INTEGER NOT NULL
) STRICT;
INSERT INTO total VALUES (0, 0, 0, 0);
"""

_UPGRADES = {
    1: "ALTER TABLE message ADD COLUMN terms BLOB; ALTER TABLE recipient ADD COLUMN terms BLOB;",
}
"""What makes a file of each older version one of the next.  Another column changes the schema only, and no row."""

ADD_CONTENT = "INSERT INTO content (id, refs, size, file, body) VALUES (?, 1, ?, ?, ?)"
ADD_MESSAGE = (
    "INSERT INTO message (id, content, birth, smtputf8, origin, sender, trace, terms) VALUES (?, ?, ?, ?, ?, ?, ?, ?)"
)
ADD_RECIPIENT = (
    "INSERT INTO recipient (message, number, waits, claimed, due, channel, destination, address, terms)"
    " VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?)"
)
ADD_HISTORY = "INSERT INTO history (message, line, at, text) VALUES (?, ?, ?, ?)"
COUNT_NOTES = "UPDATE message SET notes = notes + ? WHERE id = ? RETURNING notes"
DROP_OLD_HISTORY = "DELETE FROM history WHERE message = ? AND line < ?"

FIND_FILE = "SELECT 1 FROM content WHERE file = ? AND file <> ''"
FIND_CONTENT = "SELECT content FROM message WHERE id = ?"
SHARE_CONTENT = "UPDATE content SET refs = refs + 1 WHERE id = ?"
UNSHARE_CONTENT = "UPDATE content SET refs = refs - 1 WHERE id = ?"
DROP_LAST_CONTENT = "DELETE FROM content WHERE id = ? AND refs = 1 RETURNING size, file"

# Messages with a single recipient, born under way, and inline content of their own.
DROP_PLAIN = (
    "DELETE FROM recipient WHERE message = ? AND number = 0",
    "DELETE FROM message WHERE id = ?",
    "DELETE FROM content WHERE id = ?",
)

FINISH = "DELETE FROM recipient WHERE message = ? AND number = ? AND claimed"
DROP_IF_FINISHED = (
    "DELETE FROM message WHERE id = ?1 AND NOT EXISTS (SELECT 1 FROM recipient WHERE message = ?1)"
    " RETURNING content, notes"
)
DROP_MESSAGE = "DELETE FROM message WHERE id = ? RETURNING content, notes"
DROP_RECIPIENTS = "DELETE FROM recipient WHERE message = ?"
DROP_HISTORY = "DELETE FROM history WHERE message = ?"
COUNT_CLAIMED = "SELECT count(*) FROM recipient WHERE message = ? AND claimed"

FIND_CLAIMED = (
    "SELECT r.channel, r.destination, m.held FROM recipient r JOIN message m ON m.id = r.message"
    " WHERE r.message = ? AND r.number = ? AND r.claimed"
)
DEFER = (
    "UPDATE recipient SET waits = ?, claimed = 0, due = ?, attempts = attempts + ?, last = ?,"
    " terms = coalesce(?, terms)"
    " WHERE message = ? AND number = ?"
)
ALL_CLAIMED = "SELECT message, number, due, address, destination FROM recipient WHERE claimed"

FIND_DESTINATION = "SELECT id, due FROM destination WHERE channel = ? AND name = ?"
ADD_DESTINATION = "INSERT INTO destination (channel, name, due) VALUES (?, ?, ?)"
SET_DESTINATION_DUE = "UPDATE destination SET due = ? WHERE id = ?"
DROP_DESTINATION = "DELETE FROM destination WHERE id = ?"
FIRST_DUE = "SELECT due FROM recipient WHERE waits = ? ORDER BY due LIMIT 1"
DESTINATIONS_DUE = "SELECT id, channel, name, due FROM destination WHERE due <= ? ORDER BY due"
NEXT_DESTINATION = "SELECT id, channel, name, due FROM destination WHERE due > ? ORDER BY due LIMIT 1"

CLAIMABLE = (
    "SELECT r.message, r.number, r.address, r.attempts, r.terms, m.sender"
    " FROM recipient r JOIN message m ON m.id = r.message"
    " WHERE r.waits = ? AND r.due <= ? ORDER BY r.due, r.message, r.number LIMIT ?"
)
LAST_ID = "SELECT max(id) FROM message"
CLAIM = "UPDATE recipient SET waits = NULL, claimed = 1 WHERE message = ? AND number = ?"
CLAIMED_MESSAGE = (
    "SELECT m.sender, m.trace, c.body, c.size, m.birth, m.smtputf8, c.file, m.terms"
    " FROM message m JOIN content c ON c.id = m.content WHERE m.id = ?"
)

FIND_HELD = "SELECT held FROM message WHERE id = ?"
FIND_TERMS = "SELECT terms FROM message WHERE id = ?"
SET_HELD = "UPDATE message SET held = ? WHERE id = ?"
LEAVE_LINES = "UPDATE recipient SET waits = NULL WHERE message = ? AND waits IS NOT NULL"
DUE_NOW = "UPDATE recipient SET due = min(due, ?) WHERE message = ? AND NOT claimed"
OPEN_LINES = (
    "INSERT INTO destination (channel, name, due)"
    " SELECT channel, destination, min(due) FROM recipient WHERE message = ? AND NOT claimed"
    " GROUP BY channel, destination"
    " ON CONFLICT (channel, name) DO UPDATE SET due = min(due, excluded.due)"
)
JOIN_LINES = (
    "UPDATE recipient SET waits = (SELECT id FROM destination d"
    " WHERE d.channel = recipient.channel AND d.name = recipient.destination)"
    " WHERE message = ? AND NOT claimed"
)

ADD_TOTALS = (
    "UPDATE total SET messages = messages + ?, recipients = recipients + ?, under_way = under_way + ?,"
    " content_bytes = content_bytes + ?"
)


def prepare(database: apsw.Connection) -> int:
    """Take sole ownership, set up the connection, fill an empty file with tables; return the file's version.

    A file of an older version becomes one of this; one of another is left alone.  Raises what apsw raises;
    BusyError: another process has the file.
    """
    database.execute("PRAGMA locking_mode = EXCLUSIVE")
    database.execute(f"PRAGMA page_size = {PAGE_BYTES}")
    database.execute("PRAGMA journal_mode = WAL")
    database.execute("PRAGMA synchronous = FULL")
    database.execute("PRAGMA wal_autocheckpoint = 0")
    database.execute(f"PRAGMA journal_size_limit = {LOG_KEEP_BYTES}")
    database.execute(f"PRAGMA cache_size = -{CACHE_KIB}")
    database.execute("PRAGMA temp_store = MEMORY")
    database.execute("BEGIN IMMEDIATE")
    version = database.execute("PRAGMA user_version").get
    if version == 0 and not database.execute("SELECT count(*) FROM sqlite_schema").get:
        database.execute(_TABLES)
        database.execute(f"PRAGMA application_id = {APPLICATION}")
        database.execute(f"PRAGMA user_version = {VERSION}")
        version = VERSION
    while version in _UPGRADES:
        database.execute(_UPGRADES[version])
        version += 1
        database.execute(f"PRAGMA user_version = {version}")
    database.execute("COMMIT")
    return int(version)
