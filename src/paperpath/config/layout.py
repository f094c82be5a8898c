"""The folders that must exist before the service starts, with owners and modes: made by `init`, checked by `doctor`."""

import os
from dataclasses import dataclass

from paperpath.config.identities import AUTH_USER, MAIL_USER, PROCESS_USERS, QUEUE_USER
from paperpath.config.places import (
    accounts_file,
    drop_folder,
    guard_folder,
    logins_folder,
    mail_root,
    queue_folder,
    spool_folder,
)
from paperpath.config.schema import Config
from paperpath.system import dropped


@dataclass(frozen=True, slots=True)
class Folder:
    """A folder; ``user`` and ``group`` are names, empty where it belongs to whoever runs the service."""

    path: str
    mode: int
    user: str = ""
    group: str = ""


def layout(config: Config, *, system: bool) -> tuple[Folder, ...]:
    """Return the folders, each after those that it lies in; ``system``: with separate users, as root makes them."""
    state, queue, mail = config.paths.state, queue_folder(config), mail_root(config)
    logins = logins_folder(config)
    accounts, spool = os.path.dirname(accounts_file(config)), spool_folder(config)
    guard = guard_folder(config)
    if not system:
        own = (state, queue, spool, mail, accounts, guard, logins, config.paths.run)
        private = tuple(Folder(path, 0o700) for path in own)
        return (*private, Folder(drop_folder(config), dropped.MODE))
    return (
        Folder(state, 0o755, "root", "root"),
        Folder(queue, 0o700, QUEUE_USER, QUEUE_USER),
        Folder(spool, 0o700, PROCESS_USERS["receive"], PROCESS_USERS["receive"]),
        Folder(drop_folder(config), dropped.MODE, PROCESS_USERS["receive"], PROCESS_USERS["receive"]),
        Folder(mail, 0o750, MAIL_USER, MAIL_USER),
        Folder(accounts, 0o750, "root", AUTH_USER),
        Folder(guard, 0o700, PROCESS_USERS["guard"], PROCESS_USERS["guard"]),
        Folder(logins, 0o700, AUTH_USER, AUTH_USER),
        Folder(config.paths.run, 0o755, "root", "root"),
    )
