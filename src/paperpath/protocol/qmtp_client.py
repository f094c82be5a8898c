"""QMTP client (qmail-interfaces 14.2): one connection, any number of transactions, told as `smtp_client` tells them.

The server speaks only when it has a package's last byte, one answer for each recipient in their order.  Nothing is
negotiated, so the connection is ready as soon as it is there, addresses and content go as they are, and what senders
ask for beside the delivery is not carried.  Every recipient ends with exactly one outcome; what the server did not
clearly say is `Deferred`, and after a whole package may mean a duplicate.
"""

import re

from paperpath.base.outcome import Deferred, Delivered, Failed, Outcome
from paperpath.base.text import one_line, show
from paperpath.protocol.netstring import NetstringError, Reader, netstring
from paperpath.protocol.smtp_client_events import (
    CONNECTION_LOST,
    LIMITS,
    PROTOCOL_ERROR,
    Capabilities,
    Event,
    Finished,
    Phase,
    Ready,
    SendContent,
    Transaction,
)

ANSWER_MOST_BYTES = 10_000
"""Longest answer that is read; qmail's own have less than a hundred."""

_TEXT_MOST = 450
_STATUS = re.compile(r"\(#([245])\.([0-9]{1,3}\.[0-9]{1,3})\)$")
_CLASSES = {b"K": "2", b"Z": "4", b"D": "5"}


class PackageEncoder:
    """A package as it is sent: the length of the content first, then the content, then the envelope."""

    __slots__ = ("_head", "_tail")

    def __init__(self, transaction: Transaction) -> None:
        # The first byte of the message says that its lines end in LF, as they are kept.
        self._head = b"%d:\n" % (transaction.size + 1)
        recipients = b"".join(map(netstring, transaction.recipients))
        self._tail = b"," + netstring(transaction.sender) + netstring(recipients)

    def feed(self, block: bytes) -> bytes:
        """Return the next block of content as it is sent."""
        head, self._head = self._head, b""
        return head + block

    def end(self) -> bytes:
        """Return what ends the package."""
        return self._tail


class QmtpClient(Reader):
    """One connection.  ``host`` is the server's name as outcomes show it."""

    __slots__ = ("_outcomes", "_output", "_size", "_transaction", "host", "phase", "steps")

    capabilities = Capabilities()
    """None are known of."""
    is_secure = False
    is_exhausted = False

    def __init__(self, host: str) -> None:
        super().__init__()
        self.host = host
        self._transaction: Transaction | None = None
        self._outcomes: list[Outcome] = []
        self._output: list[bytes] = []
        self._size: int | None = None
        self.phase = Phase.GREETING
        self.steps = 0
        """Counts answers and turns: the phase's clock starts again when it changes."""

    def connected(self) -> list[Event]:
        """The connection is there."""
        self._to(Phase.READY)
        return [Ready()]

    def take_output(self) -> bytes:
        """Return what is to be sent, once."""
        data, self._output = b"".join(self._output), []
        return data

    def encoder(self) -> PackageEncoder:
        """Return what the content of the transaction under way is sent by."""
        assert self._transaction is not None
        return PackageEncoder(self._transaction)

    def begin(self, transaction: Transaction) -> list[Event]:
        """Start a transaction; the phase must be READY."""
        assert self.phase is Phase.READY
        self._transaction, self._outcomes = transaction, []
        if transaction.content is None:
            self._to(Phase.CONTENT)
            return [SendContent()]
        encoder = self.encoder()
        self._output += [encoder.feed(transaction.content), encoder.end()]
        self._to(Phase.END_OF_DATA)
        return []

    def content_sent(self) -> None:
        """The owner has sent the whole content with its end."""
        if self.phase is Phase.CONTENT:
            self._to(Phase.END_OF_DATA)

    def tls_started(self) -> None:
        """Never: QMTP has no TLS."""
        raise RuntimeError("TLS in QMTP")

    def quit(self) -> None:
        """Part; there is no word for it."""
        self.phase = Phase.CLOSED

    def receive(self, data: bytes) -> list[Event]:
        """Take what arrived; return what follows from it.  After the connection is over, bytes are ignored."""
        events: list[Event] = []
        self._buffer += data
        try:
            while self.phase is not Phase.CLOSED and (answer := self._answer()) is not None:
                self._take_answer(answer, events)
            if self._buffer and self.phase is not Phase.END_OF_DATA and self.phase is not Phase.CLOSED:
                raise NetstringError("it speaks out of turn")
        except NetstringError as error:
            self._end(f"not understood: {error}", PROTOCOL_ERROR, events)
        return events

    def lost(self, how: str) -> list[Event]:
        """The connection is over; ``how`` says what happened."""
        events: list[Event] = []
        if self.phase is not Phase.CLOSED:
            self._end(f"{how} while waiting for {LIMITS[self.phase].words}", CONNECTION_LOST, events)
        return events

    def _to(self, phase: Phase) -> None:
        self.phase = phase
        self.steps += 1

    def _answer(self) -> bytes | None:
        """Take one answer off the buffer.  Raises NetstringError."""
        if self.phase is not Phase.END_OF_DATA:
            return None
        if self._size is None:
            self._size = self._read_length()
            if self._size is None:
                return None
            if not 0 < self._size <= ANSWER_MOST_BYTES:
                raise NetstringError("an answer of that length")
        if len(self._buffer) <= self._size:
            return None
        answer, self._size = self._take(), None
        self._take_comma()
        return answer

    def _take_answer(self, answer: bytes, events: list[Event]) -> None:
        assert self._transaction is not None
        self._outcomes.append(self._outcome(answer))
        self.steps += 1
        if len(self._outcomes) == len(self._transaction.recipients):
            self._transaction = None
            self._to(Phase.READY)
            events.append(Finished(tuple(self._outcomes)))

    def _outcome(self, answer: bytes) -> Outcome:
        kind = _CLASSES.get(answer[:1])
        if kind is None:
            raise NetstringError("an answer that is neither K, Z nor D")
        text = one_line(show(answer[1:]), _TEXT_MOST)
        found = _STATUS.search(text)
        code = found[2] if found is not None and found[1] == kind else "0.0"
        if kind == "2":
            return Delivered(text, self.host, code)
        return Deferred(text, self.host, code) if kind == "4" else Failed(text, self.host, code)

    def _end(self, why: str, code: str, events: list[Event]) -> None:
        """The connection is over; what is undecided is deferred."""
        phase, self.phase = self.phase, Phase.CLOSED
        self._output.clear()
        self._buffer.clear()
        transaction, self._transaction = self._transaction, None
        if transaction is not None:
            note = "; possible duplicate" if phase is Phase.END_OF_DATA else ""
            missing = len(transaction.recipients) - len(self._outcomes)
            deferred = Deferred(why + note, self.host, code)
            events.append(Finished((*self._outcomes, *(deferred,) * missing)))
