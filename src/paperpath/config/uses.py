"""The file in which `auth` notes when application passwords were used, as `paperpath account` reads it."""

import os
from contextlib import closing
from dataclasses import dataclass

import apsw

SCHEMA = """
create table if not exists used (
    account text not null,
    label text not null,
    at integer not null,
    service text not null,
    peer text not null,
    primary key (account, label)
) strict, without rowid
"""


@dataclass(frozen=True, slots=True)
class Use:
    """The last use of an application password; ``at`` in seconds since the epoch."""

    account: str
    label: str
    at: int
    service: str
    peer: str


def read_uses(path: str, account: str) -> dict[str, Use]:
    """Return the last use of each label of an account.  Raises apsw.Error."""
    if not os.path.exists(path):
        return {}
    with closing(apsw.Connection(path, flags=apsw.SQLITE_OPEN_READONLY)) as db:
        rows = db.execute("select account, label, at, service, peer from used where account = ?", (account,)).fetchall()
    uses = [Use(str(who), str(label), int(str(at)), str(service), str(peer)) for who, label, at, service, peer in rows]
    return {use.label: use for use in uses}
