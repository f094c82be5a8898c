"""QMQP, the server's side (qmail-interfaces 14.3): one message with its whole envelope, one answer.

The request is one netstring that holds netstrings: the message, the sender, the recipients.  ``receive`` takes bytes
and returns what they bring; the message comes in parts, so it need not fit into memory.  Nothing is refused before the
request has ended: a peer that is still writing would miss the answer.
"""

from dataclasses import dataclass
from enum import Enum, auto

from paperpath.protocol.netstring import DIGITS_MOST, NetstringError, length, netstring, split

_FRAMING_MOST_BYTES = 2 * (DIGITS_MOST + 2)
"""What the message's length and comma, and the sender's, add to a request."""


class State(Enum):
    """What is expected next."""

    LENGTH = auto()
    MESSAGE_LENGTH = auto()
    MESSAGE = auto()
    ENVELOPE = auto()
    DISCARDING = auto()
    """A request that is too large, until its end."""
    DONE = auto()


@dataclass(frozen=True, slots=True)
class MessagePart:
    """A piece of the message, in order."""

    data: bytes


@dataclass(frozen=True, slots=True)
class Request:
    """The request has ended; answer it."""

    sender: bytes
    recipients: tuple[bytes, ...]


@dataclass(frozen=True, slots=True)
class TooLarge:
    """The request has ended and was larger than is taken; nothing of it was kept."""


@dataclass(frozen=True, slots=True)
class Malformed:
    """The peer does not speak QMQP; it gets no answer."""

    reason: str


Event = MessagePart | Request | TooLarge | Malformed


def answer(letter: str, text: str) -> bytes:
    """Return an answer: ``K`` accepted, ``Z`` not now, ``D`` never."""
    return netstring((letter + text).encode())


class QmqpServer:
    """One request, from its first byte to its last; what follows that is an error."""

    def __init__(self, *, message_most_bytes: int, envelope_most_bytes: int) -> None:
        self._message_most, self._envelope_most = message_most_bytes, envelope_most_bytes
        self._buffer = bytearray()
        self._left = 0
        """Bytes of the request that are still to come, its last comma not counted."""
        self._message_left = 0
        self.state = State.LENGTH

    def receive(self, data: bytes) -> list[Event]:
        """Take bytes from the peer; after Request, TooLarge or Malformed nothing more is expected."""
        self._buffer += data
        events: list[Event] = []
        try:
            while self.state is not State.DONE and self._step(events):
                pass
            if self.state is State.DONE and self._buffer:
                raise NetstringError("more than one request")
        except NetstringError as error:
            self.state = State.DONE
            self._buffer.clear()
            events = [event for event in events if isinstance(event, MessagePart)]
            events.append(Malformed(str(error)))
        return events

    def _step(self, events: list[Event]) -> bool:
        """Handle what is in the buffer; False where more must come first."""
        return _STEPS[self.state](self, events)

    def _read_length(self) -> int | None:
        colon = self._buffer.find(b":", 0, DIGITS_MOST + 1)
        if colon < 0:
            if len(self._buffer) > DIGITS_MOST:
                raise NetstringError("a length without its colon")
            return None
        found = length(bytes(self._buffer[:colon]))
        del self._buffer[: colon + 1]
        self._left -= colon + 1
        return found

    def _take(self, most: int) -> bytes:
        taken = bytes(self._buffer[:most])
        del self._buffer[:most]
        self._left -= len(taken)
        return taken

    def _on_length(self, _events: list[Event]) -> bool:
        found = self._read_length()
        if found is None:
            return False
        self._left = found
        fits = found <= self._message_most + self._envelope_most + _FRAMING_MOST_BYTES
        self.state = State.MESSAGE_LENGTH if fits else State.DISCARDING
        return True

    def _on_message_length(self, _events: list[Event]) -> bool:
        found = self._read_length()
        if found is None:
            return False
        if found + 1 > self._left:
            raise NetstringError("the message is longer than the request")
        self._message_left = found
        too_large = found > self._message_most or self._left - found - 1 > self._envelope_most
        self.state = State.DISCARDING if too_large else State.MESSAGE
        return True

    def _on_message(self, events: list[Event]) -> bool:
        part = self._take(self._message_left)
        self._message_left -= len(part)
        if part:
            events.append(MessagePart(part))
        if self._message_left or not self._buffer:
            return False
        if self._take(1) != b",":
            raise NetstringError("a message without its comma")
        self.state = State.ENVELOPE
        return True

    def _on_envelope(self, events: list[Event]) -> bool:
        if len(self._buffer) <= self._left:
            return False
        envelope = split(self._take(self._left))
        self._end()
        if not envelope:
            raise NetstringError("a request without a sender")
        events.append(Request(envelope[0], tuple(envelope[1:])))
        return True

    def _on_discarding(self, events: list[Event]) -> bool:
        self._take(self._left)
        if self._left or not self._buffer:
            return False
        self._end()
        events.append(TooLarge())
        return True

    def _end(self) -> None:
        if self._buffer[:1] != b",":
            raise NetstringError("a request without its comma")
        del self._buffer[:1]
        self.state = State.DONE


_STEPS = {
    State.LENGTH: QmqpServer._on_length,
    State.MESSAGE_LENGTH: QmqpServer._on_message_length,
    State.MESSAGE: QmqpServer._on_message,
    State.ENVELOPE: QmqpServer._on_envelope,
    State.DISCARDING: QmqpServer._on_discarding,
}
