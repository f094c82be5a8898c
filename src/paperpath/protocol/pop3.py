"""The POP3 server machine (RFC 1939, RFC 2449, RFC 6856), without I/O: bytes from the client in, events and replies
out.

Purpose: order, syntax and framing of a session are decided here; who may log in and what is in the mailbox is asked
for with a question and answered by the shell.

Guarantees.  Replies come in the order of the commands, and commands may be pipelined.  While a question is open nothing
else happens and input waits.  Messages are marked here and removed by nobody before QUIT (`UpdateWanted`): a session
that ends in any other way changes nothing.  Nothing that a client sent before TLS is read after it (RFC 2595 4).  The
events do not depend on how the input was cut, apart from that.  Memory is bounded by the largest input, a page of
messages, and a mark a message.

Sizes are what the shell says they are.  Left to others: deadlines, and pausing a client that sends on while a question
is open (`buffered_bytes` tells) or does not read its replies.
"""

from collections.abc import Callable, Mapping
from functools import partial
from typing import Final

from paperpath.base.limits import MAILBOX_PAGE_MESSAGES
from paperpath.message.surrogate import Surrogate
from paperpath.protocol.pop3_authorization import EVERYWHERE, Command, Pop3Authorization
from paperpath.protocol.pop3_content import Stuffer, Top
from paperpath.protocol.pop3_events import (
    Closing,
    ContentWanted,
    Event,
    LoginAbandoned,
    LoginGiven,
    PageWanted,
    Pop3Config,
    ResponseGiven,
    TlsWanted,
    UpdateWanted,
)

__all__ = [
    "Closing",
    "ContentWanted",
    "Event",
    "LoginAbandoned",
    "LoginGiven",
    "PageWanted",
    "Pop3Config",
    "Pop3Session",
    "ResponseGiven",
    "TlsWanted",
    "UpdateWanted",
]

_NUMBER_MOST_DIGITS: Final = 10


