"""The server side of SMTP as qmail-smtpd speaks it, to the byte (qmail-interfaces 13).

The service speaks RFC 5321 by `protocol.smtp_server`; this is for hosts that run qmail-smtpd under tcpserver or inetd.
For programs that live for milliseconds: no patterns, no typing.

Whoever drives it feeds what the client sends and asks for one event after the other until there is none.  After
``Open`` it says whether a queue program could be started (`opened`), after ``Close`` what came of it (`judged`).
"""

from paperpath.protocol.qmail_smtpd_data import Data, StrayLineEnd

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable

HOPS_MOST = 100
ADDRESS_MOST_BYTES = 899
COMMAND_MOST_BYTES = 64 * 1024
"""qmail-smtpd takes lines of any length until its memory is gone, and then says so; here it is gone sooner."""

RECIPIENTS_MOST = 30_000
"""Likewise: qmail-smtpd takes any number.  So many of the longest fit the envelope that our qmail-queue takes."""

_OK = b"250 ok\r\n"
_HELP = b"214 qmail home page: http://pobox.com/~djb/qmail.html\r\n"
_BAD_SENDER = b"553 sorry, your envelope sender is in my badmailfrom list (#5.7.1)\r\n"
_NO_GATEWAY = b"553 sorry, that domain isn't in my list of allowed rcpthosts (#5.7.1)\r\n"
_SYNTAX = b"555 syntax error (#5.5.4)\r\n"
_WANT_MAIL = b"503 MAIL first (#5.5.1)\r\n"
_WANT_RCPT = b"503 RCPT first (#5.5.1)\r\n"
_UNIMPLEMENTED = b"502 unimplemented (#5.5.1)\r\n"
_TOO_MANY = b"452 too many recipients (#4.5.3)\r\n"
_NO_QUEUE = b"451 qqt failure (#4.3.0)\r\n"
_STRAY = b"451 See http://pobox.com/~djb/docs/smtplf.html.\r\n"
_LOOPING = b"554 too many hops, this message is looping (#5.4.6)\r\n"
_TOO_LARGE = b"552 sorry, that message size exceeds my databytes limit (#5.3.4)\r\n"
NO_MEMORY = b"421 out of memory (#4.3.0)\r\n"
NO_CONTROLS = b"421 unable to read controls (#4.3.0)\r\n"
TIMEOUT = b"451 timeout (#4.4.2)\r\n"


class Say:
    """Goes to the client, at the latest when there is nothing more to read."""

    __slots__ = ("text",)

    def __init__(self, text: bytes) -> None:
        self.text = text


class Open:
    """A queue program is to be started; the Received field is the first that it gets."""

    __slots__ = ()


class Put:
    """A piece of the message."""

    __slots__ = ("data",)

    def __init__(self, data: bytes) -> None:
        self.data = data


class Close:
    """The message is over: the queue program gets its envelope, or none where ``is_refused``."""

    __slots__ = ("is_refused", "recipients", "sender")

    def __init__(self, sender: bytes, recipients: list[bytes], *, is_refused: bool) -> None:
        self.sender, self.recipients, self.is_refused = sender, recipients, is_refused


class End:
    """The conversation is over; the program's exit code."""

    __slots__ = ("code",)

    def __init__(self, code: int) -> None:
        self.code = code


class Terms:
    """What files and environment say about mail from this client."""

    __slots__ = ("accepts", "databytes", "greeting", "is_bad_sender", "is_own", "literal_host", "suffix")

    def __init__(
        self,
        greeting: bytes,
        accepts: "Callable[[bytes], bool]",
        is_bad_sender: "Callable[[bytes], bool]",
        *,
        databytes: int = 0,
        suffix: bytes | None = None,
        literal_host: bytes | None = None,
        is_own: "Callable[[str], bool]" = lambda address: False,
    ) -> None:
        self.greeting, self.accepts, self.is_bad_sender = greeting, accepts, is_bad_sender
        self.databytes = databytes
        """The most that a message may have after decoding; 0: as much as it likes."""
        self.suffix = suffix
        """RELAYCLIENT: goes behind each recipient, which is then not asked about; None: not a relay client."""
        self.literal_host = literal_host
        """Stands for one of our addresses in brackets, which ``is_own`` tells; None: nothing does."""
        self.is_own = is_own


