"""The text of a report, which people read, and programs of qmail's world.

These know a report of failure by QSBMF (reference 11.1): a first paragraph that begins ``Hi. This is the``, a paragraph
for each recipient that begins ``<ADDRESS>:``, a last one that begins with a hyphen.  They take every recipient in it
for one that failed, so the other reports begin with other words.
"""

from collections.abc import Sequence
from enum import Enum, auto
from typing import Protocol

from paperpath.base.text import one_line, show
from paperpath.message.trace import plain_host

LINE_BYTES = 900
"""Longest value on one line: with the words around it below the 998 of RFC 5322 2.1.1."""


class Returned(Enum):
    """What comes back of the message, and why no more."""

    WHOLE = auto()
    AS_ASKED = auto()
    """The header, because the sender asked for that."""
    TOO_LONG = auto()


class Told(Protocol):
    """What this needs to know of a recipient."""

    @property
    def address(self) -> bytes:
        """As the sender knows it."""

    @property
    def action(self) -> str:
        """RFC 3464 2.3.3."""

    @property
    def text(self) -> str:
        """What happened, in words."""


_SUBJECTS = {"failed": b"failure notice", "delayed": b"delay notice"}

_MEANING = {
    "delivered": b"It is in the mailbox.",
    "relayed": b"It was handed to a server that sends no such reports: you will hear no more of it.",
    "expanded": b"It was sent on to several addresses; you will hear no more of its success.",
}


def subject(action: str) -> bytes:
    """Return the value of Subject."""
    return _SUBJECTS.get(action, b"delivery notice")


def report_words(hostname: bytes, told: Sequence[Told], *, double: bool, returned: Returned) -> bytes:
    """Return the text, its lines ending in LF; ``double`` tells that the original is itself a report."""
    action = told[0].action
    paragraphs = [_opening(plain_host(hostname), action, double=double), *(_recipient(one) for one in told)]
    if action == "failed":
        if returned is Returned.TOO_LONG:
            paragraphs.append(b"The message is too long to be returned: only its header is.")
        elif returned is Returned.AS_ASKED:
            paragraphs.append(b"Only the header of the message is returned, as it was asked for.")
        last = b"the original bounce." if double else b"a copy of the message."
    else:
        last = b"the header of the message."
    paragraphs.append(b"--- Below this line is " + last)
    return b"\n\n".join(paragraphs) + b"\n"


def _opening(host: bytes, action: str, *, double: bool) -> bytes:
    if action == "failed":
        why = (
            b"A report that was sent from here could not be delivered either."
            if double
            else b"Your message could not be delivered to everybody it was meant for."
        )
        there = b"There will be no further attempt for these recipients:"
        return b"Hi. This is the Paperpath mail server at %b.\n%b\n%b" % (host, why, there)
    here = b"This is the Paperpath mail server at %b.\n" % host
    if action == "delayed":
        return here + b"Your message waits for these recipients. You need not send it again: it is tried further."
    return here + b"You asked to be told what became of your message. It reached these recipients:"


def _recipient(told: Told) -> bytes:
    address = _cut(show(told.address.replace(b"\n", b"_")))
    if told.action in _MEANING:
        lines = _MEANING[told.action]
    else:
        lines = b"\n".join(_cut(one_line(line)) for line in told.text.split("\n")).strip(b"\n")
    # An empty line would end the paragraph: reference 11.1.
    return b"<%b>:\n%b" % (address, lines.replace(b"\n\n", b"\n/") or b"No reason was given.")


def _cut(text: str) -> bytes:
    """Return ``text`` in UTF-8, cut to ``LINE_BYTES`` between two characters."""
    return text.encode()[:LINE_BYTES].decode("utf-8", "ignore").encode()
