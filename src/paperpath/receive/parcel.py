"""One message in QMQP's form while it comes in: from a program of this host, by the socket or the drop folder, or from
another host.

It is checked and handed to the queue here; how the answer reaches whoever brought it is not known here.
"""

from collections.abc import Callable
from dataclasses import dataclass
from functools import lru_cache

from paperpath.base.address import NULL_SENDER, VERP_SUFFIX, split
from paperpath.base.limits import ADDRESS_MOST_BYTES, ENVELOPE_MOST_BYTES, RECIPIENTS_MOST
from paperpath.base.reply import Reply
from paperpath.base.terms import MessageTerms, RecipientTerms
from paperpath.base.text import show
from paperpath.config.routing import route
from paperpath.message.trace import received_line
from paperpath.protocol.qmqp import Event, Malformed, QmqpServer, Request, TooLarge
from paperpath.receive import words
from paperpath.receive.content import Content
from paperpath.receive.recipients import Verdict
from paperpath.receive.service import Service
from paperpath.receive.terms import read_injected
from paperpath.system.clock import now
from paperpath.system.users import user_name
from paperpath.telemetry.events import SenderReplaced
from paperpath.wire.intake import Accepted

_INJECT = "inject"


@dataclass(frozen=True, slots=True)
class Answer:
    """What became of it: ``K`` accepted, ``Z`` not now, ``D`` never; no letter: not understood."""

    letter: str
    text: str
    recipients: int = 0


OnAnswer = Callable[[Answer], None]

_NOBODY = Answer("K", "ok, for nobody")

_name_of = lru_cache(maxsize=1000)(user_name)


@dataclass(frozen=True, slots=True)
class Bringer:
    """Who brings a message."""

    service: str
    """``inject`` or ``qmqp``."""
    peer: str
    """``local uid N``, or the address of a host."""
    size_most_bytes: int
    uid: int | None = None
    """Of a program of this host: the user whose mail it is.  Another host chooses the sender, whoever it may be."""

    @property
    def origin(self) -> str:
        """Where the message came from, for the log."""
        return f"{self.service} {self.peer.removeprefix('local ')}"


def program(service: Service, uid: int) -> Bringer:
    """Return a program of this host, run by that user."""
    return Bringer(_INJECT, f"local uid {uid}", service.settings.inject_size_bytes, uid)


