"""`supervise` to each process and back, on the one descriptor that the process is born with.

The first ``Configure`` starts the process; each later one replaces its settings and its listening sockets.
"""

import msgspec


class Configure(msgspec.Struct, frozen=True, array_like=True, tag="configure", gc=False):
    """Your settings now.  With the frame come as many descriptors as ``listeners`` has entries, in that order."""

    settings: bytes
    """The process's own settings type, as msgpack; a process gets nothing of the others' settings."""
    listeners: tuple[str, ...]
    """What each descriptor is: ``smtp 127.0.0.1:2525``, ``intake``, ``lookup`` …"""


class Drain(msgspec.Struct, frozen=True, array_like=True, tag="drain", gc=False):
    """Take nothing new, finish what is under way within ``grace_s`` seconds, then exit 0."""

    grace_s: float


class Ready(msgspec.Struct, frozen=True, array_like=True, tag="ready", gc=False):
    """The last ``Configure`` is in force."""


class Rejected(msgspec.Struct, frozen=True, array_like=True, tag="rejected", gc=False):
    """The last ``Configure`` could not be put in force; the former settings hold."""

    reason: str


FromSupervisor = Configure | Drain
FromChild = Ready | Rejected
