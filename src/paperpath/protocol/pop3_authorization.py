"""The middle of the POP3 machine: what a client may say before it is logged in (RFC 1939 4), and CAPA.

No password and no response of SASL is judged or kept here: they go to the shell with `LoginGiven` and `ResponseGiven`.
"""

import binascii
from base64 import b64decode, b64encode
from collections.abc import Callable, Iterable, Mapping
from functools import partial
from typing import Any, Final

from paperpath.protocol.pop3_events import (
    Event,
    LoginAbandoned,
    LoginGiven,
    Pop3Config,
    ResponseGiven,
    TlsWanted,
)
from paperpath.protocol.pop3_lines import Pop3Lines

_LANGUAGE: Final = "en"

Command = Callable[[bytes], None]
"""What is done with the argument of a command."""


class Pop3Authorization(Pop3Lines):
    """A session up to the mailbox."""

    __slots__ = ("_user", "config", "failed_logins", "is_open", "utf8")

    def __init__(self, config: Pop3Config) -> None:
        super().__init__()
        self.config = config
        self.is_open = False
        """Whether somebody is logged in and has the mailbox."""
        self.failed_logins = 0
        self._user: bytes | None = None
        self.utf8 = False
        """Whether the client reads UTF-8 wherever it may stand (RFC 6856 2.1)."""
        self._say(f"{config.hostname.decode()} POP3 ready {config.timestamp.decode()}".rstrip())

    # What the shell answers.

    def challenge(self, data: bytes) -> list[Event]:
        """Go on with a login: the next line is the client's response."""
        self._answer_to(LoginGiven, ResponseGiven)
        self._output.append(b"+ " + b64encode(data) + b"\r\n")
        self._in_login = True
        return self._go_on()

    def refuse_login(self, text: str, *, failed: bool) -> list[Event]:
        """End a login with these words; ``failed``: it is the client who was wrong, and that is counted."""
        self._answer_to(LoginGiven, ResponseGiven)
        self._refuse(text)
        self.failed_logins += failed
        if self.failed_logins >= self.config.logins_most:
            self._close("failed logins")
        return self._go_on()

    def secured(self, config: Pop3Config) -> list[Event]:
        """The handshake is done, or the connection began with it; ``config`` says what holds now."""
        if self.question is not None or self.bytes_in:
            self._answer_to(TlsWanted)
        self.config = config
        self._user = None
        return self._go_on()

    def _answer_to(self, *kinds: type[Any]) -> None:
        if not isinstance(self.question, kinds):
            raise RuntimeError(f"no such question is open, but {self.question}")
        self.question = None

    # Lines.

    def _execute(self, line: bytes) -> None:
        if self._in_login:
            self._take_response(line)
            return
        name, _, argument = line.partition(b" ")
        command = self._command(name.upper())
        if b"\0" in line or command is None:
            self._fault(self._why_not(name.upper()))
            return
        before = self._faults
        command(argument)
        if self._faults == before:
            self._faults = 0

    def _command(self, name: bytes) -> Command | None:
        """Return what a command does now; None where it is not one, or not now."""
        command = _AUTHORIZATION.get(name)
        return None if command is None else partial(command, self)

    def _why_not(self, _name: bytes) -> str:
        """Return what is wrong with a command that ``_command`` does not know."""
        return "Unknown command"

    # Commands.

    def _capa(self, argument: bytes) -> None:
        """RFC 2449 5."""
        if argument:
            self._fault("CAPA has no argument")
            return
        config = self.config
        lines = ["TOP", "UIDL", "RESP-CODES", "AUTH-RESP-CODE", "PIPELINING", "EXPIRE NEVER", "LOGIN-DELAY 0"]
        lines += ["UTF8 USER", "LANG"]
        if config.passwords:
            lines.append("USER")
        if config.mechanisms:
            lines.append("SASL " + " ".join(config.mechanisms))
        if config.stls and not self.is_open:
            lines.append("STLS")
        self._say("Capabilities follow")
        self._list([*lines, "IMPLEMENTATION Paperpath"])

    def _user_given(self, argument: bytes) -> None:
        if not self.config.passwords:
            what_then = "use STLS first" if self.config.stls else "and TLS is not offered here"
            self._refuse(f"Passwords are not taken in clear text, {what_then}")
        elif not argument:
            self._fault("USER needs a name")
        else:
            self._user = self._prepared(argument)
            if self._user is not None:
                self._say("Now the password")

    def _pass(self, argument: bytes) -> None:
        if self._user is None:
            self._fault("USER comes first")
            return
        user, self._user = self._user, None
        password = self._prepared(argument)
        if password is not None:
            self._ask(LoginGiven("PLAIN", b"\0" + user + b"\0" + password))

    def _apop(self, argument: bytes) -> None:
        user, space, digest = argument.rpartition(b" ")
        if not self.config.timestamp:
            self._fault("APOP is not offered")
        elif not space or not user:
            self._fault("APOP needs a name and a digest")
        else:
            name = self._prepared(user)
            if name is not None:
                self._ask(LoginGiven("APOP", b"\0".join((self.config.timestamp, name, digest))))

    def _prepared(self, given: bytes) -> bytes | None:
        """Return a name or a password in the form in which both sides compare it (RFC 6856 2.2), None where there is
        none, which has then been said."""
        if given.isascii():
            return given
        from paperpath.protocol.sasl_prep import prepared  # its tables are large, and few need them

        try:
            return prepared(given.decode()).encode()
        except ValueError:
            self._refuse("[AUTH] That can be no name and no password")
            return None

    def _auth(self, argument: bytes) -> None:
        """RFC 5034 4.  Without an argument it lists the mechanisms, as clients older than CAPA expect."""
        if not argument:
            self._say("Mechanisms follow")
            self._list(self.config.mechanisms)
            return
        name, _, response = argument.partition(b" ")
        mechanism = name.decode("latin-1").upper()
        if mechanism not in self.config.mechanisms:
            self._fault("The mechanism is not offered")
            return
        initial = _base64(b"" if response == b"=" else response)
        if initial is None:
            self._fault("The initial response is not base64")
        else:
            self._ask(LoginGiven(mechanism, initial if response else None))

    def _take_response(self, line: bytes) -> None:
        data = None if line == b"*" else _base64(line)
        self._in_login = False
        if data is not None:
            self._ask(ResponseGiven(data))
            return
        self._give_up_login()
        if line == b"*":
            self._refuse("Cancelled")
        else:
            self._fault("The response is not base64")

    def _give_up_login(self) -> None:
        self._in_login = False
        self._events.append(LoginAbandoned())

    def _stls(self, argument: bytes) -> None:
        """RFC 2595 4."""
        if argument:
            self._fault("STLS has no argument")
        elif not self.config.stls:
            self._fault("TLS is not offered here")
        elif self.utf8:
            self._fault("STLS comes before UTF8")
        else:
            self._say("Begin TLS")
            self._ask(TlsWanted())
            self._forget_input()

    def _utf8(self, argument: bytes) -> None:
        """RFC 6856 2.1."""
        if argument:
            self._fault("UTF8 has no argument")
        else:
            self.utf8 = True
            self._say("UTF-8 from now on")

    def _lang(self, argument: bytes) -> None:
        """RFC 6856 3: there is one language."""
        if not argument:
            self._say("Languages follow")
            self._list([f"{_LANGUAGE} English"])
        elif argument.lower() in {_LANGUAGE.encode(), b"*"}:
            self._say(f"{_LANGUAGE} English from now on, as before")
        else:
            self._refuse("There is no such language here")

    def _noop(self, _argument: bytes) -> None:
        self._say("Still here")

    def _quit(self, _argument: bytes) -> None:
        self._say("Bye")
        self._close("quit")

    def _list(self, lines: Iterable[str]) -> None:
        self._output.append("".join(f"{line}\r\n" for line in (*lines, ".")).encode())


def _base64(text: bytes) -> bytes | None:
    try:
        return b64decode(text, validate=True)
    except binascii.Error:
        return None


_Commands = Mapping[bytes, Callable[[Any, bytes], None]]

EVERYWHERE: Final[_Commands] = {
    b"CAPA": Pop3Authorization._capa,
    b"LANG": Pop3Authorization._lang,
    b"NOOP": Pop3Authorization._noop,
}
"""Commands that mean the same in every state."""
_AUTHORIZATION: Final[_Commands] = {
    **EVERYWHERE,
    b"QUIT": Pop3Authorization._quit,
    b"USER": Pop3Authorization._user_given,
    b"PASS": Pop3Authorization._pass,
    b"APOP": Pop3Authorization._apop,
    b"AUTH": Pop3Authorization._auth,
    b"STLS": Pop3Authorization._stls,
    b"UTF8": Pop3Authorization._utf8,
}
