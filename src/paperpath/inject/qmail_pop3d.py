"""qmail-pop3d: lets a client that is logged in fetch the mail of a Maildir (qmail-interfaces 15.3)."""

import os

from paperpath.inject import maildirs
from paperpath.inject.command import say as complain
from paperpath.inject.pop3_lines import Gone, commands, fail, okay, say
from paperpath.protocol.qmail_pop3 import Sending, leading_number
from paperpath.system import helpers

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable

_READ_BYTES = 64 * 1024
_EXIT_ROOT = 1


def main(argv: list[str]) -> int:
    """Serve one client; return 0, or 1 as root, whom it does not serve."""
    if not os.getuid():
        complain("qmail-pop3d invoked as uid 0, terminating")
        return _EXIT_ROOT
    try:
        _enter(argv[1:])
        Session().serve()
    except Gone:
        pass
    return 0


def _enter(words: list[str]) -> None:
    """Go to the Maildir.  Raises Gone."""
    try:
        os.chdir(words[0])
    except (OSError, IndexError):
        fail(b"this user has no $HOME/Maildir")
        raise Gone from None


class _Refused(Exception):
    """The command is; the argument says why."""


class Session:
    """One client's.  Raises Gone, as every method."""

    def __init__(self) -> None:
        maildirs.clean()
        try:
            self._paths = [path for _, path in maildirs.scan((b"new", b"cur"))]
        except maildirs.Fatal:
            fail(b"unable to scan $HOME/Maildir")
            raise Gone from None
        self._sizes = [_size(path) for path in self._paths]
        self._deleted = bytearray(len(self._paths))
        self._last = 0

    def serve(self) -> None:
        """Answer commands until QUIT."""
        okay()
        for name, argument in commands():
            command = _COMMANDS.get(name)
            if command is None:
                fail(b"unimplemented")
                continue
            try:
                command(self, argument)
            except _Refused as refused:
                fail(refused.args[0])

    def stat(self, _argument: bytes) -> None:
        """All messages, and the sizes of those that are not deleted."""
        size = sum(size for size, deleted in zip(self._sizes, self._deleted, strict=True) if not deleted)
        okay(b"%d %d" % (len(self._paths), size))

    def list(self, argument: bytes) -> None:
        """Sizes."""
        self._describe(argument, lambda at: b"%d" % self._sizes[at])

    def uidl(self, argument: bytes) -> None:
        """Names up to the colon."""
        self._describe(argument, lambda at: self._paths[at][4:].partition(b":")[0])

    def dele(self, argument: bytes) -> None:
        """Mark one."""
        at = self._number(argument)
        self._deleted[at] = 1
        self._last = max(self._last, at + 1)
        okay()

    def last(self, _argument: bytes) -> None:
        """The highest number that was marked."""
        okay(b"%d" % self._last)

    def rset(self, _argument: bytes) -> None:
        """Mark none."""
        self._deleted = bytearray(len(self._paths))
        self._last = 0
        okay()

    def noop(self, _argument: bytes) -> None:
        """Nothing."""
        okay()

    def top(self, argument: bytes) -> None:
        """Send a message; with a second number its header and so many lines."""
        at = self._number(argument)
        _, rest = leading_number(argument)
        lines, _ = leading_number(rest.lstrip(b" "))
        try:
            descriptor = helpers.open_to_read(self._paths[at])
        except OSError:
            raise _Refused(b"unable to open that message") from None
        try:
            okay()
            _send(descriptor, Sending(0 if lines is None else (lines + 1) % (1 << 64)))
        finally:
            os.close(descriptor)

    def quit(self, _argument: bytes) -> None:
        """Remove what is marked, move the rest from ``new`` to ``cur``."""
        for path, deleted in zip(self._paths, self._deleted, strict=True):
            if deleted:
                try:
                    helpers.remove(path)
                except OSError:
                    fail(b"unable to unlink all deleted messages")
            elif path.startswith(b"new/"):
                try:
                    helpers.rename(path, b"cur/" + path[4:] + b":2,")
                except OSError:
                    pass  # the next session will
        okay()
        raise Gone

    def _describe(self, argument: bytes, what: "Callable[[int], bytes]") -> None:
        if argument:
            at = self._number(argument)
            okay(b"%d %b" % (at + 1, what(at)))
            return
        shown = [b"%d %b\r\n" % (at + 1, what(at)) for at, deleted in enumerate(self._deleted) if not deleted]
        say(b"".join((b"+OK \r\n", *shown, b".\r\n")))

    def _number(self, argument: bytes) -> int:
        """Return the place of the message that is meant.  Raises _Refused."""
        number, _ = leading_number(argument)
        if number is None:
            raise _Refused(b"syntax error")
        if not number:
            raise _Refused(b"messages are counted from 1")
        if number > len(self._paths):
            raise _Refused(b"not that many messages")
        if self._deleted[number - 1]:
            raise _Refused(b"already deleted")
        return number - 1


def _size(path: bytes) -> int:
    try:
        return os.stat(path).st_size
    except OSError:
        return 0


def _send(descriptor: int, sending: Sending) -> None:
    """Send what can be read; where that fails the session is over, so that the message does not look whole."""
    try:
        while not sending.done and (data := os.read(descriptor, _READ_BYTES)):
            say(sending.feed(data))
    except OSError:
        raise Gone from None
    say(sending.finish())


_COMMANDS: "dict[bytes, Callable[[Session, bytes], None]]" = {
    b"quit": Session.quit,
    b"stat": Session.stat,
    b"list": Session.list,
    b"uidl": Session.uidl,
    b"dele": Session.dele,
    b"retr": Session.top,
    b"rset": Session.rset,
    b"last": Session.last,
    b"top": Session.top,
    b"noop": Session.noop,
}