class Server:
    """One conversation."""

    def __init__(self, terms: Terms, peer_name: bytes) -> None:
        self._terms, self._peer_name = terms, peer_name
        self._input = bytearray()
        self._data: Data | None = None
        self._closing: Close | None = None
        self._exit_code: int | None = None
        self._verdict: bytes | None = None
        self._sender: bytes | None = None
        self._recipients: list[bytes] = []
        self._is_bad = False
        self.helo: bytes | None = None
        """What the client calls itself, where that is not the name we know it by."""
        self._commands: dict[bytes, Callable[[bytes], bytes | Open]] = {
            b"rcpt": self._rcpt,
            b"mail": self._mail,
            b"data": self._begin_data,
            b"helo": self._helo,
            b"ehlo": self._ehlo,
            b"rset": self._rset,
            b"help": lambda _: _HELP,
            b"noop": lambda _: _OK,
            b"vrfy": lambda _: b"252 send some mail, i'll try my best\r\n",
        }

    def greet(self) -> bytes:
        """Return what the server says first."""
        return b"220 " + self._terms.greeting + b" ESMTP\r\n"

    def feed(self, data: bytes) -> None:
        """Take what the client sent."""
        self._input += data

    def next(self) -> "Say | Open | Put | Close | End | None":
        """Return what is to be done; None: nothing until more comes."""
        if self._exit_code is not None:
            return End(self._exit_code)
        if self._data is not None:
            return self._content(self._data)
        line, end, rest = self._input.partition(b"\n")
        if len(line) > COMMAND_MOST_BYTES:
            return self._end(NO_MEMORY, 1)
        if not end:
            return None
        self._input = rest
        return self._command(bytes(line.removesuffix(b"\r").partition(b"\0")[0]))

    def _end(self, last_words: bytes, code: int) -> Say:
        self._exit_code = code
        return Say(last_words)

    def _command(self, line: bytes) -> "Say | Open | End":
        verb, _, argument = line.partition(b" ")
        if verb.lower() == b"quit":
            return self._end(b"221 " + self._terms.greeting + b"\r\n", 0)
        command = self._commands.get(verb.lower())
        answer = _UNIMPLEMENTED if command is None else command(argument.lstrip(b" "))
        return Say(answer) if isinstance(answer, bytes) else answer

    # Commands

    def _helo(self, name: bytes) -> bytes:
        self._sender = None
        self.helo = None if name.lower() == self._peer_name.lower() else name
        return b"250 " + self._terms.greeting + b"\r\n"

    def _ehlo(self, name: bytes) -> bytes:
        self._helo(name)
        return b"250-" + self._terms.greeting + b"\r\n250-PIPELINING\r\n250 8BITMIME\r\n"

    def _rset(self, _argument: bytes) -> bytes:
        self._sender = None
        return b"250 flushed\r\n"

    def _mail(self, argument: bytes) -> bytes:
        address = self._address(argument)
        if address is None:
            return _SYNTAX
        self._is_bad = self._terms.is_bad_sender(address)
        self._sender, self._recipients = address, []
        return _OK

    def _rcpt(self, argument: bytes) -> bytes:
        if self._sender is None:
            return _WANT_MAIL
        address = self._address(argument)
        if address is None:
            return _SYNTAX
        if self._is_bad:
            return _BAD_SENDER
        if self._terms.suffix is not None:
            address += self._terms.suffix
        elif not self._terms.accepts(address):
            return _NO_GATEWAY
        if len(self._recipients) >= RECIPIENTS_MOST:
            return _TOO_MANY
        self._recipients.append(address)
        return _OK

    def _address(self, argument: bytes) -> bytes | None:
        address = parse_address(argument)
        if self._terms.literal_host is not None:
            before, at, domain = address.rpartition(b"@")
            literal = bracketed(domain) if at else None
            if literal is not None and self._terms.is_own(literal):
                address = before + at + self._terms.literal_host
        return address if len(address) <= ADDRESS_MOST_BYTES else None

    # The message

    def _begin_data(self, _argument: bytes) -> "bytes | Open":
        if self._sender is None:
            return _WANT_MAIL
        return Open() if self._recipients else _WANT_RCPT

    def opened(self, *, is_open: bool) -> bytes:
        """Take whether a queue program runs; return the reply."""
        assert self._sender is not None
        self._closing, self._sender = Close(self._sender, self._recipients, is_refused=False), None
        if not is_open:
            return _NO_QUEUE
        self._data = Data(self._terms.databytes)
        return b"354 go ahead\r\n"

    def _content(self, data: Data) -> "Say | Put | Close | None":
        assert self._closing is not None
        try:
            piece = data.take(self._input)
        except StrayLineEnd:
            return self._end(_STRAY, 1)
        if piece:
            return Put(piece)
        if not data.is_complete:
            return None
        self._data = None
        self._closing.is_refused = data.is_too_large or data.hops >= HOPS_MOST
        self._verdict = _LOOPING if data.hops >= HOPS_MOST else _TOO_LARGE if data.is_too_large else None
        return self._closing

    def judged(self, text: bytes, number: int, now: int) -> bytes:
        """Take what the queue says, ``D`` or ``Z`` first, nothing where it has the message; return the reply.

        ``number`` is that of the queue program's process, ``now`` the time in seconds.
        """
        if not text:
            return b"250 ok %d qp %d\r\n" % (now, number)
        if self._verdict is not None:
            return self._verdict
        return (b"554 " if text[:1] == b"D" else b"451 ") + text[1:] + b"\r\n"


def parse_address(argument: bytes) -> bytes:
    """Return the address that follows MAIL or RCPT, unquoted, without a source route (qmail-interfaces 13.3)."""
    _, bracket, text = argument.partition(b"<")
    terminator = b">" if bracket else b" "
    if not bracket:
        text = argument.partition(b":")[2].lstrip(b" ")
    if text[:1] == b"@":
        text = text.partition(b":")[2]
    found, at, is_quoted = bytearray(), 0, False
    while at < len(text):
        byte = text[at : at + 1]
        if byte == b"\\":
            at += 1
            found += text[at : at + 1]
        elif byte == b'"':
            is_quoted = not is_quoted
        elif byte == terminator and not is_quoted:
            break
        else:
            found += byte
        at += 1
    return bytes(found)


def bracketed(domain: bytes) -> str | None:
    """Return the IPv4 address of a literal, None where this is none."""
    if domain[:1] != b"[" or domain[-1:] != b"]":
        return None
    numbers = domain[1:-1].split(b".")
    if len(numbers) != 4 or not all(number.isdigit() and len(number) <= 9 for number in numbers):
        return None
    return ".".join(str(int(number) & 0xFF) for number in numbers)
