"""QMTP, the server's side (qmail-interfaces 14.2), without I/O: bytes in; pieces of messages and packages out.

A client sends packages back to back: a message, a sender, recipients.  Each package gets one answer a recipient, in
their order, after its last byte and not before; while one waits for its answers, nothing that came behind it is looked
at.  Addresses are raw bytes; one that is too long comes as None.

Guarantees.  What is told does not depend on how the input was cut.  No byte of a message is ever read as anything else:
its length came before it.  Memory is bounded by the largest input and what a package may have of recipients; of a
message that is too large nothing is kept, and its package is read to its end all the same, so that it can be answered.
After `Malformed` nothing happens any more.

Imports next to nothing: qmail-qmtpd, which lives for one connection, uses it too.
"""

from paperpath.protocol.netstring import DIGITS_MOST, NetstringError, Reader, netstring

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
LENGTH_MOST = 2_000_000_009
"""The longest netstring that qmail's servers read."""

EXCESS_MOST = 10_000
"""Recipients beyond those that a package may have and still get an answer, so that an honest client sends them again.
A package with more of them is no mail."""

TOO_MANY = b"Ztoo many recipients, send the rest in another package (#4.5.3)"

_LF, _CRLF = b"\n", b"\r"


class Package:
    """A package has ended; answer it."""

    __slots__ = ("is_too_large", "recipients", "sender")

    def __init__(
        self, sender: bytes | None, recipients: "Sequence[bytes | None]", *, is_too_large: bool = False
    ) -> None:
        self.sender, self.recipients = sender, tuple(recipients)
        """As they came, NULs included; None for one that is too long.  An empty sender is the null one."""
        self.is_too_large = is_too_large
        """The message was larger than is taken; what came of it is worth nothing."""


class Malformed:
    """The client does not speak QMTP; it gets no answer, and the connection is over."""

    __slots__ = ("is_too_long", "reason")

    def __init__(self, reason: str, *, is_too_long: bool = False) -> None:
        self.reason = reason
        self.is_too_long = is_too_long
        """It may be QMTP, but is longer than can be read."""


Event = bytes | Package | Malformed
"""Bytes are a piece of the message, its lines ending in LF where they ended in CR LF; never empty."""


class _TooLong(NetstringError):
    """A length that nobody means."""


