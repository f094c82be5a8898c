"""What every server under test can do, so that a scenario need not know which one it is."""

from contextlib import AbstractContextManager
from dataclasses import dataclass
from pathlib import Path
from typing import Final, Protocol

SINK_DOMAIN: Final = "sink.test"
"""Mail for this domain is relayed to the sink."""

PASSWORD: Final = "correct-horse-battery"
"""Of the account that submits."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Job:
    """How a server is set up, beyond its defaults."""

    deliver: bool = True
    """False: mail is accepted and committed, and stays in the queue."""
    relay_port: int | None = None
    """Where mail for `SINK_DOMAIN` goes."""
    sessions: int | None = None
    """Sessions it must be able to hold at once, where its default is fewer."""
    recipients: int | None = None
    """Recipients one message may have, where its default is fewer."""
    system_users: bool = False
    """Mail is delivered to system users; the domain for that is `Running.users_domain`."""
    tls: bool = False
    """With a certificate, and a port on which TLS comes first."""
    submission: bool = False
    """With a certificate, and a port on which TLS comes first and `recipient` logs in with `PASSWORD`."""
    rsa: bool = False
    """That certificate is one with RSA of 2048 bits, and not on P-256."""
    backlog: int = 0
    """Deferred messages that are in the queue from the start."""


class Running(Protocol):
    """A server that is up and accepts mail."""

    @property
    def port(self) -> int:
        """Port on the loopback where it speaks SMTP."""

    @property
    def tls_port(self) -> int:
        """Port where TLS comes first; 0 where there is none."""

    @property
    def pid(self) -> int:
        """The process that all its other processes descend from."""

    @property
    def recipient(self) -> str:
        """Address of a mailbox of its own."""

    @property
    def users_domain(self) -> str:
        """Domain whose local parts are system users, where the job asks for them."""

    def delivered(self) -> int:
        """Messages that are in that mailbox."""

    def queued(self) -> int:
        """Messages in its queue.  Asking costs, so do it after the clock has stopped."""


class Server(Protocol):
    """A program under test, with a folder of its own on a volume of its own."""

    @property
    def name(self) -> str:
        """What the report calls it."""

    @property
    def folder(self) -> Path:
        """Its folder."""

    def missing(self) -> str:
        """Say why it cannot run here; empty when it can."""

    def version(self) -> str:
        """Its version, for the report."""

    def running(self, job: Job) -> AbstractContextManager[Running]:
        """Start it afresh with an empty queue and mailbox; end it and forget everything afterwards."""
