"""How one recipient's delivery attempt ended.

Three words and no fourth: whatever is not known to have ended is deferred.  ``code`` holds subject and detail
of the enhanced status (RFC 3463); the class digit follows from the type, so the two cannot contradict each
other.
"""

import msgspec


class Delivered(msgspec.Struct, frozen=True, array_like=True, tag="delivered", gc=False):
    """The message is durable at its next place."""

    text: str
    """What the mailbox or the peer said, for the log."""
    host: str = ""
    """The peer that took it; empty for a local mailbox."""
    code: str = "0.0"
    takes_dsn: bool = False
    """The peer was told what the sender wants to hear of (RFC 3461): from here on that is its duty."""
    takes_deliver_by: bool = False
    """The peer was told by when to deliver (RFC 2852)."""

    @property
    def status(self) -> str:
        """Enhanced status, class 2."""
        return "2." + self.code


class Deferred(msgspec.Struct, frozen=True, array_like=True, tag="deferred", gc=False):
    """Not now: the recipient stays in the queue and is tried again."""

    text: str
    host: str = ""
    code: str = "0.0"
    destination_down: bool = False
    """The destination as a whole could not be reached: others that wait for it need not be tried now."""
    ours: bool = False
    """The trouble is this service's own: however old the message is, it is never a reason to give it up."""

    @property
    def status(self) -> str:
        """Enhanced status, class 4."""
        return "4." + self.code


class Failed(msgspec.Struct, frozen=True, array_like=True, tag="failed", gc=False):
    """Never: a failure report is owed to the sender."""

    text: str
    host: str = ""
    code: str = "0.0"

    @property
    def status(self) -> str:
        """Enhanced status, class 5."""
        return "5." + self.code


Outcome = Delivered | Deferred | Failed
