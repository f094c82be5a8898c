"""The reports that maildirserial sends of messages that it gives up (qmail-interfaces 11.1 and 20.3)."""

import os

from paperpath.inject.command import reason
from paperpath.inject.queueing import Submission
from paperpath.inject.serial import envelope
from paperpath.message.rewriting import quote_argument
from paperpath.message.trace_qmail import date
from paperpath.system import clock

TYPE_CHECKING = False
if TYPE_CHECKING:
    from io import BufferedReader

    from paperpath.config.control import Control

_DOUBLE_BOUNCE = b"#@[]"
_COPY_BYTES = 1 << 20
_BOUNCED = (
    b"I'm afraid I wasn't able to deliver your message to the following address.\n"
    b"This is a permanent error; I've given up. Sorry it didn't work out.\n\n",
    b"--- Below this line is a copy of the message.\n\n",
)
_BOUNCED_TWICE = (
    b"I tried to deliver a bounce message to this address, but the bounce bounced!\n\n",
    b"--- Below this line is the original bounce.\n\n",
)
_TOO_OLD = b"This message is too old. Giving up.\n"


class Failed(Exception):
    """A message cannot be reported on, and stays; the text says why."""


class Bouncer:
    """Reports on messages whose recipient begins with a prefix, in the words of one host."""

    def __init__(self, control: "Control", prefix: bytes) -> None:
        """Raises OSError."""
        me = control.read_line("me") or b"me"
        self._prefix = prefix
        self._host = control.read_line("bouncehost") or me
        self._from = quote_argument((control.line("bouncefrom") or b"MAILER-DAEMON") + b"@" + self._host)
        twice_to, twice_host = control.line("doublebounceto"), control.read_line("doublebouncehost")
        self._twice_to = (twice_to or b"postmaster") + b"@" + (twice_host or me)

    def bounce(self, name: bytes, why: bytes, *, is_old: bool) -> str:
        """Report on the message in a file; return what to say of it.  ``why`` ends in LF.  Raises Failed."""
        shown = os.fsdecode(name)
        try:
            with open(name, "rb") as file:
                found = envelope(file)
                if found is None or b"\0" in found[0]:
                    raise Failed(f"unable to bounce {shown}: bad file format")
                sender, recipient = found
                if sender == _DOUBLE_BOUNCE:
                    return f"discarding {shown}: triple bounce"
                failure, number = self._queue(file, sender, recipient, why + (_TOO_OLD if is_old else b""))
        except OSError as error:
            raise Failed(f"unable to read {shown}: {reason(error)}") from None
        if failure:
            raise Failed(f"unable to bounce {shown}: qq failed: {failure}")
        return f"returned {shown}: qp {number}"

    def _queue(self, file: "BufferedReader", sender: bytes, recipient: bytes, why: bytes) -> tuple[str, int]:
        """Return what the queue has against the report, if anything, and the number of its process."""
        words, mark = _BOUNCED if sender else _BOUNCED_TWICE
        to = sender or self._twice_to
        queue = Submission()
        queue.put(
            b"Date: %b\nFrom: %b\nTo: %b\nSubject: failure notice\n\n"
            % (date(clock.utc()), self._from, quote_argument(to))
            + b"Hi. This is the maildirbounce program at %b.\n%b" % (self._host, words)
            + b"<%b>:\n%b\n%b" % (recipient.removeprefix(self._prefix), why, mark)
            + b"Return-Path: <%b>\n" % quote_argument(sender)
        )
        while piece := file.read(_COPY_BYTES):
            queue.put(piece)
        return queue.close(b"" if sender else _DOUBLE_BOUNCE, [to]).text[1:], queue.number
