"""Reports to the sender: on recipients that will never have the message, that still wait for it, that have it.

Programs of today read RFC 3464: a multipart/report of a text, a message/delivery-status and the original, or its
header.  Programs of qmail's world read QSBMF, which is the shape of the text part of a report of failure; a report of
anything else must not look like one to them (`report_words`).

Nothing from outside (addresses, the peers' words, the original) can add a line to a header or end a part:
every value is put on one bounded line first, and the boundary is one that occurs in no part.
"""

import re
from collections.abc import Iterator, Sequence

import msgspec

from paperpath.base.address import DOUBLE_BOUNCE_SENDER, NULL_SENDER, bounce_recipient, quote
from paperpath.base.dates import rfc5322
from paperpath.base.limits import INLINE_CONTENT_BYTES
from paperpath.base.reply import ENHANCED_STATUS
from paperpath.base.text import one_line, show
from paperpath.base.xtext import decode_xtext
from paperpath.message.header import fields as fields_of
from paperpath.message.header import header_end
from paperpath.message.report_words import LINE_BYTES, Returned, report_words, subject
from paperpath.message.trace import plain_host, return_path

ORIGINAL_MOST_BYTES = 64 * 1024
"""Originals up to this size come back whole: any letter does, an attachment does not.  A report may go to
somebody who never sent the message, and should not be a way to send them its bulk."""

assert ORIGINAL_MOST_BYTES * 2 <= INLINE_CONTENT_BYTES  # so that a report is small content for the store

# RFC 3463 2, 3.1: the class of a status follows from what happened; a failure may have been temporary in itself.
_CLASSES = {"failed": "54", "delayed": "4"}
_DOMAIN = re.compile(r"[\w.:\[\]-]+")
_NOT_TOKEN = re.compile(r"[^A-Za-z0-9.]")

# RFC 6533 3: QCHAR is printable ASCII but space, plus, equals sign and backslash.
_NOT_QCHAR = re.compile(r"[^!-*,-<>-\[\]-~]")


class Reported(msgspec.Struct, frozen=True, kw_only=True):
    """One recipient of a report."""

    address: bytes
    """As the sender knows it: without the prefix of a virtual domain."""
    action: str = "failed"
    """``failed``, ``delayed``, ``delivered``, ``relayed`` or ``expanded`` (RFC 3464 2.3.3)."""
    status: str
    """Enhanced status (RFC 3463)."""
    text: str
    """What happened, in words."""
    host: str = ""
    """The peer that said so; empty where it was this host."""
    diagnostic: str = ""
    """The peer's reply (``550 5.1.1 …``); empty where there was none."""
    original: bytes = b""
    """The recipient as the sender wrote it (RFC 3461 4.2), ``rfc822;`` and xtext; empty where it did not say."""
    retried_until: int = 0
    """When it is given up, in seconds; 0: it is not tried any more."""


class Original(msgspec.Struct, frozen=True, kw_only=True):
    """The message that is reported on."""

    sender: bytes
    trace: bytes
    content: bytes
    """All of it, or its beginning with the whole header."""
    complete: bool
    """``content`` is all of it."""
    birth: int
    """When this host accepted it, in seconds."""
    header_only: bool = False
    """Its content is not to be returned, however short."""
    envelope_id: bytes = b""
    """What the sender calls it (RFC 3461 4.4), in xtext."""
    deliver_by: int = 0
    """By when it should be delivered (RFC 2852), in seconds; 0: whenever."""
    hold: str = ""
    """For how long, or until when, its sender had it held (RFC 4865 5.1.2)."""


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


def delivery_report(
    *,
    hostname: bytes,
    reporter: bytes,
    recipient: bytes,
    original: Original,
    reported: Sequence[Reported],
    double: bool,
    now: int,
    token: str,
) -> bytes:
    """Return the report as message content, its lines ending in LF.

    All recipients failed, or all wait, or all succeeded.  ``reporter`` is the local part that it comes from,
    ``recipient`` is from ``report_envelope``; ``double`` tells that the original is itself a report.  ``token`` names
    this report and no other of this host, ever: Message-ID and boundary are made from it.  The size is bounded by
    ``ORIGINAL_MOST_BYTES`` plus 6 KB for each recipient.
    """
    kind, returned = _returned(original, failed=reported[0].action == "failed")
    words = report_words(hostname, reported, double=double, returned=_how_returned(kind, original))
    parts = (
        _part(b"text/plain; charset=" + (b"us-ascii" if words.isascii() else b"utf-8"), words),
        _part(b"message/delivery-status", _status(hostname, original, reported)),
        _part(kind, returned),
    )
    boundary = _boundary(token, parts)
    fields = [
        b"Date: " + rfc5322(now).encode(),
        b"From: " + _mailbox(reporter + b"@" + hostname),
        b"To: " + _mailbox(recipient),
        b"Subject: " + subject(reported[0].action),
        b"Message-ID: <%b@%b>" % (_plain_token(token), plain_host(hostname)),
        b"Auto-Submitted: auto-replied",  # RFC 3834 5
        *([b"TLS-Required: No"] if _is_tls_optional(original) else []),
        b"MIME-Version: 1.0",
        b'Content-Type: multipart/report; report-type=delivery-status;\n\tboundary="%b"' % boundary,
    ]
    if not all(part.isascii() for part in parts):
        fields.append(b"Content-Transfer-Encoding: 8bit")
    opening = b"\n--" + boundary + b"\n"
    return b"\n".join(fields) + b"\n" + opening + opening.join(parts) + b"\n--" + boundary + b"--\n"


