"""What qmail-inject makes of a message that somebody wrote: its header completed, its envelope read from it.

The rules are those of qmail-interfaces 16.3 and 16.4, with the corrections of 29.  The body is not looked at.
"""

from paperpath.message.rewriting import must_quote, quote_argument
from paperpath.message.rfc822 import ATOM, COMMENT, QUOTE, Unparsable, lex, rewrite_addresses, unlex
from paperpath.message.trace_qmail import date

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable

    from paperpath.message.rewriting import Rewriter
    from paperpath.message.rfc822 import Token

_NAME = bytes(byte for byte in range(33, 127) if byte != ord(":"))

_LISTED = frozenset((b"to", b"cc"))
_PLAIN_RECIPIENTS = _LISTED | {b"bcc", b"apparently-to"}
_RESENT_RECIPIENTS = frozenset((b"resent-to", b"resent-cc", b"resent-bcc"))
_ONLY_REWRITTEN = frozenset(
    (
        b"sender",
        b"from",
        b"reply-to",
        b"return-receipt-to",
        b"errors-to",
        b"resent-sender",
        b"resent-from",
        b"resent-reply-to",
    )
)
_ADDRESSES = _PLAIN_RECIPIENTS | _RESENT_RECIPIENTS | _ONLY_REWRITTEN | {b"return-path"}
_MAY_BE_UNREADABLE = _PLAIN_RECIPIENTS | _RESENT_RECIPIENTS
_DELETED = frozenset((b"bcc", b"resent-bcc", b"return-path", b"content-length"))
_DELETING = {b"s": b"return-path", b"f": b"from", b"i": b"message-id"}
_MAKES_RESENT = _RESENT_RECIPIENTS | {
    b"resent-sender", b"resent-from", b"resent-reply-to", b"resent-date", b"resent-message-id",
}  # fmt: skip


class UnreadableField(ValueError):
    """A field that has to hold addresses does not; the argument is the whole field."""


class Author:
    """Who writes: what the environment says, each as bytes, or None where it says nothing."""

    __slots__ = ("host", "name", "sender_host", "sender_user", "user")

    def __init__(
        self,
        user: bytes,
        host: bytes | None,
        name: bytes | None,
        sender_user: bytes,
        sender_host: bytes | None,
    ) -> None:
        self.user, self.host, self.name = user, host, name
        self.sender_user, self.sender_host = sender_user, sender_host


class Moment:
    """What makes this message unlike every other: seconds since the epoch, as UTC's parts too, and the process."""

    __slots__ = ("parts", "pid", "seconds")

    def __init__(self, seconds: int, parts: tuple[int, int, int, int, int, int], pid: int) -> None:
        self.seconds, self.pid = seconds, pid
        self.parts = parts
        """Year, month, day, hour, minute, second."""


