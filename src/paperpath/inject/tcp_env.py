"""tcp-env: runs a program with tcpserver's variables about the connection on descriptor 0 (qmail-interfaces 19.1)."""

import os
import socket

from paperpath.inject.command import TEMPORARY, Usage, options
from paperpath.system import helpers

_LETTERS = bytes(range(33, 127))
"""Options: those that mean nothing are passed over, as qmail's does."""
_IDENT_PORT = 113
_IDENT_S = 30
_IDENT_MOST_BYTES = 4096
_INFO_MOST_BYTES = 999
_NO_SUCH_NAME = {socket.EAI_NONAME, 1, 4}
"""What gethostbyaddr raises where there is certainly no name: HOST_NOT_FOUND and NO_DATA of netdb.h."""


def main(argv: list[str]) -> int:
    """Become the program; return 111 where that cannot be, or where descriptor 0 is no TCP connection."""
    words = [os.fsencode(word) for word in argv[1:]]
    asks, seconds = True, _IDENT_S
    try:
        for letter, value in options(words, _LETTERS, b"t"):
            if letter == b"t":
                seconds = int(value[:9]) if value[:9].isdigit() else _IDENT_S
            elif letter in b"rR":
                asks = letter == b"r"
    except Usage:
        words = []
    if not words:
        return TEMPORARY
    if os.environb.get(b"PROTO") != b"TCP":
        try:
            _describe(seconds if asks else None)
        except OSError:
            return TEMPORARY
    helpers.become(words)
    return TEMPORARY


def _describe(ident_s: int | None) -> None:
    """Set the variables; ask the peer whose connection it is where there is time for that.  Raises OSError."""
    connection = socket.socket(fileno=os.dup(0))
    with connection:
        if connection.family not in {socket.AF_INET, socket.AF_INET6}:
            raise OSError("not a TCP connection")
        local, remote = connection.getsockname()[:2], connection.getpeername()[:2]
    for side, (address, port) in (("LOCAL", local), ("REMOTE", remote)):
        shown = address.removeprefix("::ffff:") if "." in address else address
        _set(f"TCP{side}IP", shown)
        _set(f"TCP{side}PORT", str(port))
        _set(f"TCP{side}HOST", _name_of(shown))
    _set("PROTO", "TCP")
    _set("TCPREMOTEINFO", None if ident_s is None else _ident(local, remote, ident_s))


def _set(name: str, value: str | None) -> None:
    if value is None:
        os.environ.pop(name, None)
    else:
        os.environ[name] = value.replace("\0", "")


def _name_of(address: str) -> str | None:
    try:
        return socket.gethostbyaddr(address)[0].lower()
    except OSError as error:
        return None if error.errno in _NO_SUCH_NAME else "softdnserror"


def _ident(local: tuple[str, int], remote: tuple[str, int], seconds: int) -> str | None:
    """Return what the remote host says about its end of the connection (RFC 1413), None where it says nothing."""
    try:
        with socket.create_connection((remote[0], _IDENT_PORT), seconds, (local[0], 0)) as asked:
            asked.sendall(f"{remote[1]} , {local[1]}\r\n".encode())
            answer = b""
            while b"\n" not in answer and len(answer) < _IDENT_MOST_BYTES and (data := asked.recv(_IDENT_MOST_BYTES)):
                answer += data
    except OSError:
        return None
    return info(answer)


def info(answer: bytes) -> str:
    """Return what stands behind the third colon of an answer's first line, without blanks."""
    line = answer.partition(b"\n")[0].translate(None, b" \t\r")
    fields = line.split(b":", 3)
    return os.fsdecode(fields[3][:_INFO_MOST_BYTES]) if len(fields) > 3 else ""
