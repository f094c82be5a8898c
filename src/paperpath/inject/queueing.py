"""Handing a message to the queue, for every injecting program: by the server, by its drop folder, or by QMAILQUEUE.

On a host that has no server of its own, another's gets it by QMQP, and answers for it.

A message is accepted when it is durable in the queue, or in the drop folder of a server that is stopped.  What came of
it is an exit code of qmail-queue (qmail-interfaces 9), and the text that callers of qmail-queue make of the code.
"""

import os

from paperpath.config.program_values import DEFAULT_MESSAGE_SIZE_BYTES
from paperpath.inject.command import qmail_home
from paperpath.inject.places import NoConfiguration, Places, find_places
from paperpath.protocol.netstring import NetstringError, netstring, split
from paperpath.system import injection

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Sequence

QUEUED, ADDRESS_TOO_LONG, REFUSED, TIMED_OUT_READING = 0, 11, 31, 52
WRITE_ERROR, READ_ERROR, NO_CONFIGURATION, NO_CONNECTION = 53, 54, 55, 56
NOT_NOW, SERVER_SILENT, CONNECTION_BROKE, CRASHED, CUSTOM, BAD_ENVELOPE, NOT_STARTED = 71, 72, 74, 81, 82, 91, 120

TOO_LARGE = "message exceeds the largest size taken here (#5.3.4)"

ADDRESS_MOST_BYTES = 900
"""As the queue takes them; qmail-queue takes 1002, and nothing beyond RFC 5321's 320 can be delivered anywhere."""

_TEXTS = {
    ADDRESS_TOO_LONG: "Denvelope address too long for qq (#5.1.3)",
    115: "Denvelope address too long for qq (#5.1.3)",
    REFUSED: "Dmail server permanently rejected message (#5.3.0)",
    51: "Zqq out of memory (#4.3.0)",
    TIMED_OUT_READING: "Zqq timeout (#4.3.0)",
    WRITE_ERROR: "Zqq write error or disk full (#4.3.0)",
    READ_ERROR: "Zqq read error (#4.3.0)",
    NO_CONFIGURATION: "Zqq unable to read configuration (#4.3.0)",
    NO_CONNECTION: "Zqq trouble making network connection (#4.3.0)",
    61: "Zqq trouble in home directory (#4.3.0)",
    **dict.fromkeys((62, 63, 64, 65, 66), "Zqq trouble creating files in queue (#4.3.0)"),
    NOT_NOW: "Zmail server temporarily rejected message (#4.3.0)",
    SERVER_SILENT: "Zconnection to mail server timed out (#4.4.1)",
    73: "Zconnection to mail server rejected (#4.4.1)",
    CONNECTION_BROKE: "Zcommunication with mail server failed (#4.4.2)",
    CRASHED: "Zqq internal bug (#4.3.0)",
    BAD_ENVELOPE: "Zqq internal bug (#4.3.0)",
    NOT_STARTED: "Zunable to exec qq (#4.3.0)",
}
_CUSTOM_ON = 6
_AT_ONCE_BYTES = 64 * 1024
_CUSTOM_MOST_BYTES = 255


class Outcome:
    """What came of it: qmail-queue's exit code, and words of whoever decided, where there were any."""

    __slots__ = ("code", "words")

    def __init__(self, code: int, words: str = "") -> None:
        self.code, self.words = code, words

    @property
    def text(self) -> str:
        """What a caller of qmail-queue reports: ``D`` and ``Z`` begin a failure and a deferral; empty: queued."""
        if self.code == QUEUED:
            return ""
        if self.words:
            return self.words
        if self.code < 0:
            return "Zqq crashed (#4.3.0)"
        permanent = 11 <= self.code <= 40
        other = "Dqq permanent problem (#5.3.0)" if permanent else "Zqq temporary problem (#4.3.0)"
        return _TEXTS.get(self.code, other)

    @property
    def number(self) -> int | str:
        """What callers of qmail-queue show as its process: the queue's words end with one; else it is this one."""
        return self.words.rpartition(" ")[2] or os.getpid()

    @property
    def exit_code(self) -> int:
        """What programs other than qmail-queue exit with: 0, 100 or 111."""
        return 0 if self.code == QUEUED else 100 if self.text.startswith("D") else 111


class Submission:
    """A message on its way to a queue program that runs already, as callers of qmail-queue hand it over.

    So large a message never lies in the caller's memory, and a caller that goes away leaves nothing behind.
    """

    __slots__ = ("_child", "_has_failed")

    def __init__(self) -> None:
        """Start the program that QMAILQUEUE names, else our own.  Raises OSError."""
        self._child = injection.Between(_queue_program, _CUSTOM_ON)
        self._has_failed = False

    @property
    def number(self) -> int:
        """That of the program's process."""
        return self._child.pid

    def put(self, data: bytes) -> None:
        """Hand over a piece of the message."""
        if not self._has_failed:
            try:
                injection.write_all(self._child.message, data)
            except OSError:
                self._has_failed = True

    def close(self, sender: bytes, recipients: "Sequence[bytes]", *, is_refused: bool = False) -> Outcome:
        """Hand over the envelope, or none where the message is refused, and return what came of it."""
        pieces = [b"F" + sender, *[b"T" + recipient for recipient in recipients], b""]
        self._has_failed |= is_refused
        envelope = b"" if self._has_failed else b"\0".join(pieces) + b"\0"
        code, said, was_read = self._child.finish(envelope)
        if code == QUEUED and (self._has_failed or not was_read):
            return Outcome(READ_ERROR)
        return _outcome(code, said)


