"""The content of one message on its way into the queue, for services whose messages have their length before them."""

from collections.abc import Callable

from paperpath.base.terms import MessageTerms, RecipientTerms
from paperpath.receive import replies
from paperpath.receive.gatherer import Gatherer
from paperpath.receive.recipients import Verdict
from paperpath.receive.service import Service
from paperpath.telemetry.events import StorageFull
from paperpath.wire.intake import Accepted, NotAccepted, Submit

OnFate = Callable[[Accepted | Verdict], None]

_NOT_SPOOLED = Verdict(replies.NO_ROOM, "the message could not be spooled")
_LOOPING = Verdict(replies.LOOPING, "too many Received and Delivered-To fields")
_NO_ROOM = Verdict(replies.NO_ROOM, "the store is full")
_NOT_TAKEN = Verdict(replies.TRY_LATER, "the queue did not take it")


class Content:
    """Gathers pieces and hands them over once; ``drop`` at the end, whatever became of them."""

    __slots__ = ("_gatherer", "_is_broken", "_service", "_ticket")

    def __init__(self, service: Service) -> None:
        self._service = service
        self._gatherer = Gatherer(service.settings.spool)
        self._is_broken = False
        self._ticket = 0

    def add(self, part: bytes) -> None:
        """Take a piece; where there is no room for it, ``submit`` will say so."""
        if self._is_broken:
            return
        try:
            self._gatherer.add(part)
        except OSError as error:
            self._broken(error)

    def submit(
        self,
        *,
        sender: bytes,
        recipients: tuple[bytes, ...],
        trace: bytes,
        origin: str,
        on_fate: OnFate,
        terms: MessageTerms | None = None,
        recipient_terms: RecipientTerms | None = None,
    ) -> None:
        """Hand the message to the queue; ``on_fate`` is called once, now or later: durable, or why not."""
        found = self._finished()
        if isinstance(found, Verdict):
            on_fate(found)
            return
        content, descriptor = found
        submitter = self._service.submitter
        self._ticket = submitter.next_ticket()
        submit = Submit(
            ticket=self._ticket,
            sender=sender,
            recipients=recipients,
            trace=trace,
            content=content,
            size=self._gatherer.size,
            origin=origin,
            attached=descriptor is not None,
            terms=terms,
            recipient_terms={} if recipient_terms is None else dict.fromkeys(range(len(recipients)), recipient_terms),
        )
        submitter.submit(submit, descriptor, lambda answer: self._answered(answer, on_fate))

    def drop(self) -> None:
        """Let go of everything; what the queue was asked to take may be taken all the same."""
        self._gatherer.drop()
        if self._ticket:
            self._service.submitter.withdraw(self._ticket)
            self._ticket = 0

    def _finished(self) -> tuple[bytes, int | None] | Verdict:
        if self._is_broken:
            return _NOT_SPOOLED
        try:
            content, descriptor = self._gatherer.finish()
            is_looping = self._gatherer.is_looping(content)
        except OSError as error:
            self._broken(error)
            return _NOT_SPOOLED
        return _LOOPING if is_looping else (content, descriptor)

    def _broken(self, error: OSError) -> None:
        self._service.log.emit(StorageFull(error=f"spooling a large message: {error.strerror}"))
        self._is_broken = True
        self._gatherer.drop()

    def _answered(self, answer: Accepted | NotAccepted, on_fate: OnFate) -> None:
        self._ticket = 0
        self._gatherer.drop()
        if isinstance(answer, Accepted):
            on_fate(answer)
        else:
            on_fate(_NO_ROOM if answer.storage_full else _NOT_TAKEN)
