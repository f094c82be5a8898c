"""What senders ask for beside the delivery: whether it can be given, and how programs of this host say it."""

from paperpath.base.reply import Reply
from paperpath.base.terms import MessageTerms, RecipientTerms
from paperpath.protocol.smtp_commands import parse_mail, parse_rcpt
from paperpath.protocol.smtp_config import HOLD_MOST_S
from paperpath.protocol.smtp_events import RecipientGiven, SenderGiven
from paperpath.protocol.smtp_parameters import Asked
from paperpath.receive import replies

HOLD_LATE_S = 60
"""How far past a moment to hold a message until may be: the client's clock may be behind ours."""


def judge(asked: Asked, now: int) -> Reply | None:
    """Return the refusal of what cannot be given, or None.

    RFC 4865 4.2, 5.2: a hold for longer than was announced, until a moment that is past, or beyond the time to deliver
    by.
    """
    terms = asked.terms(now)
    until = terms.hold_until
    if until and not now - HOLD_LATE_S <= until <= now + HOLD_MOST_S:
        return replies.HOLD_BEYOND
    return replies.HOLD_TOO_LATE if until and terms.by_mode and terms.deliver_by <= until else None


def read_injected(text: bytes) -> tuple[MessageTerms | None, RecipientTerms | None]:
    """Return the terms that a program gave behind its sender: parameters of MAIL, NUL, parameters of RCPT for all.

    They are read as SMTP has them from a client that has not logged in.  Raises ValueError where they are none.
    """
    mail, _, rcpt = text.partition(b"\0")
    sender, recipient = parse_mail(b"FROM:<> " + mail, 0), parse_rcpt(b"TO:<x> " + rcpt, smtputf8=False)
    if not isinstance(sender, SenderGiven) or not isinstance(recipient, RecipientGiven):
        raise ValueError("not the parameters of MAIL and RCPT")
    return None if sender.asked is None else sender.asked.terms(0), recipient.terms