def _queue_program() -> int:
    """In the process that is to be qmail-queue: become the program that QMAILQUEUE names, or be it."""
    program = os.environb.get(b"QMAILQUEUE")
    if program is None:
        from paperpath.inject import qmail_queue

        return qmail_queue.main([])
    injection.enter(qmail_home())
    injection.become(os.fsdecode(program), [os.fsdecode(program)], os.environb)


def forward(sender: bytes, recipients: "Sequence[bytes]") -> Outcome:
    """Queue the message on standard input, with the line before it that loops are known by, out of a dot-qmail file.

    Raises OSError where it cannot be read.
    """
    message = injection.read_to_end(0, limit_bytes())
    if message is None:
        return Outcome(REFUSED, f"D{TOO_LARGE}")
    return enqueue(os.environb.get(b"DTLINE", b"") + message, sender, recipients)


def enqueue(message: bytes, sender: bytes, recipients: "Sequence[bytes]", asked: bytes = b"") -> Outcome:
    """Queue a message as callers of qmail-queue do: by the program that QMAILQUEUE names, if it names one.

    ``asked`` is as for ``submit``; qmail-queue's interface has no place for it.
    """
    program = os.environb.get(b"QMAILQUEUE")
    if program is None:
        return submit(message, sender, recipients, asked)
    envelope = b"F" + sender + b"\0" + b"".join([b"T" + recipient + b"\0" for recipient in recipients]) + b"\0"
    pieces = (message, envelope)
    return _outcome(*injection.run_between_pipes(program, os.environb, qmail_home(), pieces, _CUSTOM_ON))


def _outcome(code: int, said: bytes) -> Outcome:
    """Return what a queue program's exit code, and what it said on descriptor 6, come to."""
    if code != CUSTOM or len(said) <= 2:
        return Outcome(code)
    words = said[:_CUSTOM_MOST_BYTES].decode("ascii", "replace")
    return Outcome(code, words if words[0] in "DZ" else "")


def submit(message: "bytes | memoryview", sender: bytes, recipients: "Sequence[bytes]", asked: bytes = b"") -> Outcome:
    """Queue a message by the server, or leave it in the drop folder where the server is stopped.

    ``asked`` is what the sender asks for beside the delivery: parameters as MAIL takes them, NUL, and parameters as
    RCPT takes them, for all recipients.  It goes behind the sender and a NUL, where no address has anything.

    A host without a configuration has no server; if its ``control/qmqpservers`` names others, they get it.
    """
    wanted = [recipient for recipient in recipients if recipient]
    if any(len(address) > ADDRESS_MOST_BYTES for address in (sender, *wanted)):
        return Outcome(ADDRESS_TOO_LONG)
    try:
        places = find_places()
    except NoConfiguration:
        from paperpath.inject import qmail_qmqpc

        return Outcome(qmail_qmqpc.hand_over(bytes(message), sender, wanted))
    if len(message) > places.size_most_bytes:
        return Outcome(REFUSED, f"D{TOO_LARGE}")
    origin = sender + b"\0" + asked if asked else sender
    before = b"%d:" % len(message)
    behind = b"," + b"".join([netstring(address) for address in (origin, *wanted)])
    # A message is not copied to be put between the two: it may be a view of a large file.
    request: tuple[bytes | memoryview, ...]
    request = (b"%d:" % (len(before) + len(message) + len(behind)) + before, message, behind + b",")
    if len(message) <= _AT_ONCE_BYTES:
        request = (b"".join(request),)
    try:
        return _judge(injection.exchange(places.socket, request))
    except injection.NoServer:
        return _leave(places, request)
    except injection.ServerSilent:
        return Outcome(SERVER_SILENT)
    except PermissionError:
        return Outcome(NO_CONNECTION)
    except OSError:
        return Outcome(CONNECTION_BROKE)


def _leave(places: Places, request: "Sequence[bytes | memoryview]") -> Outcome:
    try:
        injection.drop(places.drop, request)
    except OSError:
        return Outcome(WRITE_ERROR)
    return Outcome(QUEUED)


def _judge(answer: bytes) -> Outcome:
    try:
        (said,) = split(answer)
    except (NetstringError, ValueError):
        return Outcome(CONNECTION_BROKE)
    words = said.decode("ascii", "replace")
    if words.startswith("K"):
        return Outcome(QUEUED, words)
    return Outcome(REFUSED if words.startswith("D") else NOT_NOW, words)


def limit_bytes() -> int:
    """Return how large a message may be; without a configuration, as by default."""
    try:
        return find_places().size_most_bytes
    except NoConfiguration:
        return DEFAULT_MESSAGE_SIZE_BYTES
