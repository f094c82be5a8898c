"""The lower half of the SMTP server machine: command lines in, replies and events out, and the ways a session
ends.

Guarantee: a line is bounded before it is looked at and ends in CR LF; a bare CR or LF in one ends the
session, since another program on the way may have seen other commands in it.  Of a line that is too long
nothing is kept but its first bytes.

`smtp_content` adds what content is, and `smtp_server` what commands mean.
"""

from abc import ABC, abstractmethod
from typing import Final

from paperpath.base.limits import AUTH_LINE_MOST_BYTES, COMMAND_LINE_MOST_BYTES
from paperpath.base.reply import Reply
from paperpath.base.terms import RecipientTerms
from paperpath.protocol.smtp_config import ServerConfig
from paperpath.protocol.smtp_events import Closing, Event, Question, Refusal, TransactionDropped
from paperpath.protocol.smtp_parameters import Asked
from paperpath.protocol.smtp_refusals import (
    BARE_CR_IN_COMMAND,
    BARE_LF_IN_COMMAND,
    LINE_TOO_LONG,
    R421_OUT_OF_STEP,
    R421_TOO_MANY_COMMANDS,
    R421_TOO_MANY_ERRORS,
)

FAULTS_MOST: Final = 20
"""Faulty commands in a row before the session ends: Postfix's hard limit.  An honest client makes none; one
that speaks another protocol (HTTP, a worm's shell script) makes one a line."""

_FAULT_CODES: Final = frozenset({500, 501, 502, 555})
"""What counts as faulty: unreadable, unknown.  Not 503 and 554, which an honest client gets for everything it
pipelined behind a refused MAIL, nor 452, 552 and 553."""

_START_BYTES: Final = 16
"""What is looked at of a line that cannot be read, to tell DATA and BDAT from others."""

_NO_LETTERS: Final = bytes(byte for byte in range(256) if not chr(byte).isascii() or not chr(byte).isalpha())
"""What may stand before and in a verb that somebody else might still read as one: blanks, NULs and the like."""

_DROPPED: Final = TransactionDropped()


def line_most_bytes(config: ServerConfig) -> int:
    """Return how long a line from the client may be."""
    return AUTH_LINE_MOST_BYTES if config.mechanisms else COMMAND_LINE_MOST_BYTES


