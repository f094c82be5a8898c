"""Where things lie under ``[paths] state`` and ``[paths] run``: the one list of these names."""

import os

from paperpath.config.schema import Config

QUEUE_CONTROL = "queue.control"
"""Socket in the run folder that `paperpath queue` speaks to.  No socket there has a longer name."""

GUARD_DOOR = "guard"
GUARD_CONTROL = "guard.control"
"""Sockets in the run folder: of those who meet clients, and of `paperpath ban`."""


def mail_root(config: Config) -> str:
    """Return the folder of the mailboxes of `paperpath account`."""
    return os.path.join(config.paths.state, "mail")


def accounts_file(config: Config) -> str:
    """Return the file of accounts and password hashes."""
    return os.path.join(config.paths.state, "accounts", "accounts.sqlite")


def queue_folder(config: Config) -> str:
    """Return the folder of the store."""
    return os.path.join(config.paths.state, "queue")


def queue_control(config: Config) -> str:
    """Return the path of the socket of `paperpath queue`."""
    return os.path.join(config.paths.run, QUEUE_CONTROL)


def guard_folder(config: Config) -> str:
    """Return the folder where `guard` keeps the bans."""
    return os.path.join(config.paths.state, "guard")


def guard_control(config: Config) -> str:
    """Return the path of the socket of `paperpath ban`."""
    return os.path.join(config.paths.run, GUARD_CONTROL)


def inject_socket(config: Config) -> str:
    """Return the path of the socket that programs of this host hand in mail at."""
    return os.path.join(config.paths.run, "inject")


def drop_folder(config: Config) -> str:
    """Return the folder where they leave it while the service is stopped."""
    return os.path.join(config.paths.state, "drop")


def spool_folder(config: Config) -> str:
    """Return the folder of large messages while they arrive."""
    return os.path.join(config.paths.state, "spool")


def logins_folder(config: Config) -> str:
    """Return the folder that `auth` may write."""
    return os.path.join(config.paths.state, "logins")


def uses_file(config: Config) -> str:
    """Return the file of when application passwords were used last."""
    return os.path.join(logins_folder(config), "uses.sqlite")
