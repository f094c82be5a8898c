"""Whether what MAIL asks for beside the delivery can be given."""

from paperpath.base.reply import Reply
from paperpath.protocol.smtp_config import HOLD_MOST_S
from paperpath.protocol.smtp_parameters import Asked
from paperpath.receive import replies

HOLD_LATE_S = 60
"""How far past a moment to hold a message until may be: the client's clock may be behind ours."""


def judge(asked: Asked, now: int) -> Reply | None:
    """Return the refusal of what cannot be given, or None.

    RFC 4865 4.2: a hold for longer than was announced, or until a moment that is past.
    """
    until = asked.terms(now).hold_until
    if until and not now - HOLD_LATE_S <= until <= now + HOLD_MOST_S:
        return replies.HOLD_BEYOND
    return None
