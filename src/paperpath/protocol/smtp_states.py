"""Where a session of the SMTP server machine stands."""

from enum import IntEnum


class State(IntEnum):
    """Where a session stands.  Whether a question is open is told apart from it by ``question``."""

    IDLE = 0
    """No transaction."""
    MAIL = 1
    """A sender, no recipient yet."""
    RCPT = 2
    """A sender and recipients."""
    CHUNKS = 3
    """Between two chunks of one message."""
    DATA = 4
    """In content after DATA, or swallowing what was refused of it."""
    CHUNK = 5
    """In the octets of one chunk, or swallowing them."""
    CLOSED = 6
    """After `Closing`."""
    SECURING = 7
    """After `TlsBegins`: nothing is read in clear any more."""
