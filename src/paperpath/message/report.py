"""Failure reports: what the sender is told about recipients that will never have the message.

One text serves two readers.  Programs of today read RFC 3464: a multipart/report of a text, a
message/delivery-status and the original.  Programs of qmail's world read QSBMF, which is the shape of the
text part: a first paragraph that begins ``Hi. This is the``, a paragraph for each recipient that begins
``<ADDRESS>:``, and a last one that begins with a hyphen.

Nothing from outside (addresses, the peers' words, the original) can add a line to a header or end a part:
every value is put on one bounded line first, and the boundary is one that occurs in no part.
"""

import re
from collections.abc import Iterator, Sequence

import msgspec

from paperpath.base.address import (
    DOUBLE_BOUNCE_SENDER,
    NULL_SENDER,
    bounce_recipient,
    quote,
)
from paperpath.base.dates import rfc5322
from paperpath.base.limits import INLINE_CONTENT_BYTES
from paperpath.base.text import one_line, show
from paperpath.message.header import header_end
from paperpath.message.trace import plain_host, return_path

ORIGINAL_MOST_BYTES = 64 * 1024
"""Originals up to this size come back whole: any letter does, an attachment does not.  A report may go to
somebody who never sent the message, and should not be a way to send them its bulk."""

assert ORIGINAL_MOST_BYTES * 2 <= INLINE_CONTENT_BYTES  # so that a report is small content for the store

_LINE_BYTES = 900
"""Longest value on one line: with the words around it below the 998 of RFC 5322 2.1.1."""

_STATUS = re.compile(r"[45]\.[0-9]{1,3}\.[0-9]{1,3}")  # RFC 3463 2
_DOMAIN = re.compile(r"[\w.:\[\]-]+")
_NOT_TOKEN = re.compile(r"[^A-Za-z0-9.]")

# RFC 6533 3: QCHAR is printable ASCII but space, plus, equals sign and backslash.
_NOT_QCHAR = re.compile(r"[^!-*,-<>-\[\]-~]")


class Failure(msgspec.Struct, frozen=True, kw_only=True):
    """One recipient that failed."""

    address: bytes
    """As the sender knows it: without the prefix of a virtual domain."""
    status: str
    """Enhanced status (RFC 3463)."""
    text: str
    """What happened, in words."""
    host: str = ""
    """The peer that refused; empty where it was this host."""
    diagnostic: str = ""
    """The peer's reply (``550 5.1.1 …``); empty where there was none."""


class Original(msgspec.Struct, frozen=True, kw_only=True):
    """The message that failed."""

    sender: bytes
    trace: bytes
    content: bytes
    """All of it, or its beginning with the whole header."""
    complete: bool
    """``content`` is all of it."""
    birth: int
    """When this host accepted it, in seconds."""


def report_envelope(sender: bytes, double_to: bytes, hostname: bytes) -> tuple[bytes, bytes] | None:
    """Return sender and recipient of the report on failed mail from ``sender`` (qmail's single and double
    bounce).

    A failed report is reported to ``double_to`` (at ``hostname`` where it names no domain), from ``#@[]``.
    None: there is no report, because that one failed as well (a triple bounce) or because ``double_to`` is
    empty.
    """
    recipient = bounce_recipient(sender)
    if recipient == DOUBLE_BOUNCE_SENDER:
        return None
    if recipient != NULL_SENDER:
        return NULL_SENDER, recipient
    if not double_to:
        return None
    return DOUBLE_BOUNCE_SENDER, double_to if b"@" in double_to else double_to + b"@" + hostname


def failure_report(
    *,
    hostname: bytes,
    reporter: bytes,
    recipient: bytes,
    original: Original,
    failures: Sequence[Failure],
    double: bool,
    now: int,
    token: str,
) -> bytes:
    """Return the report as message content, its lines ending in LF.

    ``reporter`` is the local part that it comes from, ``recipient`` is from ``report_envelope``; ``double``
    tells that the original is itself a report.  ``token`` names this report and no other of this host, ever:
    Message-ID and boundary are made from it.  The size is bounded by ``ORIGINAL_MOST_BYTES`` plus 6 KB for
    each failure.
    """
    kind, returned = _returned(original)
    parts = (
        _text_part(hostname, failures, double=double, whole=kind == b"message/rfc822"),
        _part(b"message/delivery-status", _status(hostname, original.birth, failures)),
        _part(kind, returned),
    )
    boundary = _boundary(token, parts)
    fields = [
        b"Date: " + rfc5322(now).encode(),
        b"From: " + _mailbox(reporter + b"@" + hostname),
        b"To: " + _mailbox(recipient),
        b"Subject: failure notice",
        b"Message-ID: <%b@%b>" % (_plain_token(token), plain_host(hostname)),
        b"Auto-Submitted: auto-replied",  # RFC 3834 5
        b"MIME-Version: 1.0",
        b'Content-Type: multipart/report; report-type=delivery-status;\n\tboundary="%b"' % boundary,
    ]
    if not all(part.isascii() for part in parts):
        fields.append(b"Content-Transfer-Encoding: 8bit")
    opening = b"\n--" + boundary + b"\n"
    return b"\n".join(fields) + b"\n" + opening + opening.join(parts) + b"\n--" + boundary + b"--\n"


