"""serialsmtp: sends messages of a Maildir to one server by SMTP, for maildirserial (qmail-interfaces 20.3).

    serialsmtp prefix helohost

Names of files come on descriptor 0, a NUL behind each; the server is on 6 and 7.
"""

import os

from paperpath.inject.command import TEMPORARY, fatal, reason, usage
from paperpath.inject.serial import Broken, Peer, answer, envelope, names
from paperpath.message.rewriting import quote_argument
from paperpath.protocol.smtp_client_data import DataEncoder
from paperpath.system import injection

TYPE_CHECKING = False
if TYPE_CHECKING:
    from io import BufferedReader

_READ_S = 1200
_COPY_BYTES = 1 << 16
_BAD = 400
_NO = 500


def main(argv: list[str]) -> int:
    """Send what descriptor 0 names; return 0, 100 where it is called wrongly, 111 where it cannot go on."""
    words = [os.fsencode(word) for word in argv[1:]]
    if len(words) < 2:
        return usage("serialsmtp prefix helohost")
    try:
        client = Client(Peer(_READ_S), *words[:2])
        client.greet()
        for name in names(0):
            with open(name, "rb") as file:
                client.send(name, file)
        client.quit()
    except Broken as broken:
        return fatal("serialsmtp", str(broken), TEMPORARY)
    except OSError as error:
        return fatal(
            "serialsmtp", f"unable to open {os.fsdecode(error.filename or 'file')}: {reason(error)}", TEMPORARY
        )
    return 0


class Client:
    """One conversation."""

    def __init__(self, peer: Peer, prefix: bytes, helo: bytes) -> None:
        self._peer, self._prefix, self._helo = peer, prefix, helo
        self._pipelines = self._is_used = False
        self._said = b""

    def greet(self) -> None:
        """Say who we are.  Raises Broken."""
        if self._code() != 220:
            self.quit()
            raise Broken("connected but greeting failed")
        self._peer.write(b"EHLO " + self._helo + b"\r\n")
        if self._code(looks=True) != 250:
            self._peer.write(b"HELO " + self._helo + b"\r\n")
            if self._code() != 250:
                self.quit()
                raise Broken("connected but my name was rejected")

    def quit(self) -> None:
        """Say goodbye, and wait for nothing.  Raises Broken."""
        self._peer.write(b"QUIT\r\n")

    def send(self, name: bytes, file: "BufferedReader") -> None:
        """Send one message, if it is one of ours.  Raises Broken."""
        found = envelope(file)
        if found is not None and found[1].startswith(self._prefix):
            sender, recipient = quote_argument(found[0]), quote_argument(found[1][len(self._prefix) :])
            commands = [b"MAIL FROM:<" + sender + b">\r\n", b"RCPT TO:<" + recipient + b">\r\n", b"DATA\r\n"]
            if self._is_used:
                commands.insert(0, b"RSET\r\n")
            if self._pipelines:
                self._peer.write(b"".join(commands))
            if self._asked(name, commands):
                self._content(file)
                self._answer(name, self._code())
        self._is_used = True

    def _asked(self, name: bytes, commands: list[bytes]) -> bool:
        """Tell whether the message may come now; where not, that is the answer.  Raises Broken."""
        is_refused = False
        for command in commands:
            if not self._pipelines:
                self._peer.write(command)
            code = self._code()
            if is_refused:
                if code < _BAD:  # refused before, and taken now
                    raise Broken("protocol violation")
            elif code >= _BAD:
                if command.startswith(b"RSET"):
                    raise Broken("protocol violation")
                self._answer(name, code)
                is_refused = True
                if not self._pipelines:
                    break
        return not is_refused

    def _answer(self, name: bytes, code: int) -> None:
        """Tell maildirserial what the server's last words mean for a message."""
        letter = b"D" if code >= _NO else b"Z" if code >= _BAD else b"K"
        injection.write_all(1, answer(name, letter, self._said))

    def _content(self, file: "BufferedReader") -> None:
        encoder, end = DataEncoder(), b"\n"
        while piece := file.read(_COPY_BYTES):
            end = piece[-1:]
            self._peer.write(encoder.feed(piece))
        if end != b"\n":
            raise Broken("SMTP cannot transfer messages with partial final lines")
        self._peer.write(encoder.end())

    def _code(self, *, looks: bool = False) -> int:
        """Return the code of the next reply; its last line is what it said.  Raises Broken."""
        is_first = True
        while True:
            line = self._peer.line()
            if not line[:3].isdigit() or len(line) < 3:
                raise Broken("protocol violation")
            if looks and not is_first and line[:3] == b"250" and line[4:].upper() == b"PIPELINING":
                self._pipelines = True
            is_first, self._said = False, line
            if line[3:4] != b"-":
                return int(line[:3])