class Parcel:
    """Takes the bytes of one request; ``on_answer`` is called once, when it has ended and its fate is known."""

    __slots__ = ("_bringer", "_content", "_machine", "_on_answer", "_service", "_terms", "ended")

    def __init__(self, service: Service, bringer: Bringer, on_answer: OnAnswer) -> None:
        self._service, self._bringer, self._on_answer = service, bringer, on_answer
        self._machine = QmqpServer(
            message_most_bytes=bringer.size_most_bytes, envelope_most_bytes=2 * ENVELOPE_MOST_BYTES
        )
        self._content = Content(service)
        self._terms: tuple[MessageTerms | None, RecipientTerms | None] = (None, None)
        self.ended = False
        """Whether the request is complete, and we have to answer."""

    def receive(self, data: bytes) -> None:
        """Take the next bytes."""
        for event in self._machine.receive(data):
            self._handle(event)

    def drop(self) -> None:
        """Nobody waits for an answer any more: forget what came, unless the queue was asked already to take it."""
        self._content.drop()
        self._on_answer = _to_nobody

    def _handle(self, event: Event) -> None:
        if isinstance(event, bytes):
            self._content.add(event)
            return
        self.ended = True
        if isinstance(event, Request):
            self._requested(event)
        elif isinstance(event, TooLarge):
            self._answer(_refused(words.TOO_LARGE))
        else:
            self._answer(_not_understood(event))

    def _requested(self, event: Request) -> None:
        request = self._without_terms(event)
        refusal = request if isinstance(request, Answer) else _refusal(request, self._terms[1])
        if isinstance(request, Request) and refusal is None:
            self._submit(request)
        elif refusal is not None:
            self._answer(refusal)

    def _without_terms(self, request: Request) -> Request | Answer:
        """Take what a program of this host asks for from behind its sender; return the rest, or a refusal."""
        sender, mark, asked = request.sender.partition(b"\0")
        if not mark or self._bringer.uid is None:
            return request
        try:
            self._terms = read_injected(asked)
        except ValueError:
            return _refused(words.PARAMETERS_MALFORMED)
        return Request(sender, request.recipients)

    def _submit(self, request: Request) -> None:
        bringer, recipients = self._bringer, request.recipients
        sender = request.sender if bringer.uid is None else allowed_sender(self._service, bringer.uid, request.sender)
        self._content.submit(
            sender=sender,
            recipients=recipients,
            trace=self._trace(recipients),
            origin=bringer.origin,
            on_fate=lambda fate: self._submitted(fate, len(recipients)),
            terms=self._terms[0],
            recipient_terms=self._terms[1],
        )

    def _submitted(self, fate: Accepted | Verdict, recipients: int) -> None:
        if isinstance(fate, Accepted):
            self._answer(Answer("K", words.accepted(fate, int(now()))[1:], recipients))
        else:
            self._answer(_refused(fate.reply))

    def _trace(self, recipients: tuple[bytes, ...]) -> bytes:
        return received_line(
            helo=b"",
            peer=self._bringer.peer,
            peer_name=None,
            hostname=self._service.hostname,
            protocol="QMQP" if self._bringer.uid is None else "local",
            recipient=recipients[0] if len(recipients) == 1 else None,
            now=int(now()),
            tls=None,
        )

    def _answer(self, answer: Answer) -> None:
        self._content.drop()
        self._on_answer(answer)


def _to_nobody(_answer: Answer) -> None:
    pass


def _refusal(request: Request, terms: RecipientTerms | None) -> Answer | None:
    recipients = request.recipients
    # Each recipient travels with what it is to be called in reports.
    originals = 0 if terms is None else len(terms.original) * len(recipients)
    if not all(recipients) or not all(map(_is_address, (request.sender, *recipients))):
        return _refused(words.ADDRESS_MALFORMED)
    if len(recipients) > RECIPIENTS_MOST or sum(map(len, recipients)) + originals > ENVELOPE_MOST_BYTES:
        return _refused(words.TOO_MANY_RECIPIENTS)
    return None if recipients else _NOBODY


def _refused(given: Reply) -> Answer:
    said = words.refused(given)
    return Answer(said[0], said[1:])


def _not_understood(event: Malformed) -> Answer:
    return Answer("", event.reason)


def _is_address(address: bytes) -> bool:
    return len(address) <= ADDRESS_MOST_BYTES and b"\0" not in address


def allowed_sender(service: Service, uid: int, sender: bytes) -> bytes:
    """Return the envelope sender for a message of user ``uid``, who asked for ``sender``.

    Listed users choose it.  Everybody may have the null sender, which no report goes back to, and every address whose
    mail comes to them: their name or an extension of it at this host, and what virtual domains turn into that.  What
    else is asked for is replaced by the user's address here; the message itself is not touched.
    """
    if uid in service.settings.trusted_users or sender == NULL_SENDER:
        return sender
    name = _name_of(uid)
    own = name.encode() + b"@" + service.hostname
    if _is_own(service, sender.removesuffix(VERP_SUFFIX), name.lower().encode()):
        return sender
    service.log.emit(SenderReplaced(user=name, asked=show(sender), sender=show(own)))
    return own


def _is_own(service: Service, address: bytes, name: bytes) -> bool:
    if not address:
        return False
    table = service.settings.routing
    found = route(table, address)
    domain = split(found.address)[1].lower()
    if found.rule == "mailboxes" or (found.channel != "local" and domain != service.hostname.lower()):
        return False
    local = split(found.address)[0].lower()
    return local == name or local.startswith(name + b"-")
