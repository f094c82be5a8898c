"""qmail-smtpd: takes mail by SMTP on standard input and output (qmail-interfaces 13)."""

import os

from paperpath.config.control import Control, is_bad_sender
from paperpath.inject.command import qmail_home
from paperpath.inject.peer import received_by, size_limit
from paperpath.inject.queueing import Submission
from paperpath.protocol.qmail_smtpd import NO_CONTROLS, TIMEOUT, Close, End, Open, Put, Say, Server, Terms
from paperpath.system import clock, helpers

_READ_BYTES = 64 * 1024
_UNKNOWN = b"unknown"
_TIMEOUT_MOST_S = 1_000_000


class _Gone(Exception):
    """The conversation is over; the argument is the exit code."""


def main(_argv: list[str]) -> int:
    """Serve one client; return 0 after QUIT, else 1."""
    try:
        return _Conversation().run()
    except _Gone:
        return 1


class _Conversation:
    """What stands between the machine and the descriptors."""

    def __init__(self) -> None:
        self._timeout_s, self._output = 1200, b""
        environment = os.environb
        self._peer_name = environment.get(b"TCPREMOTEHOST", _UNKNOWN)
        try:
            control = Control(qmail_home())
            self._server = Server(_terms(control), self._peer_name)
            self._timeout_s = min(control.number("timeoutsmtpd"), _TIMEOUT_MOST_S)
        except (OSError, ValueError):
            self._output = NO_CONTROLS
            self._flush()
            raise _Gone from None

    def run(self) -> int:
        """Return the exit code."""
        server = self._server
        self._output = server.greet()
        while True:
            event = server.next()
            if isinstance(event, End):
                self._flush()
                return event.code
            if isinstance(event, Say):
                self._output += event.text
            elif isinstance(event, Open):
                self._open()
            elif isinstance(event, Put):
                self._submission.put(event.data)
            elif isinstance(event, Close):
                self._close(event)
            else:
                server.feed(self._read())

    def _open(self) -> None:
        try:
            self._submission = Submission()
        except OSError:
            self._output += self._server.opened(is_open=False)
            return
        self._output += self._server.opened(is_open=True)
        self._submission.put(received_by(b"SMTP", self._server.helo))

    def _close(self, event: Close) -> None:
        outcome = self._submission.close(event.sender, event.recipients, is_refused=event.is_refused)
        text = os.fsencode(outcome.text)
        self._output += self._server.judged(text, self._submission.number, int(clock.now()))

    def _read(self) -> bytes:
        """Return what comes next, after all that has been said has gone out.  Raises _Gone."""
        self._flush()
        try:
            data = helpers.read_within(0, _READ_BYTES, self._timeout_s)
        except TimeoutError:
            self._output = TIMEOUT
            self._flush()
            data = b""
        except OSError:
            data = b""
        if not data:
            raise _Gone
        return data

    def _flush(self) -> None:
        try:
            helpers.write_within(1, self._output, self._timeout_s)
        except OSError:  # TimeoutError is one
            raise _Gone from None
        self._output = b""


def _terms(control: Control) -> Terms:
    """Return what control files and environment say.  Raises OSError, ValueError."""
    greeting = control.line("smtpgreeting")
    if greeting is None:
        raise OSError("neither smtpgreeting nor me")
    literal_host, refused = control.line("localiphost"), control.badmailfrom()
    return Terms(
        greeting,
        control.rcpthosts().accept,
        lambda sender: is_bad_sender(sender, refused),
        databytes=size_limit(control),
        suffix=os.environb.get(b"RELAYCLIENT"),
        literal_host=literal_host,
        is_own=_is_own,
    )


def _is_own(address: str) -> bool:
    from paperpath.system.addresses import own_ipv4_addresses

    return address == "0.0.0.0" or address in own_ipv4_addresses()  # noqa: S104 (nothing is bound to it)