class QmtpServer(Reader):
    """One connection.  Feed it with ``receive``, answer each `Package`, write what ``take_output`` returns.

    Stop reading while a package waits and ``buffered_bytes`` is large.
    """

    __slots__ = (
        "_address_most", "_cr", "_envelope_most", "_excess", "_is_crlf", "_is_too_large", "_list_left", "_message_most",
        "_output", "_recipients", "_recipients_most", "_sender", "_size", "_skipping", "_step", "is_closed", "package",
    )  # fmt: skip

    def __init__(
        self, *, message_most_bytes: int, recipients_most: int, envelope_most_bytes: int, address_most_bytes: int
    ) -> None:
        super().__init__()
        self._message_most, self._recipients_most = message_most_bytes, recipients_most
        self._envelope_most, self._address_most = envelope_most_bytes, address_most_bytes
        self._output: list[bytes] = []
        self.is_closed = False
        """`Malformed` was told."""
        self.package: Package | None = None
        """The package that waits for its answers."""
        self._begin()

    # What the owner calls.

    @property
    def is_between(self) -> bool:
        """Whether no package has begun."""
        return self.package is None and self._step == QmtpServer._on_message_length and not self._buffer

    def take_output(self) -> bytes:
        """Return the answers to write, and forget them."""
        output, self._output = self._output, []
        return b"".join(output)

    def receive(self, data: bytes) -> "list[Event]":
        """Take bytes from the client.  Returns nothing while a package waits, and after `Malformed`."""
        self.bytes_in += len(data)
        if self.is_closed:
            return []
        self._buffer += data
        return self._run() if self.package is None else []

    def answer(self, answers: "Sequence[bytes]") -> "list[Event]":
        """Answer the package that waits, with ``K``, ``Z`` or ``D`` and a text for each recipient, in their order; go
        on with what came behind it."""
        package = self.package
        assert package is not None and len(answers) == len(package.recipients)
        self._output += [netstring(answer) for answer in answers]
        self._output += [netstring(TOO_MANY)] * self._excess
        self._begin()
        return self._run()

    def close(self) -> None:
        """Read nothing more."""
        self.is_closed = True
        self.package = None
        self._buffer.clear()

    # From one package to the next.

    def _begin(self) -> None:
        self.package = None
        self._step: Callable[[QmtpServer, list[Event]], bool] = QmtpServer._on_message_length
        self._size = self._excess = self._list_left = 0
        self._cr = self._is_crlf = self._is_too_large = self._skipping = False
        self._sender: bytes | None = None
        self._recipients: list[bytes | None] = []

    def _run(self) -> "list[Event]":
        events: list[Event] = []
        try:
            while self.package is None and self._step(self, events):
                pass
        except NetstringError as error:
            self.close()
            events.append(Malformed(str(error), is_too_long=isinstance(error, _TooLong)))
        return events

    def _read_length(self, most_bytes: int = DIGITS_MOST + 1) -> int | None:
        found = super()._read_length(most_bytes)
        if found is not None and found > LENGTH_MOST:
            raise _TooLong("a netstring that is too long")
        self._skipping = False
        return found

    # Steps: each handles what it can of the buffer, and returns False where more must come first.

    def _on_message_length(self, _events: "list[Event]") -> bool:
        found = self._read_length()
        if found is None:
            return False
        if not found:
            raise NetstringError("a message without its encoding")
        self._step = QmtpServer._on_encoding
        return True

    def _on_encoding(self, _events: "list[Event]") -> bool:
        if not self._buffer:
            return False
        code = bytes(self._buffer[:1])
        if code not in (_LF, _CRLF):
            raise NetstringError("a message in an unknown encoding")
        del self._buffer[:1]
        self._left -= 1
        self._is_crlf = code == _CRLF
        self._is_too_large = not self._is_crlf and self._left > self._message_most
        self._step = QmtpServer._on_message
        return True

    def _on_message(self, events: "list[Event]") -> bool:
        part = self._take()
        if self._is_crlf:
            part = self._decoded(part)
        self._size += len(part)
        self._is_too_large = self._is_too_large or self._size > self._message_most
        if part and not self._is_too_large:
            events.append(part)
        if self._left or not self._take_comma():
            return False
        self._step = QmtpServer._on_sender_length
        return True

    def _decoded(self, part: bytes) -> bytes:
        """Make CR LF into LF; a CR at the end waits for what follows it.  What is not CR LF stays."""
        if self._cr:
            part = b"\r" + part
        self._cr = self._left > 0 and part.endswith(b"\r")
        if self._cr:
            part = part[:-1]
        return part.replace(b"\r\n", b"\n")

    def _on_sender_length(self, _events: "list[Event]") -> bool:
        if self._read_length() is None:
            return False
        self._step = QmtpServer._on_sender
        return True

    def _on_sender(self, _events: "list[Event]") -> bool:
        if not self._has_address():
            return False
        self._sender = self._take_address()
        self._step = QmtpServer._on_list_length
        return True

    def _on_list_length(self, _events: "list[Event]") -> bool:
        found = self._read_length()
        if found is None:
            return False
        if found > self._envelope_most:
            raise _TooLong("a list of recipients that is too long")
        self._list_left = found
        self._step = QmtpServer._on_recipient_length
        return True

    def _on_recipient_length(self, events: "list[Event]") -> bool:
        if not self._list_left:
            return self._end(events)
        before = len(self._buffer)
        found = self._read_length(self._list_left)
        if found is None:
            return False
        self._list_left -= before - len(self._buffer) + found + 1
        if self._list_left < 0:
            raise NetstringError("a recipient that is longer than the list")
        self._step = QmtpServer._on_recipient
        return True

    def _on_recipient(self, _events: "list[Event]") -> bool:
        if not self._has_address():
            return False
        address = self._take_address()
        if len(self._recipients) < self._recipients_most:
            self._recipients.append(address)
        else:
            self._excess += 1
            if self._excess > EXCESS_MOST:
                raise NetstringError("far too many recipients")
        self._step = QmtpServer._on_recipient_length
        return True

    def _has_address(self) -> bool:
        """Whether the rest of an address and its comma are there; of one that is too long what is there goes away."""
        if self._left > self._address_most:
            self._skipping = True
        if self._skipping:
            self._take()
        return len(self._buffer) > self._left

    def _take_address(self) -> bytes | None:
        address = self._take()
        self._take_comma()
        return None if self._skipping else address

    def _end(self, events: "list[Event]") -> bool:
        if not self._take_comma():
            return False
        self.package = Package(self._sender, self._recipients, is_too_large=self._is_too_large)
        events.append(self.package)
        return True
