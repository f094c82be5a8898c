"""The part of a session that has the mailbox: pages, messages a piece at a time, and the update at the end."""

import asyncio
from collections.abc import Callable
from typing import Protocol

from paperpath.pop3.mailboxes import Answer, Box, Source
from paperpath.protocol.pop3 import ContentWanted, Event, PageWanted, Pop3Session, UpdateWanted
from paperpath.wire.mailbox import Describe, Description, FromSession, MessageNotOpened, OpenMessage, Update, Updated

LATER = "[SYS/TEMP] This cannot be done now; try again later"
"""RFC 3206 4: our fault, and it may pass."""
_GONE = "The message is gone"


class Owner(Protocol):
    """What the session does for this part of it."""

    def go_on(self, events: list[Event], /) -> None:
        """Handle what the machine brought."""

    def flush(self) -> None:
        """Write what the machine has said."""

    def trouble(self, reason: str, /) -> None:
        """Log it."""

    def lost(self, reason: str, /) -> None:
        """End the session: nothing can be gone on with."""


class Fetching:
    """A session with an open mailbox."""

    def __init__(self, owner: Owner, machine: Pop3Session, box: Box) -> None:
        self._owner, self._machine, self._box = owner, machine, box
        self._source: Source | None = None
        self._choked = False

    def close(self) -> None:
        """Let go of everything."""
        self._close_source()
        self._box.close()

    def choke(self) -> None:
        """The client does not read: send nothing more until it does."""
        self._choked = True

    def unchoke(self) -> None:
        """It reads again."""
        self._choked = False
        self._pump()

    def page(self, event: PageWanted) -> None:
        """Answer the machine's question."""
        self._ask(Describe(event.first), self._described)

    def content(self, event: ContentWanted) -> None:
        """Answer the machine's question."""
        self._ask(OpenMessage(event.number), self._message)

    def update(self, event: UpdateWanted) -> None:
        """Answer the machine's question."""
        self._ask(Update(event.marked), self._updated)

    def _ask(self, question: FromSession, on_answer: Callable[[Answer], None]) -> None:
        self._box.ask(question, on_answer)

    def _described(self, answer: Answer) -> None:
        if not isinstance(answer, Description):
            self._lost(answer)
            return
        try:
            events = self._machine.page(answer.first, answer.sizes, answer.unique_ids)
        except ValueError as error:
            self._owner.lost(str(error))
        else:
            self._owner.go_on(events)

    def _updated(self, answer: Answer) -> None:
        if not isinstance(answer, Updated):
            self._lost(answer)
            return
        if answer.kept:
            self._owner.trouble(f"{answer.kept} messages could not be removed: {answer.reason}")
        self._owner.go_on(self._machine.updated(answer.kept))

    # A message

    def _message(self, answer: Answer) -> None:
        if isinstance(answer, MessageNotOpened):
            if not answer.gone:
                self._owner.trouble(f"message {answer.number}: {answer.reason}")
            self._owner.go_on(self._machine.no_content(_GONE if answer.gone else LATER))
        elif isinstance(answer, Source):
            self._source = answer
            self._begin(answer)
        else:
            self._lost(answer)

    def _begin(self, source: Source) -> None:
        """Say the first word of a message once something of it is read: until then an error can be said."""
        try:
            size, first = source.size, source.read()
        except OSError as error:
            self._close_source()
            self._owner.trouble(f"reading a message: {error.strerror}")
            self._owner.go_on(self._machine.no_content(LATER))
            return
        self._machine.begin_content(size)
        self._take(first)

    def _pump(self) -> None:
        """Send the next piece of a message, unless the client does not read or the message is over."""
        source = self._source
        if source is None or self._choked:
            return
        try:
            piece = source.read()
        except OSError as error:
            self._owner.lost(f"reading a message: {error.strerror}")
        else:
            self._take(piece)

    def _take(self, piece: bytes) -> None:
        if piece and self._machine.content(piece):
            self._owner.flush()
            asyncio.get_running_loop().call_soon(self._pump)
        else:
            self._close_source()
            self._owner.go_on(self._machine.end_content())

    def _lost(self, answer: Answer) -> None:
        self._owner.lost(answer if isinstance(answer, str) else getattr(answer, "reason", "the mailbox broke off"))

    def _close_source(self) -> None:
        source, self._source = self._source, None
        if source is not None:
            source.close()
