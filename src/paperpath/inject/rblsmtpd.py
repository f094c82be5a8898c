"""rblsmtpd: lets no mail in from hosts that a list names, else becomes a program (qmail-interfaces 19.4)."""

import asyncio
import ipaddress
import os

from paperpath.dns.answers import Found, TemporaryTrouble
from paperpath.dns.resolver import Resolver, system_servers
from paperpath.inject.command import TEMPORARY, Usage, options, printable, say, usage
from paperpath.system import clock, helpers, injection

TYPE_CHECKING = False
if TYPE_CHECKING:
    from paperpath.dns.answers import Answer

_USAGE = "rblsmtpd [ -b ] [ -R ] [ -t timeout ] [ -r base ] [ -a base ] smtpd [ arg ... ]"
_DEFAULT_LIST = b"rbl.maps.vix.com"
_TEXT_MOST_BYTES = 200
_LINE_MOST_BYTES = 4096
_READ_BYTES = 1024
_HOST = b"rblsmtpd.local\r\n"
_HARMLESS = {b"helo", b"ehlo", b"mail", b"rset", b"noop"}


class _Judge:
    """Asks one list after the other, until one says something."""

    def __init__(self, address: bytes, given: bytes | None) -> None:
        self._reversed = _reversed(address)
        self.bounces = self.fails_closed = self.must_not_bounce = False
        self.is_decided = given is not None
        self.text = b"" if given is None else given.removeprefix(b"-")
        """Why mail is not wanted; empty: it is."""
        self.is_permanent = given is not None and given.startswith(b"-")

    def list(self, base: bytes) -> None:
        """Ask a list of those who are not wanted."""
        if self.is_decided:
            return
        answer = _look_up(self._reversed + base, "TXT")
        if isinstance(answer, TemporaryTrouble):
            self.must_not_bounce = True
            if self.fails_closed:
                self._refuse(b"temporary RBL lookup error", is_permanent=False)
        elif isinstance(answer, Found):
            text = "".join(map(str, answer.records)).encode("latin-1", "replace")
            if text:
                self._refuse(text, is_permanent=self.bounces)

    def unlist(self, base: bytes) -> None:
        """Ask a list of those who are wanted whatever others say."""
        if self.is_decided:
            return
        answer = _look_up(self._reversed + base, "A")
        if isinstance(answer, TemporaryTrouble):
            self.must_not_bounce = True
            self.is_decided = not self.fails_closed
        else:
            self.is_decided = isinstance(answer, Found)

    def _refuse(self, text: bytes, *, is_permanent: bool) -> None:
        self.is_decided, self.text, self.is_permanent = True, text, is_permanent

    @property
    def message(self) -> bytes:
        """Return what the client is told."""
        code = b"553 " if self.is_permanent and not self.must_not_bounce else b"451 "
        return printable(code + self.text[:_TEXT_MOST_BYTES])


def main(argv: list[str]) -> int:
    """Become the program; return 0 where the client was sent away, 100 and 111."""
    words = [os.fsencode(word) for word in argv[1:]]
    address = os.environb.get(b"TCPREMOTEIP", b"")
    judge = _Judge(address, os.environb.get(b"RBLSMTPD"))
    seconds, asks_default = 60, True
    try:
        for letter, value in options(words, b"bBcC", b"tra"):
            if letter in b"bB":
                judge.bounces = letter == b"b"
            elif letter in b"cC":
                judge.fails_closed = letter == b"c"
            elif letter == b"t":
                seconds = int(value[:9]) if value[:9].isdigit() else 0
            elif letter == b"r":
                judge.list(value)
                asks_default = False
            else:
                judge.unlist(value)
    except Usage:
        words = []
    if not words:
        return usage(_USAGE)
    if asks_default:
        judge.list(_DEFAULT_LIST)
    if judge.text:
        say(f"rblsmtpd: {os.fsdecode(address)} pid {os.getpid()}: {judge.message.decode()}")
        return _send_away(judge.message + b"\r\n", seconds)
    helpers.become_or_say(words, "rblsmtpd")
    return TEMPORARY


def _send_away(message: bytes, seconds: int) -> int:
    """Speak as much SMTP as is needed to say it; return 0."""
    if not seconds:
        injection.write_all(1, message)
        return 0
    end, rest = clock.monotonic() + seconds, b""
    try:
        injection.write_all(1, b"220 " + _HOST)
        while (left := int(end - clock.monotonic())) > 0 and len(rest) < _LINE_MOST_BYTES:
            data = helpers.read_within(0, _READ_BYTES, left)
            if not data:
                break
            *lines, rest = (rest + data).split(b"\n")
            for line in lines:
                verb = line.removesuffix(b"\r").partition(b" ")[0].lower()
                if verb == b"quit":
                    injection.write_all(1, b"221 " + _HOST)
                    return 0
                injection.write_all(1, b"250 " + _HOST if verb in _HARMLESS else message)
    except OSError:
        pass  # time is over, or the client has gone
    return 0


def _reversed(address: bytes) -> bytes:
    if b":" in address:
        try:
            pointer = ipaddress.IPv6Address(address.decode("ascii")).reverse_pointer
        except ValueError:
            return b""
        return pointer.removesuffix("ip6.arpa").encode()
    return b"".join([part + b"." for part in reversed(address.split(b"."))]) if address else b""


def _look_up(name: bytes, kind: str) -> "Answer":
    resolver = Resolver(system_servers(), clock.monotonic)
    return asyncio.run(resolver.look_up(name.decode("ascii", "backslashreplace"), kind))