class Pop3Session(Pop3Authorization):
    """One session."""

    __slots__ = (
        "_deleted_octets",
        "_marks",
        "_octets",
        "_page",
        "_page_first",
        "_stuffer",
        "_surrogate",
        "_then",
        "_top",
        "_unique_ids",
        "deleted",
        "messages",
        "retrieved",
    )

    def __init__(self, config: Pop3Config) -> None:
        super().__init__(config)
        self.messages = 0
        self.retrieved = 0
        """Messages sent whole."""
        self.deleted = 0
        """Messages that are marked."""
        self._octets = self._deleted_octets = 0
        self._marks = bytearray()
        self._page: tuple[int, ...] = ()
        self._unique_ids: tuple[bytes, ...] = ()
        self._page_first = 0
        self._then: Callable[[], None] = _nothing
        self._stuffer = Stuffer()
        self._top: Top | None = None
        self._surrogate: Surrogate | None = None

    # What the shell answers.

    def opened(self, messages: int, octets: int) -> list[Event]:
        """The client is logged in, and this is its mailbox."""
        self._answer_to(LoginGiven, ResponseGiven)
        self.is_open = True
        self.messages, self._octets = messages, octets
        self._say(_count(messages, octets))
        return self._go_on()

    def page(self, first: int, sizes: tuple[int, ...], unique_ids: tuple[bytes, ...]) -> list[Event]:
        """Take a page.  Raises ValueError where it is not the page that was asked for."""
        self._answer_to(PageWanted)
        if first != self._page_first or not len(sizes) == len(unique_ids) == self._page_length(first):
            raise ValueError("not the page that was asked for")
        self._page, self._unique_ids = sizes, unique_ids
        then, self._then = self._then, _nothing
        then()
        return self._go_on()

    def begin_content(self, size: int) -> None:
        """The message is there; its pieces follow."""
        self._say(f"{size} octets")

    def content(self, data: bytes) -> bool:
        """Send a piece; tell whether another is wanted."""
        if self._surrogate is not None:
            data = self._surrogate.take(data)
        self._pass_on(data)
        return self._top is None or not self._top.done

    def _pass_on(self, data: bytes) -> None:
        if self._top is not None:
            data = self._top.take(data)
        self._output.append(self._stuffer.feed(data))

    def end_content(self) -> list[Event]:
        """That was the message."""
        self._answer_to(ContentWanted)
        if self._surrogate is not None:
            self._pass_on(self._surrogate.finish())
        self._output.append(self._stuffer.finish())
        self.retrieved += self._top is None
        return self._go_on()

    def no_content(self, text: str) -> list[Event]:
        """The message cannot be sent, and nothing of it was."""
        self._answer_to(ContentWanted)
        self._refuse(text)
        return self._go_on()

    def updated(self, kept: int) -> list[Event]:
        """What was marked is removed, but for ``kept`` messages; the session is over."""
        self._answer_to(UpdateWanted)
        if kept:
            self._refuse(f"[SYS/TEMP] {kept} of the deleted messages could not be removed")
        else:
            self._say("Bye")
        self._close("quit")
        return self._go_on()

    # Commands of the TRANSACTION state.

    def _command(self, name: bytes) -> Command | None:
        if not self.is_open:
            return super()._command(name)
        command = _TRANSACTION.get(name)
        return None if command is None else partial(command, self)

    def _why_not(self, name: bytes) -> str:
        if self.is_open:
            return "You are logged in already" if super()._command(name) else super()._why_not(name)
        return "Log in first" if name in _TRANSACTION else super()._why_not(name)

    def _quit(self, _argument: bytes) -> None:
        self._ask(UpdateWanted(bytes(self._marks)))

    def _stat(self, _argument: bytes) -> None:
        self._say(f"{self.messages - self.deleted} {self._octets - self._deleted_octets}")

    def _rset(self, _argument: bytes) -> None:
        self._marks.clear()
        self.deleted = self._deleted_octets = 0
        self._say(_count(self.messages, self._octets))

    def _list_sizes(self, argument: bytes) -> None:
        self._describe(argument, lambda at: str(self._page[at]))

    def _list_unique_ids(self, argument: bytes) -> None:
        self._describe(argument, lambda at: self._unique_ids[at].decode("ascii"))

    def _describe(self, argument: bytes, what: Callable[[int], str]) -> None:
        if not argument:
            self._say(_count(self.messages - self.deleted, self._octets - self._deleted_octets))
            self._describe_from(1, what)
            return
        number = self._number(argument)
        if number:
            self._with_page(number, lambda: self._say(f"{number} {what(number - self._page_first)}"))

    def _describe_from(self, number: int, what: Callable[[int], str]) -> None:
        """Describe all messages from one on, a page at a time."""
        if number > self.messages:
            self._output.append(b".\r\n")
            return

        def describe() -> None:
            first = self._page_first
            numbers = range(first, first + len(self._page))
            self._output += [f"{n} {what(n - first)}\r\n".encode() for n in numbers if not self._is_marked(n)]
            self._describe_from(first + len(self._page), what)

        self._with_page(number, describe)

    def _with_page(self, number: int, then: Callable[[], None]) -> None:
        """Do something once the page that ``number`` is on is there."""
        first = number - (number - 1) % MAILBOX_PAGE_MESSAGES
        if self._page and first == self._page_first:
            then()
        else:
            self._page_first, self._page, self._then = first, (), then
            self._ask(PageWanted(first))

    def _page_length(self, first: int) -> int:
        return min(MAILBOX_PAGE_MESSAGES, self.messages - first + 1)

    def _dele(self, argument: bytes) -> None:
        number = self._number(argument)
        if number:
            self._with_page(number, partial(self._mark, number))

    def _mark(self, number: int) -> None:
        if not self._marks:
            self._marks = bytearray((self.messages + 7) // 8)
        self._marks[(number - 1) // 8] |= 1 << (number - 1) % 8
        self.deleted += 1
        self._deleted_octets += self._page[number - self._page_first]
        self._say("Marked")

    def _is_marked(self, number: int) -> bool:
        return bool(self._marks) and bool(self._marks[(number - 1) // 8] >> (number - 1) % 8 & 1)

    def _retr(self, argument: bytes) -> None:
        self._send(argument, None)

    def _top_wanted(self, argument: bytes) -> None:
        number, _, lines = argument.partition(b" ")
        if _digits(lines) is None:
            self._fault("TOP needs a message number and a number of lines")
        else:
            self._send(number, Top(int(lines)))

    def _send(self, argument: bytes, top: Top | None) -> None:
        number = self._number(argument)
        if number:
            self._stuffer, self._top = Stuffer(), top
            self._surrogate = None if self.utf8 else Surrogate()
            self._ask(ContentWanted(number))

    def _number(self, argument: bytes) -> int:
        """Return the number of a message that is there; 0 where it is not, which has then been said."""
        number = _digits(argument)
        if number is None:
            self._fault("That is no message number")
        elif not 0 < number <= self.messages:
            self._refuse("There is no such message")
        elif self._is_marked(number):
            self._refuse("The message is deleted")
        else:
            return number
        return 0


def _nothing() -> None:
    pass


def _count(messages: int, octets: int) -> str:
    return f"{messages} message{'' if messages == 1 else 's'} ({octets} octets)"


def _digits(text: bytes) -> int | None:
    return int(text) if text.isdigit() and len(text) <= _NUMBER_MOST_DIGITS else None


_TRANSACTION: Final[Mapping[bytes, Callable[[Pop3Session, bytes], None]]] = {
    **EVERYWHERE,
    b"QUIT": Pop3Session._quit,
    b"STAT": Pop3Session._stat,
    b"LIST": Pop3Session._list_sizes,
    b"UIDL": Pop3Session._list_unique_ids,
    b"RETR": Pop3Session._retr,
    b"TOP": Pop3Session._top_wanted,
    b"DELE": Pop3Session._dele,
    b"RSET": Pop3Session._rset,
}
