"""maildirserial: hands the messages of a Maildir to a client that sends them (qmail-interfaces 20.3).

    maildirserial [ -b ] [ -t lifetime ] dir prefix client [ arg ... ]

The client gets names of files, a NUL behind each, and answers with name, NUL, ``K``, ``Z`` or ``D`` and a line of text.
"""

import os

from paperpath.base.digits import leading_digits
from paperpath.config.control import Control
from paperpath.inject import maildirs
from paperpath.inject.command import PERMANENT, TEMPORARY, Usage, fatal, options, qmail_home, reason, say, usage
from paperpath.inject.maildirbounce import Bouncer, Failed
from paperpath.inject.serial import DELIVERED_TO
from paperpath.system import clock, heard, helpers, injection

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    Client = Callable[[], int]
    """In the process that is to be the client: become it; what it returns is its exit status."""

_NAME = "maildirserial"
_USAGE = "maildirserial [ -b ] [ -t lifetime ] dir prefix client [ arg ... ]"
_TRIES = 3
"""How often the client may be run without an answer to anything."""
_READ_BYTES = 4096


def main(argv: list[str]) -> int:
    """Return 0 where nothing is left, 100 where the client says so, else 111."""
    words = [os.fsencode(word) for word in argv[1:]]
    bounces, lifetime_s = False, None
    try:
        for letter, value in options(words, b"b", b"t"):
            if letter == b"b":
                bounces = True
            else:
                lifetime_s = int(leading_digits(value)[:18] or b"0")
    except Usage:
        words = []
    if len(words) < 3:
        return usage(_USAGE)
    folder, prefix, *client = words

    def be_client() -> int:
        helpers.become_or_say(client, _NAME)
        return TEMPORARY

    return run(folder, prefix, be_client, lifetime_s=lifetime_s, bounces=bounces)


def run(folder: bytes, prefix: bytes, client: "Client", *, lifetime_s: int | None, bounces: bool) -> int:
    """Empty a Maildir as far as that can be; return the exit code."""
    home = qmail_home()
    try:
        os.chdir(folder)
    except OSError as error:
        return fatal(_NAME, f"unable to chdir to {os.fsdecode(folder)}: {reason(error)}", TEMPORARY)
    try:
        bouncer = Bouncer(Control(home), prefix) if bounces else None
    except OSError as error:
        return fatal(_NAME, f"unable to read {error.filename}: {reason(error)}", TEMPORARY)
    return _Round(prefix, client, lifetime_s, bouncer).until_done()


class _Round:
    """What is tried, again and again, until nothing more comes of it."""

    def __init__(self, prefix: bytes, client: "Client", lifetime_s: int | None, bouncer: Bouncer | None) -> None:
        self._prefix, self._client, self._lifetime_s, self._bouncer = prefix, client, lifetime_s, bouncer
        self._left: set[bytes] = set()
        """Files that are not to be tried again."""

    def until_done(self) -> int:
        tries = _TRIES
        while True:
            try:
                names = self._names()
            except maildirs.Fatal as error:
                return fatal(_NAME, str(error), TEMPORARY)
            if not names:
                return TEMPORARY if self._left else 0
            ear, child, feeder = heard.start_between(lambda to, it=names: _feed(to, it), self._client)  # type: ignore[misc]
            tries -= 1
            for name, letter, text in _answers(ear):
                tries = _TRIES
                self._judge(name, letter, text)
            os.close(ear)
            injection.wait(feeder)
            status = injection.wait(child)
            if status < 0:
                return fatal(_NAME, "client crashed", TEMPORARY)
            if status == PERMANENT:
                return PERMANENT
            if not tries:
                return fatal(_NAME, "making no progress, giving up", TEMPORARY)

    def _names(self) -> list[bytes]:
        """Return the files to be sent, oldest first.  Raises maildirs.Fatal."""
        maildirs.clean()
        return [name for _, name in maildirs.scan((b"new", b"cur")) if name not in self._left and self._is_ours(name)]

    def _is_ours(self, name: bytes) -> bool:
        if not self._prefix:
            return True
        try:
            with open(name, "rb") as file:
                file.readline()
                line = file.readline()
        except OSError as error:
            _warn(f"unable to open {os.fsdecode(name)}: {reason(error)}")
            return False
        return line.startswith(DELIVERED_TO + self._prefix) and line.endswith(b"\n")

    def _judge(self, name: bytes, letter: bytes, text: bytes) -> None:
        """Do what an answer asks for."""
        if letter == b"K":
            _tell(name, b" succeeded: ", text)
            self._remove(name, "message will be delivered twice! unable to unlink")
            return
        is_old = letter != b"D" and self._lifetime_s is not None and _is_older(name, self._lifetime_s)
        if self._bouncer is None or not (is_old or letter == b"D"):
            failed = b" failed: " if is_old or letter == b"D" else b" failed temporarily: "
            _tell(name, failed, text)
            self._left.add(name)
            return
        _tell(name, b" bounced: ", text)
        try:
            _inform(self._bouncer.bounce(name, text, is_old=is_old))
        except Failed as failure:
            _warn(str(failure))
            self._left.add(name)
        else:
            self._remove(name, "message has been bounced but not removed! unable to unlink")

    def _remove(self, name: bytes, otherwise: str) -> None:
        try:
            helpers.remove(name)
        except OSError as error:
            _warn(f"{otherwise} {os.fsdecode(name)}: {reason(error)}")
            self._left.add(name)


def _feed(descriptor: int, names: list[bytes]) -> None:
    injection.write_all(descriptor, b"".join([name + b"\0" for name in names]))


def _answers(descriptor: int) -> "Iterator[tuple[bytes, bytes, bytes]]":
    """Yield name, letter and text (its LF behind it) of each answer, as they come."""
    rest = b""
    while data := os.read(descriptor, _READ_BYTES):
        rest += data
        while True:
            name, nul, behind = rest.partition(b"\0")
            line, end, behind = behind[1:].partition(b"\n") if nul else (b"", b"", b"")
            if not end:
                break
            yield name, rest[len(name) + 1 : len(name) + 2], line + b"\n"
            rest = behind


def _is_older(name: bytes, seconds: int) -> bool:
    try:
        return clock.now() > int(os.stat(name).st_mtime) + seconds
    except OSError as error:
        _warn(f"assuming message is still alive; unable to stat {os.fsdecode(name)}: {reason(error)}")
        return False


def _tell(name: bytes, result: bytes, text: bytes) -> None:
    injection.write_all(2, b"maildirserial: info: " + name + result + text)


def _inform(text: str) -> None:
    say(f"maildirserial: info: {text}")


def _warn(text: str) -> None:
    say(f"maildirserial: warning: {text}")