def _is_tls_optional(original: Original) -> bool:
    """Tell whether the sender would rather have it in clear than not at all (RFC 8689 3): so then the report on it."""
    header = original.content[: header_end(original.content)]
    return any(name.lower() == b"tls-required" and value.strip().lower() == b"no" for name, value in fields_of(header))


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
    fits = text.isprintable() and len(quoted) <= LINE_BYTES and _DOMAIN.fullmatch(text.rpartition("@")[2])
    return b"<" + quoted + b">" if fits else b"undisclosed-recipients:;"


def _part(kind: bytes, body: bytes) -> bytes:
    encoding = b"" if body.isascii() else b"\nContent-Transfer-Encoding: 8bit"
    return b"Content-Type: " + kind + encoding + b"\n\n" + body


def _status(hostname: bytes, original: Original, reported: Sequence[Reported]) -> bytes:
    """Return the machine-readable groups of RFC 3464 2.1, in ASCII throughout."""
    about = list(_message_fields(plain_host(hostname), original))
    return b"\n".join([b"\n".join(group) + b"\n" for group in (about, *map(_recipient_fields, reported))])


def _message_fields(host: bytes, original: Original) -> Iterator[bytes]:
    """Yield the per-message fields (RFC 3464 2.2, RFC 2852 5, RFC 4865 5.1.2)."""
    if original.envelope_id:
        yield b"Original-Envelope-Id: " + _ascii(show(decode_xtext(original.envelope_id)))
    yield b"Reporting-MTA: dns; " + host
    yield b"Arrival-Date: " + rfc5322(original.birth).encode()
    if original.deliver_by:
        yield b"Deliver-By-Date: " + rfc5322(original.deliver_by).encode()
    if original.hold:
        yield b"Future-Release-Request: " + _ascii(original.hold)


def _recipient_fields(reported: Reported) -> Iterator[bytes]:
    """Yield the per-recipient fields (RFC 3464 2.3)."""
    if reported.original:
        yield b"Original-Recipient: " + _original_recipient(reported.original)
    yield b"Final-Recipient: " + _typed_address(reported.address)
    yield b"Action: " + reported.action.encode()
    yield b"Status: " + _status_of(reported)
    if reported.host:
        yield b"Remote-MTA: dns; " + _ascii(reported.host)
    if reported.diagnostic:
        yield b"Diagnostic-Code: smtp; " + _ascii(reported.diagnostic)
    if reported.retried_until:
        yield b"Will-Retry-Until: " + rfc5322(reported.retried_until).encode()


def _status_of(reported: Reported) -> bytes:
    classes = _CLASSES.get(reported.action, "2")
    fits = ENHANCED_STATUS.fullmatch(reported.status) and reported.status[0] in classes
    return (reported.status if fits else f"{classes[0]}.0.0").encode()


def _original_recipient(value: bytes) -> bytes:
    """Return type and address as ORCPT gave them (RFC 3461 6.3), the xtext undone; RFC 6533 3 for type utf-8."""
    kind, _, address = value.partition(b";")
    if kind.lower() != b"utf-8":
        return _ascii(show(kind)) + b"; " + _ascii(show(decode_xtext(address)))
    text = address.decode("utf-8", "replace")
    return b"utf-8; " + "".join(c if c.isascii() else f"\\x{{{ord(c):02X}}}" for c in text).encode()[:LINE_BYTES]


def _ascii(text: str) -> bytes:
    return one_line(text).encode("ascii", "backslashreplace")[:LINE_BYTES]


def _typed_address(address: bytes) -> bytes:
    """Return type and address: rfc822 where printable ASCII carries it, else utf-8 as xtext (RFC 6533 3)."""
    quoted = quote(address)
    try:
        text = quoted.decode()
    except UnicodeDecodeError:
        return b"rfc822; " + _ascii(show(quoted))
    if text.isascii() and text.isprintable():
        return b"rfc822; " + quoted[:LINE_BYTES]
    xtext = _NOT_QCHAR.sub(lambda match: f"\\x{{{ord(match.group()):02X}}}", text)
    return b"utf-8; " + xtext.encode()[:LINE_BYTES]


def _returned(original: Original, *, failed: bool) -> tuple[bytes, bytes]:
    """Return type and content of the third part: the original, or its header.

    RFC 3461 4.3: the content comes back with a failure only.
    """
    top = return_path(original.sender) + original.trace
    whole = failed and original.complete and not original.header_only
    if whole and len(top) + len(original.content) <= ORIGINAL_MOST_BYTES:
        return b"message/rfc822", top + original.content
    header = top + original.content[: header_end(original.content)]
    if len(header) > ORIGINAL_MOST_BYTES:
        header = header[: header.rfind(b"\n", 0, ORIGINAL_MOST_BYTES) + 1]
    return b"text/rfc822-headers", header


def _how_returned(kind: bytes, original: Original) -> Returned:
    if kind == b"message/rfc822":
        return Returned.WHOLE
    return Returned.AS_ASKED if original.header_only else Returned.TOO_LONG
