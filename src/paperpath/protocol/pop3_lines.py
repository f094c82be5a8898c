"""The lower half of the POP3 machine: lines in, replies and events out, and the ways a session ends.

Guarantee: a line is bounded before it is looked at.  Of one that is too long nothing is kept.  A line may end in LF
alone, as every POP3 server takes it: there is no content here that a command could be hidden in.
"""

from abc import ABC, abstractmethod
from typing import Final

from paperpath.protocol.pop3_events import Closing, Event, Question

LINE_MOST_BYTES: Final = 512
"""A command with its line end: RFC 2449 4 allows 255."""
RESPONSE_LINE_MOST_BYTES: Final = 12_288 + 2
"""A response of SASL with its line end: RFC 4954's bound; RFC 5034 4 has none."""
FAULTS_MOST: Final = 20
"""Faulty commands in a row before the session ends; an honest client makes none."""


class Pop3Lines(ABC):
    """Lines, replies, events; how a session ends."""

    __slots__ = (
        "_at",
        "_buffer",
        "_events",
        "_faults",
        "_in_login",
        "_output",
        "_skipping",
        "bytes_in",
        "is_closed",
        "question",
    )

    def __init__(self) -> None:
        self.question: Question | None = None
        """The open question, or None."""
        self.is_closed = False
        """`Closing` was emitted: nothing is read any more."""
        self.bytes_in = 0
        self._in_login = False  # the next line is a response of SASL
        self._buffer = b""
        self._at = 0  # where in it the next line begins
        self._skipping = False
        self._faults = 0
        self._output: list[bytes] = []
        self._events: list[Event] = []

    @property
    def buffered_bytes(self) -> int:
        """Input that waits; a shell stops reading when a question is open and this is large."""
        return len(self._buffer) - self._at

    def receive(self, data: bytes) -> list[Event]:
        """Take input; return what came of it."""
        self.bytes_in += len(data)
        if not self.is_closed:
            self._buffer = self._buffer[self._at :] + data
            self._at = 0
        return self._go_on()

    def take_output(self) -> bytes:
        """Return what is to be written, in order, and forget it."""
        output, self._output = self._output, []
        return output[0] if len(output) == 1 else b"".join(output)

    def abort(self, text: str, reason: str) -> list[Event]:
        """End the session with a last word, where it has not ended; the mailbox stays as it was."""
        if not self.is_closed:
            self.question = None
            self._refuse(text)
            self._close(reason)
        return self._take_events()

    # For the upper half.

    @abstractmethod
    def _execute(self, line: bytes) -> None:
        """Do what a line says; it comes without its end."""

    @abstractmethod
    def _give_up_login(self) -> None:
        """What should have been a response of SASL is none."""

    def _go_on(self) -> list[Event]:
        """Execute lines until there is none, or a question is open."""
        while self.question is None and not self.is_closed and self._take_line():
            pass
        return self._take_events()

    def _say(self, text: str) -> None:
        self._output.append(f"+OK {text}\r\n".encode())

    def _refuse(self, text: str) -> None:
        self._output.append(f"-ERR {text}\r\n".encode())

    def _fault(self, text: str) -> None:
        """Refuse what no honest client sends."""
        self._refuse(text)
        self._faults += 1
        if self._faults >= FAULTS_MOST:
            self._refuse("Too many faulty commands")
            self._close("too many errors")

    def _ask(self, question: Question) -> None:
        self.question = question
        self._events.append(question)

    def _close(self, reason: str) -> None:
        self.is_closed = True
        self._forget_input()
        self._events.append(Closing(reason))

    def _take_line(self) -> bool:
        """Execute one line; tell whether there was one."""
        most = self._line_most()
        start, end = self._at, self._buffer.find(b"\n", self._at) + 1
        if not end:
            if self.buffered_bytes >= most:
                self._skipping = True
                self._forget_input()
            return False
        self._at = end
        if self._skipping or end - start > most:
            self._skipping = False
            if self._in_login:
                self._give_up_login()
            self._fault("The line is too long")
        else:
            line = self._buffer[start : end - 1]
            self._execute(line.removesuffix(b"\r"))
        return True

    def _line_most(self) -> int:
        # Clients send tokens of OAuth with AUTH, in one line, which RFC 5034 4 forbids above 255 bytes.
        holds_response = self._in_login or self._buffer[self._at : self._at + 5].upper() == b"AUTH "
        return RESPONSE_LINE_MOST_BYTES if holds_response else LINE_MOST_BYTES

    def _forget_input(self) -> None:
        self._buffer, self._at = b"", 0

    def _take_events(self) -> list[Event]:
        events, self._events = self._events, []
        return events
