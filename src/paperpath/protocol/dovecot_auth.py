"""Dovecot's authentication protocol, version 1, the client's side, without I/O.

Lines of fields with tabs between.  Each side begins with ``VERSION``; the client goes on with ``CPID`` (its process
id), the server with what it offers and ``DONE``.  A login is ``AUTH``, an id, a mechanism and parameters, of which
``resp`` is the last; its answer is ``OK``, ``FAIL`` or ``CONT`` with the same id.  A ``CONT`` asks for one back.
"""

import base64
import binascii
from dataclasses import dataclass

LINE_MOST_BYTES = 8192
_MAJOR = b"1"


@dataclass(frozen=True, slots=True)
class Ready:
    """The server is there; ``mechanisms`` are what it offers."""

    mechanisms: frozenset[str]


@dataclass(frozen=True, slots=True)
class Answered:
    """To a login: ``user`` is whom it means, None: nobody; ``temporary``: it could not be told."""

    ticket: int
    user: str | None
    temporary: bool = False


@dataclass(frozen=True, slots=True)
class Challenged:
    """A login goes on: the client is to be told this, and to answer."""

    ticket: int
    data: bytes


class DovecotError(ValueError):
    """This is not Dovecot, or not a version of its protocol that is known here."""


class DovecotClient:
    """One connection: feed it, and send what the functions below return."""

    def __init__(self) -> None:
        self._rest = b""
        self._mechanisms: set[str] = set()
        self._is_known = False

    def receive(self, data: bytes) -> list[Ready | Answered | Challenged]:
        """Take bytes; return what they say.  Raises DovecotError; then the connection is of no use."""
        *lines, self._rest = (self._rest + data).split(b"\n")
        if max(map(len, (*lines, self._rest))) > LINE_MOST_BYTES:
            raise DovecotError("a line that is too long")
        return [event for line in lines if (event := self._line(line.split(b"\t"))) is not None]

    def _line(self, fields: list[bytes]) -> Ready | Answered | Challenged | None:
        command = fields[0]
        if command == b"VERSION":
            if fields[1:2] != [_MAJOR]:
                raise DovecotError("another version of the protocol")
            self._is_known = True
        elif not self._is_known:
            raise DovecotError("no version first")
        elif command == b"MECH" and len(fields) > 1:
            self._mechanisms.add(fields[1].decode("ascii", "replace").upper())
        elif command == b"DONE":
            return Ready(frozenset(self._mechanisms))
        elif command in (b"OK", b"FAIL", b"CONT"):
            return _answer(command, fields)
        return None


def greeting(process_id: int) -> bytes:
    """Return what the client says first."""
    return b"VERSION\t1\t1\nCPID\t%d\n" % process_id


def plain_login(ticket: int, name: str, password: bytes, *, service: str, peer: str, secure: bool) -> bytes:
    """Return a login with a password.  Name and password come without NUL (`protocol.sasl`)."""
    message = b"\0" + name.encode() + b"\0" + password
    return login(ticket, b"PLAIN", message, service=service, peer=peer, secure=secure)


def login(ticket: int, mechanism: bytes, response: bytes, *, service: str, peer: str, secure: bool) -> bytes:
    """Return a login with this initial response."""
    flags = b"\tsecured" if secure else b""
    # Dovecot knows services by the names of its own protocols.
    spoken = b"pop3" if service.startswith("pop3") else b"smtp"
    remote = b"\trip=" + peer.encode() if peer and peer.replace(".", "").replace(":", "").isalnum() else b""
    encoded = base64.b64encode(response)
    return b"AUTH\t%d\t%b\tservice=%b%b%b\tresp=%b\n" % (ticket, mechanism, spoken, flags, remote, encoded)


def response(ticket: int, data: bytes) -> bytes:
    """Return the client's answer to a challenge."""
    return b"CONT\t%d\t%b\n" % (ticket, base64.b64encode(data))


def cancel(ticket: int) -> bytes:
    """Return the end of a login whose client is gone."""
    return b"CANCEL\t%d\n" % ticket


def _answer(command: bytes, fields: list[bytes]) -> Answered | Challenged:
    if len(fields) < 2 or not fields[1].isdigit() or len(fields[1]) > 10:
        raise DovecotError("an answer without a number")
    ticket = int(fields[1])
    if command == b"CONT":
        return Challenged(ticket, _challenge(fields[2:3]))
    parameters = dict(field.partition(b"=")[::2] for field in fields[2:])
    if command == b"OK":
        user = _unescaped(parameters.get(b"user", b"")).decode("utf-8", "replace")
        return Answered(ticket, user or None, temporary=not user)
    could_not_tell = b"temp" in parameters or parameters.get(b"code") == b"temp_fail"
    return Answered(ticket, None, temporary=could_not_tell)


def _challenge(fields: list[bytes]) -> bytes:
    try:
        return base64.b64decode(b"".join(fields), validate=True)
    except binascii.Error:
        raise DovecotError("a challenge that is not base64") from None


_ESCAPES = {b"0": b"\0", b"1": b"\1", b"t": b"\t", b"r": b"\r", b"n": b"\n"}


def _unescaped(value: bytes) -> bytes:
    """Undo Dovecot's escaping with %x01."""
    first, *parts = value.split(b"\1")
    return first + b"".join(_ESCAPES.get(part[:1], part[:1]) + part[1:] for part in parts)
