"""QMQP, the server's side (qmail-interfaces 14.3): one message with its whole envelope, one answer.

The request is one netstring that holds netstrings: the message, the sender, the recipients.  ``receive`` takes bytes
and returns what they bring; the message comes in parts, so it need not fit into memory.  Nothing is refused before the
request has ended: a peer that is still writing would miss the answer.

Imports next to nothing: qmail-qmqpd, which lives for one connection, uses it too.
"""

from paperpath.protocol.netstring import DIGITS_MOST, NetstringError, Reader, netstring, split

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable

_FRAMING_MOST_BYTES = 2 * (DIGITS_MOST + 2)
"""What the message's length and comma, and the sender's, add to a request."""


class Request:
    """The request has ended; answer it."""

    __slots__ = ("recipients", "sender")

    def __init__(self, sender: bytes, recipients: tuple[bytes, ...]) -> None:
        self.sender, self.recipients = sender, recipients


class TooLarge:
    """The request has ended and was larger than is taken; nothing of it was kept."""

    __slots__ = ()


class Malformed:
    """The peer does not speak QMQP; it gets no answer."""

    __slots__ = ("reason",)

    def __init__(self, reason: str) -> None:
        self.reason = reason


Event = bytes | Request | TooLarge | Malformed
"""Bytes are a piece of the message, in order; never empty."""


def answer(letter: str, text: str) -> bytes:
    """Return an answer: ``K`` accepted, ``Z`` not now, ``D`` never."""
    return netstring((letter + text).encode())


class QmqpServer(Reader):
    """One request, from its first byte to its last; what follows that is an error."""

    __slots__ = ("_envelope_most", "_message_most", "_request_left", "_step", "is_broken", "is_done")

    def __init__(self, *, message_most_bytes: int, envelope_most_bytes: int) -> None:
        super().__init__()
        self._message_most, self._envelope_most = message_most_bytes, envelope_most_bytes
        self._request_left = 0
        """Bytes of the request behind what is being read, its last comma not counted."""
        self._step: Callable[[QmqpServer, list[Event]], bool] = QmqpServer._on_length
        self.is_broken = False
        """Whether Malformed was told: bytes are ignored."""
        self.is_done = False
        """Whether Request, TooLarge or Malformed was told: nothing more is expected."""

    def receive(self, data: bytes) -> list[Event]:
        """Take bytes from the peer."""
        self.bytes_in += len(data)
        if self.is_broken:
            return []
        self._buffer += data
        events: list[Event] = []
        try:
            while not self.is_done and self._step(self, events):
                pass
            if self.is_done and self._buffer:
                raise NetstringError("more than one request")
        except NetstringError as error:
            self.is_broken = self.is_done = True
            self._buffer.clear()
            events = [event for event in events if isinstance(event, bytes)]
            events.append(Malformed(str(error)))
        return events

    # Steps: each handles what it can of the buffer, and returns False where more must come first.

    def _on_length(self, _events: list[Event]) -> bool:
        found = self._read_length()
        if found is None:
            return False
        if found > self._message_most + self._envelope_most + _FRAMING_MOST_BYTES:
            self._step = QmqpServer._on_discarding
        else:
            self._request_left = found
            self._step = QmqpServer._on_message_length
        return True

    def _on_message_length(self, _events: list[Event]) -> bool:
        before = len(self._buffer)
        found = self._read_length(self._request_left)
        if found is None:
            return False
        self._request_left -= before - len(self._buffer) + found + 1
        if self._request_left < 0:
            raise NetstringError("the message is longer than the request")
        if found > self._message_most or self._request_left > self._envelope_most:
            self._left += 1 + self._request_left
            self._step = QmqpServer._on_discarding
        else:
            self._step = QmqpServer._on_message
        return True

    def _on_message(self, events: list[Event]) -> bool:
        part = self._take()
        if part:
            events.append(part)
        if self._left or not self._take_comma():
            return False
        self._left = self._request_left
        self._step = QmqpServer._on_envelope
        return True

    def _on_envelope(self, events: list[Event]) -> bool:
        if len(self._buffer) <= self._left:
            return False
        envelope = split(self._take())
        self._take_comma()
        if not envelope:
            raise NetstringError("a request without a sender")
        return self._end(events, Request(envelope[0], tuple(envelope[1:])))

    def _on_discarding(self, events: list[Event]) -> bool:
        self._take()
        return not self._left and self._take_comma() and self._end(events, TooLarge())

    def _end(self, events: list[Event], event: Event) -> bool:
        self.is_done = True
        events.append(event)
        return True
