"""`supervise` to each process and back, on the one descriptor that the process is born with.

The first ``Configure`` starts the process; each later one replaces its settings and its listening sockets.
"""

import msgspec


class Listener(msgspec.Struct, frozen=True, array_like=True, tag="listener", gc=False):
    """A listening socket of yours, as the descriptor with this frame; in force from the next ``Configure``."""

    name: str
    """What is spoken there: a service and its address (``smtp 127.0.0.1:2525``), or ``intake``, ``lookup`` …"""
    attached: bool = True


class Configure(msgspec.Struct, frozen=True, array_like=True, tag="configure", gc=False):
    """Your settings now, and the listening sockets that came before this frame; those you had before are over."""

    settings: bytes
    """The process's own settings type, as msgpack; a process gets nothing of the others' settings."""


class Drain(msgspec.Struct, frozen=True, array_like=True, tag="drain", gc=False):
    """Take nothing new, finish what is under way within ``grace_s`` seconds, then exit 0."""

    grace_s: float


class Ready(msgspec.Struct, frozen=True, array_like=True, tag="ready", gc=False):
    """The last ``Configure`` is in force."""


class Rejected(msgspec.Struct, frozen=True, array_like=True, tag="rejected", gc=False):
    """The last ``Configure`` could not be put in force; the former settings hold."""

    reason: str


FromSupervisor = Listener | Configure | Drain
FromChild = Ready | Rejected
