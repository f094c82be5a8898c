"""One message from a program of this host while it comes in, from the socket or from the drop folder.

It is checked and handed to the queue here; how the answer reaches whoever brought it is not known here.
"""

from collections.abc import Callable
from dataclasses import dataclass
from functools import lru_cache

from paperpath.base.address import NULL_SENDER, VERP_SUFFIX, split
from paperpath.base.ids import show_id
from paperpath.base.limits import ADDRESS_MOST_BYTES, ENVELOPE_MOST_BYTES, RECIPIENTS_MOST
from paperpath.base.text import show
from paperpath.config.routing import route
from paperpath.message.trace import received_line
from paperpath.protocol.qmqp import Event, Malformed, MessagePart, QmqpServer, Request, TooLarge
from paperpath.receive.gatherer import Gatherer
from paperpath.receive.service import Service
from paperpath.system.clock import now
from paperpath.system.users import user_name
from paperpath.telemetry.events import SenderReplaced, StorageFull
from paperpath.wire.intake import Accepted, NotAccepted, Submit

_SERVICE = "inject"


@dataclass(frozen=True, slots=True)
class Answer:
    """What became of it: ``K`` accepted, ``Z`` not now, ``D`` never; no letter: not understood."""

    letter: str
    text: str
    recipients: int = 0


OnAnswer = Callable[[Answer], None]

_NO_ROOM = Answer("Z", "There is no room for the message just now (#4.3.1)")
_TOO_LARGE = Answer("D", "The message is larger than is taken here (#5.3.4)")
_BAD_ADDRESS = Answer("D", "Sorry, addresses like that are not taken (#5.1.3)")
_TOO_MANY = Answer("D", "The message has too many recipients (#5.5.3)")
_LOOPING = Answer("D", "The message went through too many servers, it is looping (#5.4.6)")
_TRY_LATER = Answer("Z", "The message could not be stored just now (#4.3.0)")
_NOBODY = Answer("K", "ok, for nobody")

_name_of = lru_cache(maxsize=1000)(user_name)


class Parcel:
    """Takes the bytes of one request; ``on_answer`` is called once, when it has ended and its fate is known."""

    __slots__ = ("_gatherer", "_machine", "_on_answer", "_service", "_spooling_failed", "_ticket", "ended", "uid")

    def __init__(self, service: Service, uid: int, on_answer: OnAnswer) -> None:
        settings = service.settings
        self._service, self._on_answer = service, on_answer
        self._machine = QmqpServer(
            message_most_bytes=settings.inject_size_bytes, envelope_most_bytes=2 * ENVELOPE_MOST_BYTES
        )
        self._gatherer = Gatherer(settings.spool)
        self._spooling_failed = False
        self._ticket = 0
        self.uid = uid
        self.ended = False
        """Whether the request is complete, and we have to answer."""

    def receive(self, data: bytes) -> None:
        """Take the next bytes."""
        for event in self._machine.receive(data):
            self._handle(event)

    def drop(self) -> None:
        """Nobody waits for an answer any more: forget what came, unless the queue was asked already to take it."""
        self._gatherer.drop()
        self._service.submitter.withdraw(self._ticket)

    def _handle(self, event: Event) -> None:
        if isinstance(event, MessagePart):
            self._add(event.data)
            return
        self.ended = True
        if isinstance(event, Request):
            refusal = self._refusal(event)
            if refusal is None:
                self._submit(event)
                return
        else:
            refusal = _TOO_LARGE if isinstance(event, TooLarge) else _not_understood(event)
        self._answer(refusal)

    def _add(self, data: bytes) -> None:
        if self._spooling_failed:
            return
        try:
            self._gatherer.add(data)
        except OSError as error:
            self._service.log.emit(StorageFull(error=f"spooling a large message: {error.strerror}"))
            self._spooling_failed = True
            self._gatherer.drop()

    def _refusal(self, request: Request) -> Answer | None:
        recipients = request.recipients
        if self._spooling_failed:
            return _NO_ROOM
        if not all(recipients) or not all(map(_is_address, (request.sender, *recipients))):
            return _BAD_ADDRESS
        if len(recipients) > RECIPIENTS_MOST or sum(map(len, recipients)) > ENVELOPE_MOST_BYTES:
            return _TOO_MANY
        return None if recipients else _NOBODY

    def _submit(self, request: Request) -> None:
        try:
            content, descriptor = self._gatherer.finish()
        except OSError as error:
            self._service.log.emit(StorageFull(error=f"spooling a large message: {error.strerror}"))
            self._answer(_NO_ROOM)
            return
        if self._gatherer.is_looping(content):
            self._answer(_LOOPING)
            return
        recipients, service = request.recipients, self._service

        self._ticket = service.submitter.next_ticket()

        def answered(answer: Accepted | NotAccepted) -> None:
            if isinstance(answer, Accepted):
                self._answer(Answer("K", f"ok {int(now())} qp {show_id(answer.message)}", len(recipients)))
            else:
                self._answer(_NO_ROOM if answer.storage_full else _TRY_LATER)

        submit = Submit(
            ticket=self._ticket,
            sender=allowed_sender(service, self.uid, request.sender),
            recipients=recipients,
            trace=self._trace(recipients),
            content=content,
            size=self._gatherer.size,
            origin=f"{_SERVICE} uid {self.uid}",
            attached=descriptor is not None,
        )
        service.submitter.submit(submit, descriptor, answered)

    def _trace(self, recipients: tuple[bytes, ...]) -> bytes:
        return received_line(
            helo=b"",
            peer=f"local uid {self.uid}",
            peer_name=None,
            hostname=self._service.hostname,
            protocol="local",
            recipient=recipients[0] if len(recipients) == 1 else None,
            now=int(now()),
            tls=None,
        )

    def _answer(self, answer: Answer) -> None:
        self._gatherer.drop()
        self._on_answer(answer)


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