class Conversation(ABC):
    """Lines, replies, events and the transaction's data; how a session ends."""

    __slots__ = (
        "_at",
        "_buffer",
        "_envelope_bytes",
        "_events",
        "_faults",
        "_line_most",
        "_output",
        "_pointless",
        "_skipped",
        "asked",
        "authenticated_at",
        "bytes_in",
        "config",
        "is_closed",
        "question",
        "recipient_terms",
        "recipients",
        "refused",
        "secure",
        "sender",
        "smtputf8",
    )

    def __init__(self, config: ServerConfig) -> None:
        self.config = config
        self.question: Question | None = None
        """The open question, or None."""
        self.is_closed = False
        """`Closing` was emitted: nothing is read any more."""
        self.bytes_in = 0
        self.refused = 0
        """Negative replies, the machine's and the shell's."""
        self.secure = False
        """Whether TLS is in use.  The shell says so, once it is."""
        self.authenticated_at = 0
        """When the client proved who it is, in seconds since the epoch; 0: it has not.  The shell says so."""
        self._line_most = line_most_bytes(config)
        self._faults = self._pointless = 0
        self._buffer = b""
        self._at = 0
        self._output = [config.greeting]
        self._events: list[Event] = []
        self._skipped: bytes | None = None  # the first bytes of the over-long line that is being skipped
        self._clear_transaction()

    def take_output(self) -> bytes:
        """Return the replies to write, in order, and forget them."""
        output, self._output = self._output, []
        return output[0] if len(output) == 1 else b"".join(output)

    @property
    def buffered_bytes(self) -> int:
        """Input that waits; a shell stops reading when a question is open and this is large."""
        return len(self._buffer) - self._at

    def _take_events(self) -> list[Event]:
        events, self._events = self._events, []
        return events

    # Lines.

    def _consume(self, end: int) -> None:
        """Forget the input before ``end``."""
        if end == len(self._buffer):
            self._buffer = b""
            self._at = 0
        else:
            self._at = end

    @abstractmethod
    def _execute(self, line: bytes) -> None:
        """Do what a well-formed line says; it comes without its CR LF."""

    def _take_line(self) -> bool:
        """Execute one command; returns whether there was one."""
        buffer = self._buffer
        end = buffer.find(b"\n", self._at) + 1
        if not end:
            self._keep_unfinished_line()
            return False
        line = buffer[self._at : end]
        self._consume(end)
        if not line.endswith(b"\r\n"):
            self._refuse_and_close(BARE_LF_IN_COMMAND)
        elif self._skipped is not None or len(line) > self._line_most:
            start, self._skipped = self._skipped or line, None
            self._refuse_unreadable(start, LINE_TOO_LONG)
        elif line.find(b"\r") != len(line) - 2:
            self._refuse_and_close(BARE_CR_IN_COMMAND)
        else:
            self._pointless += 1
            self._execute(line[:-2])
            if self._pointless > self.config.commands_most > 0:
                self._hang_up(R421_TOO_MANY_COMMANDS, "too many commands")
        return True

    def _keep_unfinished_line(self) -> None:
        """Wait for the rest of a line; of one that is too long already keep its first bytes, and a CR."""
        rest = self._buffer[self._at :]
        if self._skipped is None and len(rest) > self._line_most:
            self._skipped = rest[:_START_BYTES]
        self._buffer = rest if self._skipped is None else rest[-1:]
        self._at = 0

    # Questions, refusals and ends.

    def _ask(self, question: Question) -> None:
        self.question = question
        self._events.append(question)

    def _refuse(self, refusal: Refusal) -> None:
        self.refused += 1
        self._events.append(refusal)
        self._output.append(refusal.reply.encode())
        if refusal.reply.code in _FAULT_CODES:
            self._faults += 1
            if self._faults >= FAULTS_MOST:
                self._hang_up(R421_TOO_MANY_ERRORS, "too many errors")

    def _refuse_and_close(self, refusal: Refusal) -> None:
        self._refuse(refusal)
        self._close(refusal.reason)

    def _refuse_unreadable(self, line: bytes, refusal: Refusal) -> None:
        """Refuse a command that cannot be read; if it announces content, that must not be taken for commands."""
        self._refuse(refusal)
        verb = line[:_START_BYTES].translate(None, _NO_LETTERS)[:4].upper()
        if verb == b"BDAT":
            self._hang_up(R421_OUT_OF_STEP, "chunk of unknown size")
        elif verb == b"DATA":
            self._close_if_pipelined()

    def _close_if_pipelined(self) -> None:
        """After a refused DATA: what the client sent on without waiting for 354 is content, never commands."""
        if self._buffer:
            self._hang_up(R421_OUT_OF_STEP, "pipelining past a refused DATA")

    def _hang_up(self, reply: Reply, reason: str) -> None:
        if not self.is_closed:
            self._output.append(reply.encode())
            self._close(reason)

    def _close(self, reason: str) -> None:
        if self.is_closed:
            return
        self._drop_transaction()
        self.is_closed = True
        self.question = None
        self._buffer = b""
        self._at = 0
        self._events.append(Closing(reason))

    # The transaction's data.

    def _drop_transaction(self) -> None:
        if self.sender is not None:
            self._events.append(_DROPPED)
            self._clear_transaction()

    def _clear_transaction(self) -> None:
        self.sender: bytes | None = None
        """None outside a transaction, empty for the null reverse-path."""
        self.asked: Asked | None = None
        """What MAIL asked for beside the delivery."""
        self.recipients: list[bytes] = []
        self._envelope_bytes = 0
        self.recipient_terms: dict[int, RecipientTerms] = {}
        """What RCPT asked for, by the place in ``recipients``; most ask for nothing."""
        self.smtputf8 = False
