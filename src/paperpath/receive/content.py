"""The content of one message on its way into the queue, whatever protocol brings it."""

from collections.abc import Callable

from paperpath.base.terms import MessageTerms, RecipientTerms
from paperpath.receive import replies
from paperpath.receive.gatherer import Gatherer
from paperpath.receive.recipients import Verdict
from paperpath.receive.service import Service
from paperpath.receive.submission import Message
from paperpath.wire.intake import Accepted, NotAccepted, Submit

OnFate = Callable[[Accepted | Verdict], None]

_NOT_SPOOLED = Verdict(replies.NO_ROOM, "the message could not be spooled")
_LOOPING = Verdict(replies.LOOPING, "too many Received and Delivered-To fields")
_NO_ROOM = Verdict(replies.NO_ROOM, "the store is full")
_NOT_TAKEN = Verdict(replies.TRY_LATER, "the queue did not take it")


class Content:
    """Gathers pieces and hands them over once; ``drop`` at the end, whatever became of them."""

    __slots__ = ("_gatherer", "_is_broken", "_on_fate", "_service", "_ticket")

    def __init__(self, service: Service) -> None:
        self._service = service
        self._gatherer = Gatherer(service.settings.spool)
        self._is_broken = False
        self._ticket = 0
        self._on_fate: OnFate | None = None

    def add(self, part: bytes) -> None:
        """Take a piece; where there is no room for it, ``finish`` will say so."""
        if self._is_broken:
            return
        try:
            self._gatherer.add(part)
        except OSError as error:
            self.spooling_failed(error)

    def finish(self) -> Message | Verdict:
        """Return the whole, or why it cannot be taken.  Its descriptor stays ours."""
        if self._is_broken:
            return _NOT_SPOOLED
        gatherer = self._gatherer
        try:
            content, descriptor = gatherer.finish()
            is_looping = gatherer.is_looping(content)
        except OSError as error:
            return self.spooling_failed(error)
        if descriptor is not None:
            self._service.room.is_there()
        return _LOOPING if is_looping else Message(content, descriptor, gatherer.size)

    def replace(self, descriptor: int) -> None:
        """Hold another file in the place of what ``finish`` returned."""
        self._gatherer.replace(descriptor)

    def spooling_failed(self, error: OSError) -> Verdict:
        """Let go of what there is, and tell the log; return what is said of it."""
        self._service.room.lacks(f"spooling a large message: {error.strerror}", refused=1)
        self._is_broken = True
        self._gatherer.drop()
        return _NOT_SPOOLED

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
        """Finish and hand over a message that is taken as it is; ``on_fate`` as in ``hand_over``."""
        found = self.finish()
        if isinstance(found, Verdict):
            on_fate(found)
            return
        submit = Submit(
            ticket=self.next_ticket(),
            sender=sender,
            recipients=recipients,
            trace=trace,
            content=found.content,
            size=found.size,
            origin=origin,
            attached=found.descriptor is not None,
            terms=terms,
            recipient_terms={} if recipient_terms is None else dict.fromkeys(range(len(recipients)), recipient_terms),
        )
        self.hand_over(submit, found.descriptor, on_fate)

    def next_ticket(self) -> int:
        """Return the number under which it is handed over."""
        self._ticket = self._service.submitter.next_ticket()
        return self._ticket

    def hand_over(self, submit: Submit, descriptor: int | None, on_fate: OnFate) -> None:
        """Hand the message to the queue, under ``next_ticket``; ``on_fate`` is called once, now or later.

        It is durable, or the verdict says why not.
        """
        self._on_fate = on_fate
        self._service.submitter.submit(submit, descriptor, self._answered)

    def drop(self) -> None:
        """Let go of everything; what the queue was asked to take may be taken all the same."""
        self._gatherer.drop()
        if self._ticket:
            self._service.submitter.withdraw(self._ticket)
            self._ticket = 0

    def _answered(self, answer: Accepted | NotAccepted) -> None:
        self._ticket = 0
        self._gatherer.drop()
        assert self._on_fate is not None
        if isinstance(answer, Accepted):
            self._on_fate(answer)
        else:
            self._on_fate(_NO_ROOM if answer.storage_full else _NOT_TAKEN)
