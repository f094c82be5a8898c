"""qmail-popup: greets a POP3 client, and has a program of the checkpassword interface judge its login.

See qmail-interfaces 15.1.  There is one try a connection; whatever comes of it, the exit code is 1, as qmail's.
"""

import os

from paperpath.inject.pop3_lines import Gone, commands, fail, okay
from paperpath.system import clock, helpers

_EXIT = 1


def main(argv: list[str]) -> int:
    """Serve one client."""
    try:
        _serve([os.fsencode(word) for word in argv[1:]])
    except Gone:
        pass
    return _EXIT


def _serve(words: list[bytes]) -> None:
    """Raises Gone."""
    if len(words) < 2:
        fail(b"usage: popup hostname subprogram")
        return
    hostname, *program = words
    timestamp = b"<%d.%d@%b>" % (os.getpid(), int(clock.now()), hostname)
    okay(timestamp)
    user: bytes | None = None
    for name, argument in commands():
        if name == b"user" and argument:
            okay()
            user = argument
        elif name == b"pass" and user is not None and argument:
            _judge(program, user, argument, timestamp)
            return
        elif name == b"apop" and b" " in argument:
            user, _, digest = argument.partition(b" ")
            _judge(program, user, digest, timestamp)
            return
        elif name == b"quit":
            okay()
            return
        elif name == b"noop":
            okay()
        else:
            fail(_why_not(name, user))


def _why_not(name: bytes, user: bytes | None) -> bytes:
    if name == b"pass" and user is None:
        return b"USER first"
    return b"syntax error" if name in {b"user", b"pass", b"apop"} else b"authorization first"


def _judge(program: list[bytes], user: bytes, secret: bytes, timestamp: bytes) -> None:
    """Run the program, which serves the client itself where it lets it in.  Raises Gone."""
    try:
        status = helpers.run_told(program, b"\0".join((user, secret, timestamp, b"")))
    except BrokenPipeError:
        fail(b"unable to write pipe")
    except OSError:
        fail(b"unable to fork")
    else:
        if status < 0:
            fail(b"aack, child crashed")
        elif status:
            fail(b"authorization failed")
