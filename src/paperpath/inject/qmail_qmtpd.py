"""qmail-qmtpd: takes mail by QMTP on standard input and output (qmail-interfaces 14.2)."""

import os

from paperpath.config.control import Control
from paperpath.inject.command import PERMANENT, TEMPORARY, qmail_home
from paperpath.inject.peer import received_by, size_limit
from paperpath.inject.queueing import Submission
from paperpath.protocol.qmtp import LENGTH_MOST, Malformed, Package, QmtpServer
from paperpath.system import clock, injection

_READ_BYTES = 64 * 1024
_SESSION_MOST_S = 3600
_LONGEST_BYTES = 999
_RECIPIENTS_MOST = 100_000
_ENVELOPE_MOST_BYTES = 32 * 1024 * 1024

_BAD_SENDER = b"Dunacceptable sender (#5.1.7)"
_TOO_LARGE = b"Dsorry, that message size exceeds my databytes limit (#5.3.4)"
_NOT_LISTED = b"Dsorry, that domain isn't in my list of allowed rcpthosts (#5.7.1)"
_BAD_RECIPIENT = b"Dsorry, I can't handle that recipient (#5.1.3)"


def main(_argv: list[str]) -> int:
    """Serve one client; return 0 when it has gone, 100 where it does not speak QMTP, 111 for trouble here."""
    injection.exit_after(_SESSION_MOST_S, TEMPORARY)
    injection.ignore_broken_pipes()
    home = qmail_home()
    if not os.path.isdir(home):  # without rcpthosts this would relay for everybody
        return TEMPORARY
    try:
        server = _Server(Control(home))
    except (OSError, ValueError):
        return TEMPORARY
    try:
        while data := os.read(0, _READ_BYTES):
            code = server.take(data)
            if code is not None:
                return code
    except ConnectionError:
        pass
    return 0


class _Server:
    """What stands between the machine and a queue program."""

    def __init__(self, control: Control) -> None:
        """Raises OSError and ValueError where the control files cannot be read."""
        self._suffix = os.environb.get(b"RELAYCLIENT")
        self._hosts = control.rcpthosts()
        self._machine = QmtpServer(
            message_most_bytes=size_limit(control) or LENGTH_MOST,
            recipients_most=_RECIPIENTS_MOST,
            envelope_most_bytes=_ENVELOPE_MOST_BYTES,
            address_most_bytes=_LONGEST_BYTES,
        )
        self._submission: Submission | None = None

    def take(self, data: bytes) -> int | None:
        """Handle what came; return the exit code where that is the end.  Raises OSError where the client is gone."""
        events = self._machine.receive(data)
        while events:
            for event in events:
                if isinstance(event, Malformed):
                    return TEMPORARY if event.is_too_long else PERMANENT
                if self._submission is None:
                    try:
                        self._submission = Submission()
                    except OSError:
                        return TEMPORARY
                    self._submission.put(received_by(b"QMTP"))
                if isinstance(event, bytes):
                    self._submission.put(event)
            events = self._machine.answer(self._answers()) if self._machine.package is not None else []
            injection.write_all(1, self._machine.take_output())
        return None

    def _answers(self) -> list[bytes]:
        package, submission = self._machine.package, self._submission
        assert package is not None and submission is not None
        self._submission = None
        failures = [self._failure(recipient) for recipient in package.recipients]
        welcome = [
            (recipient or b"") + (self._suffix or b"")
            for recipient, failure in zip(package.recipients, failures, strict=True)
            if not failure
        ]
        common = self._result(package, submission, welcome)
        return [failure or common for failure in failures]

    def _failure(self, recipient: bytes | None) -> bytes:
        """Return why this recipient cannot be had, or nothing."""
        if recipient is None or len(recipient) + len(self._suffix or b"") > _LONGEST_BYTES:
            return _BAD_RECIPIENT
        if self._suffix is None and not self._hosts.accept(recipient):
            return _NOT_LISTED
        return _BAD_RECIPIENT if b"\0" in recipient else b""

    def _result(self, package: Package, submission: Submission, welcome: list[bytes]) -> bytes:
        """Queue the message, unless it is refused; return what is said of it."""
        sender = package.sender
        is_refused = sender is None or b"\0" in sender or package.is_too_large or not welcome
        outcome = submission.close(sender or b"", welcome, is_refused=is_refused)
        if package.is_too_large:
            return _TOO_LARGE
        if sender is None or b"\0" in sender:
            return _BAD_SENDER
        text = os.fsencode(outcome.text)
        return text or b"Kok %d qp %d" % (int(clock.now()), submission.number)
