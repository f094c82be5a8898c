"""What QMTP and QMQP say, where SMTP has a reply."""

from paperpath.base.ids import show_id
from paperpath.base.reply import Reply, reply
from paperpath.wire.intake import Accepted

SENDER_MALFORMED = reply(501, "5.1.7", "Sorry, unacceptable sender")
RECIPIENT_MALFORMED = reply(501, "5.1.3", "Sorry, I can't handle that recipient")
ADDRESS_MALFORMED = reply(501, "5.1.3", "Sorry, I can't accept addresses like that")
PARAMETERS_MALFORMED = reply(501, "5.5.4", "Sorry, I don't understand what reports are wanted")
TOO_LARGE = reply(552, "5.3.4", "Sorry, the message is larger than is taken here")
TOO_MANY_RECIPIENTS = reply(552, "5.5.3", "Sorry, the message has too many recipients")
NOT_UNDERSTOOD = reply(500, "5.5.2", "That is not what is spoken here")
"""Never said: who does not speak the protocol would not understand an answer in it either."""


def refused(given: Reply) -> str:
    """Return a refusal: ``D`` for good, ``Z`` for now."""
    return f"{'D' if given.code >= 500 else 'Z'}{given.lines[0]} (#{given.status})"


def accepted(answer: Accepted, now: int) -> str:
    """Return what qmail's servers say of a message that is queued; the number is ours."""
    return f"Kok {now} qp {show_id(answer.message)}"
