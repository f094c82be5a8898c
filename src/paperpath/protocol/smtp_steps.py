"""What can stand in the table of commands of the SMTP server machine, beside functions of the machine itself."""

from collections.abc import Callable
from typing import Any, Final

from paperpath.base.reply import Reply
from paperpath.protocol.smtp_content import ContentFraming
from paperpath.protocol.smtp_events import Refusal
from paperpath.protocol.smtp_refusals import IN_TRANSACTION, OTHER_PROTOCOL

Step = Callable[[Any, bytes], None]
"""What is done about a command: a function of the session, given the argument."""


def refusing(refusal: Refusal) -> Step:
    """Refuse it."""
    return lambda session, argument: session._refuse(refusal)


def refusing_data(refusal: Refusal) -> Step:
    """Refuse DATA, and what was sent behind it without waiting."""
    return lambda session, argument: session._refuse_unreadable(b"DATA", refusal)


def refusing_chunk(refusal: Refusal) -> Step:
    """Refuse BDAT, and swallow the octets that come with it."""

    def step(session: ContentFraming, argument: bytes) -> None:
        session._owed = 0
        session._start_chunk(argument, refusal)
        session._drop_transaction()

    return step


def saying(reply: Reply) -> Step:
    """Say the same always."""
    encoded = reply.encode()
    return lambda session, argument: session._output.append(encoded)


def other_protocol(session: ContentFraming, argument: bytes) -> None:
    """End the session of who speaks something else."""
    session._refuse_and_close(OTHER_PROTOCOL)


ONLY_BETWEEN: Final[dict[bytes, Step]] = {
    b"STARTTLS": refusing(IN_TRANSACTION),
    b"XCLIENT": refusing(IN_TRANSACTION),
    b"AUTH": refusing(IN_TRANSACTION),
}
"""Commands that have no place within a transaction."""

KNOWN_VERBS: Final = frozenset(
    {b"TURN", b"ATRN", b"ETRN", b"EXPN", b"SEND", b"SOML", b"SAML", b"STARTTLS", b"AUTH", b"BURL"}
)
"""Commands of RFC 821 and of extensions that are not offered: 502 instead of 500 (RFC 5321 4.2.4)."""