class Composer:
    """Reads the header of one message and writes it anew.

    ``letters`` are those of QMAILINJECT.  After ``read``: ``recipients`` and ``sender`` for the envelope, and
    ``header`` for the message.
    """

    def __init__(self, rewriter: "Rewriter", author: Author, moment: Moment, id_host: bytes, letters: bytes) -> None:
        self._rewriter, self._author, self._moment = rewriter, author, moment
        self._id_host = id_host
        self._letters = letters
        self._deleted = {name for letter, name in _DELETING.items() if letter in letters}
        self._kept: list[bytes] = []
        self._seen: set[bytes] = set()
        self._plain: list[bytes] = []
        self._resent: list[bytes] = []
        self._listed: list[bytes] = []
        self.sender: bytes | None = None

    def read(self, fields: list[bytes]) -> None:
        """Take the fields of the header, in order.  Raises UnreadableField."""
        for field in fields:
            self._field(field)

    @property
    def recipients(self) -> list[bytes]:
        """Recipients that the header names."""
        return self._resent if self._is_resent else self._plain

    def default_sender(self) -> bytes:
        """Return the envelope sender that follows from the environment.  Raises UnreadableField."""
        author, user = self._author, self._author.sender_user
        if b"m" in self._letters:
            user += b"-%d.%d" % (self._moment.seconds, self._moment.pid)
        if b"r" in self._letters:
            user += b"-"
        tokens = _mailbox(user, author.sender_host, must_quote(author.sender_user))
        found: list[bytes] = []
        self._rewritten(unlex([(ATOM, b"Return-Path"), (":", b""), ("<", b""), *tokens, (">", b"")]), found.append)
        return (found[0] if found else b"") + (b"-@[]" if b"r" in self._letters else b"")

    def header(self, follow_up: "frozenset[bytes]") -> bytes:
        """Return the whole header; ``follow_up`` are the addresses (lower case) of Mail-Followup-To's file."""
        prefix = b"Resent-" if self._is_resent else b""
        low = prefix.lower()
        lines: list[bytes] = []
        if low + b"date" not in self._seen:
            lines.append(prefix + _date(self._moment))
        if low + b"message-id" not in self._seen:
            lines.append(prefix + _message_id(self._moment, self._id_host))
        if low + b"from" not in self._seen:
            lines.append(prefix + self._default_from())
        if not self._seen.intersection((low + b"to", low + b"cc")):
            lines.append(prefix + b"Cc: recipient list not shown: ;\n")
        if not prefix:
            lines.append(self._follow_up(follow_up))
        return b"".join(lines + self._kept)

    @property
    def _is_resent(self) -> bool:
        return bool(self._seen & _MAKES_RESENT)

    def _field(self, field: bytes) -> None:
        name = field_name(field)
        if name in self._deleted:
            return
        self._seen.add(name)
        if name in _ADDRESSES:
            addresses: list[bytes] = []
            try:
                field = self._rewritten(field, addresses.append)
            except UnreadableField:
                if name not in _MAY_BE_UNREADABLE:
                    raise
            # Of a field that can be read in part only, that part counts.
            self._keep_addresses(name, addresses)
        if name not in _DELETED:
            self._kept.append(field)

    def _keep_addresses(self, name: bytes, addresses: list[bytes]) -> None:
        if name in _PLAIN_RECIPIENTS:
            self._plain += addresses
        if name in _LISTED:
            self._listed += addresses
        if name in _RESENT_RECIPIENTS:
            self._resent += addresses
        if name == b"return-path" and self.sender is None and addresses:
            self.sender = addresses[0] + (b"-@[]" if b"r" in self._letters else b"")

    def _rewritten(self, field: bytes, take: "Callable[[bytes], object]") -> bytes:
        def rewrite(address: "list[Token]") -> None:
            self._rewriter.rewrite(address)
            take(self._rewriter.envelope(address))

        try:
            return unlex(rewrite_addresses(lex(field), rewrite))
        except Unparsable:
            raise UnreadableField(field) from None

    def _default_from(self) -> bytes:
        author = self._author
        tokens: list[Token] = [(ATOM, b"From"), (":", b"")]
        name = None if author.name is None else _on_one_line(author.name)
        mailbox = _mailbox(author.user, author.host, must_quote(author.user))
        if name is None:
            tokens += mailbox
        elif b"c" in self._letters:
            tokens += [*mailbox, (COMMENT, name)]
        else:
            tokens += [(QUOTE, name), ("<", b""), *mailbox, (">", b"")]
        return self._rewritten(unlex(tokens), _ignore)

    def _follow_up(self, wanted: "frozenset[bytes]") -> bytes:
        if b"mail-followup-to" in self._seen or not any(address.lower() in wanted for address in self._listed):
            return b""
        addresses = [quote_argument(address) for address in reversed(self._listed)]
        return b"Mail-Followup-To: " + b",\n  ".join(addresses) + b"\n"


def _ignore(_address: bytes) -> None:
    return


def _mailbox(user: bytes, host: bytes | None, quoted: bool) -> "list[Token]":
    tokens: list[Token] = [(QUOTE if quoted else ATOM, _on_one_line(user))]
    return tokens if host is None else [*tokens, ("@", b""), (ATOM, _on_one_line(host))]


def _on_one_line(text: bytes) -> bytes:
    """Return what somebody is called without line ends: qmail would let them begin another field."""
    return text.replace(b"\r", b" ").replace(b"\n", b" ")


def _date(moment: Moment) -> bytes:
    return b"Date: %b\n" % date(moment.parts)


def _message_id(moment: Moment, host: bytes) -> bytes:
    stamp = b"%d%02d%02d%02d%02d%02d" % moment.parts
    return b"Message-ID: <%b.%d.qmail@%b>\n" % (stamp, moment.pid, host)


def field_name(field: bytes) -> bytes:
    """Return the name of a field in lower case; blanks may stand before the colon."""
    return field[: field.find(b":")].rstrip(b" \t").lower()


def is_field(line: bytes) -> bool:
    """Tell whether a line begins a field."""
    name, colon, _ = line.partition(b":")
    name = name.rstrip(b" \t")
    return bool(colon and name) and not name.translate(None, _NAME)


def split_message(raw: bytes) -> tuple[list[bytes], bytes]:
    """Return the fields, each with its folds and LF, and the rest with the empty line before it.

    A message without a body gets no empty line; a line that is no field begins the body, and gets one.
    """
    if raw and not raw.endswith(b"\n"):
        raw += b"\n"
    fields: list[bytes] = []
    at, end = 0, len(raw)
    while at < end:
        stop = raw.find(b"\n", at) + 1
        line = raw[at:stop]
        if line == b"\n":
            return fields, raw[at:]
        if not line.startswith(b"From ") and not is_field(line):
            return fields, b"\n" + raw[at:]
        stop = _end_of_folds(raw, stop)
        fields.append(_whole(raw[at:stop]))
        at = stop
    return fields, b""


def _end_of_folds(raw: bytes, at: int) -> int:
    while at < len(raw) and raw[at] in b" \t":
        at = raw.find(b"\n", at) + 1
    return at


def _whole(field: bytes) -> bytes:
    return b"MBOX-Line: " + field if field.startswith(b"From ") else field
