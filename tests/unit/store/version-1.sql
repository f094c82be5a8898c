-- A queue file of version 1: the tables as the first release made them, and a few rows of each kind.
CREATE TABLE content (
    id INTEGER PRIMARY KEY, refs INTEGER NOT NULL, size INTEGER NOT NULL, file TEXT NOT NULL,
    body BLOB NOT NULL
) STRICT;
CREATE UNIQUE INDEX content_file ON content (file) WHERE file <> '';
CREATE TABLE message (
    id INTEGER PRIMARY KEY, content INTEGER NOT NULL, birth INTEGER NOT NULL, held INTEGER NOT NULL DEFAULT 0,
    notes INTEGER NOT NULL DEFAULT 0, smtputf8 INTEGER NOT NULL, origin TEXT NOT NULL, sender BLOB NOT NULL,
    trace BLOB NOT NULL
) STRICT;
CREATE INDEX message_held ON message (held) WHERE held;
CREATE TABLE recipient (
    message INTEGER NOT NULL, number INTEGER NOT NULL, waits INTEGER, claimed INTEGER NOT NULL,
    due INTEGER NOT NULL, attempts INTEGER NOT NULL DEFAULT 0, channel TEXT NOT NULL,
    destination TEXT NOT NULL, address BLOB NOT NULL, last TEXT NOT NULL DEFAULT '',
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

INSERT INTO content (id, refs, size, file, body) VALUES (1, 2, 5, '', X'6f6e650a0a'), (3, 1, 4, 'three', X'');
INSERT INTO message (id, content, birth, held, notes, smtputf8, origin, sender, trace) VALUES
    (1, 1, 900, 0, 1, 0, 'smtp 192.0.2.1', CAST('s@far.test' AS BLOB), CAST('T: t' AS BLOB)),
    (2, 1, 901, 1, 0, 0, 'forward of 1', X'', X''),
    (3, 3, 902, 0, 0, 1, 'inject uid 0', CAST('t@far.test' AS BLOB), X'');
INSERT INTO destination (id, channel, name, due) VALUES (1, 'remote', 'far.test', 950);
INSERT INTO recipient (message, number, waits, claimed, due, attempts, channel, destination, address, last) VALUES
    (1, 0, 1, 0, 950, 2, 'remote', 'far.test', CAST('a@far.test' AS BLOB), '4.4.1 no'),
    (2, 0, NULL, 0, 901, 0, 'remote', 'far.test', CAST('b@far.test' AS BLOB), ''),
    (3, 0, NULL, 1, 902, 0, 'local', 'joe', CAST('joe@here.test' AS BLOB), '');
INSERT INTO history (message, line, at, text) VALUES (1, 0, 940, '4.4.1 no');
UPDATE total SET messages = 3, recipients = 3, under_way = 1, content_bytes = 9;
PRAGMA application_id = 1348563045;
PRAGMA user_version = 1;
