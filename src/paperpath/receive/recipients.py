"""Which recipients a client may send to: the same answer whatever protocol it speaks."""

from collections.abc import Callable
from typing import NamedTuple

from paperpath.base.reply import Reply
from paperpath.base.text import show
from paperpath.config.control import is_bad_sender
from paperpath.config.routing import is_open
from paperpath.process.directory import Answer
from paperpath.receive import replies
from paperpath.receive.service import Service
from paperpath.receive.standing import THIS_HOST, Standing
from paperpath.wire.accounts import Found, NotFound
from paperpath.wire.guard import Offence

UNKNOWN_RECIPIENTS_MOST = 20
"""Recipients that do not exist before the session ends: as many as faulty commands.  Who tries names from a list has
to connect again for every twenty; a list with more dead addresses than that gets through in several sessions."""


class Verdict(NamedTuple):
    """What is said about one recipient; of a refusal, ``reason`` is for the log."""

    reply: Reply
    reason: str = ""


OnVerdict = Callable[[Verdict], None]

_WELCOME = Verdict(replies.RECIPIENT_OK)
_NOT_FROM_THEM = Verdict(replies.SENDER_REFUSED, "the sender is in [receive] refused_senders")
_TOO_MANY = Verdict(replies.TOO_MANY_RECIPIENTS, "[limits] recipients_per_minute")
_NOBODY = Verdict(replies.NO_SUCH_RECIPIENT, "no such account")
_TOO_MANY_UNKNOWN = Verdict(replies.TOO_MANY_UNKNOWN, "too many recipients that do not exist")


class Recipients:
    """Judges the recipients of one session."""

    __slots__ = ("_peer", "_service", "_standing", "unknown")

    def __init__(self, service: Service, peer: str, standing: Standing = THIS_HOST) -> None:
        self._service, self._peer, self._standing = service, peer, standing
        self.unknown = 0
        """Those so far that do not exist."""

    @property
    def is_guessing(self) -> bool:
        """Whether so many did not exist that a stranger's session is to end."""
        return self.unknown > UNKNOWN_RECIPIENTS_MOST

    def judge(self, sender: bytes, address: bytes, on_verdict: OnVerdict, *, relay: bool) -> None:
        """Call ``on_verdict`` once, now or later; ``relay``: the client may send to everywhere."""
        settings = self._service.settings
        found = self._service.route(address)
        if self._standing.is_slowed("recipients"):
            on_verdict(_TOO_MANY)
        elif is_bad_sender(sender, settings.refused_senders):
            on_verdict(_NOT_FROM_THEM)
        elif not relay and not is_open(settings.routing, address, found):
            on_verdict(Verdict(replies.RELAYING_DENIED, f"{self._peer} is not in [relay] networks"))
        elif found.channel == "local":
            self._service.directory.find(
                found.address, lambda answer: on_verdict(self._found(address, answer, relay=relay))
            )
        else:
            on_verdict(_WELCOME)

    def _found(self, address: bytes, answer: Answer, *, relay: bool) -> Verdict:
        if isinstance(answer, Found):
            return _WELCOME
        if not isinstance(answer, NotFound):
            return Verdict(replies.RECIPIENT_UNKNOWN_NOW, answer.reason)
        self.unknown += 1
        if not relay:
            self._standing.offended(Offence.UNKNOWN_RECIPIENT, show(address))
        return _TOO_MANY_UNKNOWN if self.is_guessing and not relay else _NOBODY