def _plain_token(token: str) -> bytes:
    return _NOT_TOKEN.sub("-", token)[:40].encode()


def _boundary(token: str, parts: Sequence[bytes]) -> bytes:
    """Return a boundary (RFC 2046 5.1.1: at most 70 characters) that occurs nowhere in ``parts``.

    The number grows until that is so.  Each number that is taken costs the parts a few bytes, so it ends
    soon.
    """
    stem, number = b"=_" + _plain_token(token), 0
    while any(b"--%b.%d" % (stem, number) in part for part in parts):
        number += 1
    return b"%b.%d" % (stem, number)


def _mailbox(address: bytes) -> bytes:
    """Return an address as a header field shows it; an empty group (RFC 5322 3.4) where no line can carry
    it."""
    quoted = quote(address)
    try:
        text = quoted.decode()
    except UnicodeDecodeError:
        text = ""
    fits = text.isprintable() and len(quoted) <= _LINE_BYTES and _DOMAIN.fullmatch(text.rpartition("@")[2])
    return b"<" + quoted + b">" if fits else b"undisclosed-recipients:;"


def _part(kind: bytes, body: bytes) -> bytes:
    encoding = b"" if body.isascii() else b"\nContent-Transfer-Encoding: 8bit"
    return b"Content-Type: " + kind + encoding + b"\n\n" + body


def _text_part(hostname: bytes, failures: Sequence[Failure], *, double: bool, whole: bool) -> bytes:
    """Return the part that people and QSBMF readers read (reference 11.2)."""
    told = (
        b"A report that was sent from here could not be delivered either."
        if double
        else b"Your message could not be delivered to everybody it was meant for."
    )
    paragraphs = [
        b"Hi. This is the Paperpath mail server at %b.\n%b\n" % (plain_host(hostname), told)
        + b"There will be no further attempt for these recipients:",
        *(_recipient_paragraph(failure) for failure in failures),
    ]
    if not whole:
        paragraphs.append(b"The message is too long to be returned: only its header is.")
    last = b"the original bounce." if double else b"a copy of the message."
    paragraphs.append(b"--- Below this line is " + last)
    body = b"\n\n".join(paragraphs) + b"\n"
    return _part(b"text/plain; charset=" + (b"us-ascii" if body.isascii() else b"utf-8"), body)


def _recipient_paragraph(failure: Failure) -> bytes:
    address = _cut(show(failure.address.replace(b"\n", b"_")))
    lines = b"\n".join(_cut(one_line(line)) for line in failure.text.split("\n")).strip(b"\n")
    # An empty line would end the paragraph: reference 11.1.
    return b"<%b>:\n%b" % (address, lines.replace(b"\n\n", b"\n/") or b"No reason was given.")


def _cut(text: str) -> bytes:
    """Return ``text`` in UTF-8, cut to ``_LINE_BYTES`` between two characters."""
    return text.encode()[:_LINE_BYTES].decode("utf-8", "ignore").encode()


def _status(hostname: bytes, birth: int, failures: Sequence[Failure]) -> bytes:
    """Return the machine-readable groups of RFC 3464 2.1, in ASCII throughout."""
    host = plain_host(hostname)
    about = b"Reporting-MTA: dns; %b\nArrival-Date: %b\n" % (host, rfc5322(birth).encode())
    return b"\n".join([about, *(b"\n".join(_recipient_fields(failure)) + b"\n" for failure in failures)])


def _recipient_fields(failure: Failure) -> Iterator[bytes]:
    """Yield the per-recipient fields (RFC 3464 2.3)."""
    yield b"Final-Recipient: " + _typed_address(failure.address)
    yield b"Action: failed"
    yield b"Status: " + (failure.status.encode() if _STATUS.fullmatch(failure.status) else b"5.0.0")
    if failure.host:
        yield b"Remote-MTA: dns; " + _ascii(failure.host)
    if failure.diagnostic:
        yield b"Diagnostic-Code: smtp; " + _ascii(failure.diagnostic)


def _ascii(text: str) -> bytes:
    return one_line(text).encode("ascii", "backslashreplace")[:_LINE_BYTES]


def _typed_address(address: bytes) -> bytes:
    """Return type and address: rfc822 where printable ASCII carries it, else utf-8 as xtext (RFC 6533 3)."""
    quoted = quote(address)
    try:
        text = quoted.decode()
    except UnicodeDecodeError:
        return b"rfc822; " + _ascii(show(quoted))
    if text.isascii() and text.isprintable():
        return b"rfc822; " + quoted[:_LINE_BYTES]
    xtext = _NOT_QCHAR.sub(lambda match: f"\\x{{{ord(match.group()):02X}}}", text)
    return b"utf-8; " + xtext.encode()[:_LINE_BYTES]


def _returned(original: Original) -> tuple[bytes, bytes]:
    """Return type and content of the third part: the original, or its header where it is long."""
    top = return_path(original.sender) + original.trace
    if original.complete and len(top) + len(original.content) <= ORIGINAL_MOST_BYTES:
        return b"message/rfc822", top + original.content
    header = top + original.content[: header_end(original.content)]
    if len(header) > ORIGINAL_MOST_BYTES:
        header = header[: header.rfind(b"\n", 0, ORIGINAL_MOST_BYTES) + 1]
    return b"text/rfc822-headers", header
