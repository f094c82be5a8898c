"""The lines that go before a message: Received when it comes in, Return-Path and Delivered-To at the end.

What strangers say of themselves (HELO, reverse DNS) is cut to a known length and to bytes that cannot open a
comment, a quoted string or a new line.  All lines end in LF.
"""

from functools import lru_cache

from paperpath.base.address import quote
from paperpath.base.dates import rfc5322
from paperpath.base.limits import DOMAIN_BYTES, PATH_BYTES
from paperpath.message.trace_qmail import PLAIN_TABLE


def plain_host(name: bytes) -> bytes:
    """Return a name from a stranger as qmail writes it, its length bounded."""
    return name[:DOMAIN_BYTES].translate(PLAIN_TABLE)


@lru_cache(maxsize=4)
def _date(now: int) -> bytes:
    return rfc5322(now).encode()


def with_keyword(spoken: str, *, extended: bool, utf8: bool, tls: bool, authenticated: bool) -> str:
    """Return how a message came, for ``received_line``: a keyword of RFC 3848, or of RFC 6531 4.3 with SMTPUTF8.

    ``spoken`` is ``SMTP`` or ``LMTP``.  There is none for SMTP without EHLO over TLS: what is said of the cipher is
    all that tells then.
    """
    if spoken == "SMTP" and not extended:
        return spoken
    name = f"UTF8{spoken}" if utf8 else spoken if spoken == "LMTP" else f"E{spoken}"
    return name + "S" * tls + "A" * authenticated


def received_line(
    *,
    helo: bytes,
    peer: str,
    peer_name: str | None,
    hostname: bytes,
    protocol: str,
    recipient: bytes | None,
    now: int,
    tls: str | None,
    priority: int = 0,
) -> bytes:
    """Return the Received field (RFC 5321 4.4) of a message that came in at ``now`` seconds.

    ``peer`` is an IP address as text, or ``local uid N``; ``peer_name`` its name where reverse DNS gave one.
    ``protocol`` is a keyword of RFC 3848 or RFC 6531 4.3.  ``recipient`` is given where there is exactly one:
    naming one of several would betray it to the others.  ``tls`` is protocol version and cipher, from our own
    library.  ``priority`` is shown where it is not the ordinary one (RFC 6710 4.1).  There is no ``id`` clause: the
    queue's id is not known yet.
    """
    source = _source(peer)
    name = plain_host(peer_name.encode("utf-8", "replace")) + b" " if peer_name else b""
    secured = b", " + tls.encode() if tls else b""
    return b"Received: from %b (%b%b)\n\tby %b with %b (Paperpath%b)%b%b;\n\t%b\n" % (
        plain_host(helo) or _unnamed(source),
        name,
        source,
        hostname,
        protocol.encode(),
        secured,
        _for_clause(recipient, protocol) if recipient else b"",
        b" PRIORITY %d" % priority if priority else b"",
        _date(now),
    )


def _source(peer: str) -> bytes:
    if peer.startswith("local "):
        return b"local " + plain_host(peer[6:].encode()).replace(b"?", b" ")
    return (b"[IPv6:%b]" if ":" in peer else b"[%b]") % plain_host(peer.encode())


def _unnamed(source: bytes) -> bytes:
    """What stands for a HELO name that was never given: RFC 5321 4.4 wants a domain or an address literal."""
    return source if source.startswith(b"[") else b"localhost"


def _for_clause(recipient: bytes, protocol: str) -> bytes:
    """Return the clause, or nothing for an address that this header cannot carry on one line.

    Bytes above 127 are right in a message that came with SMTPUTF8 only (RFC 6531 3.7.3).
    """
    path = quote(recipient)
    if len(path) > PATH_BYTES:
        return b""
    try:
        text = path.decode("utf-8" if protocol.startswith("UTF8") else "ascii")
    except UnicodeDecodeError:
        return b""
    return b" for <%b>" % path if text.isprintable() else b""


def return_path(sender: bytes) -> bytes:
    """Return the Return-Path line of final delivery (RFC 5321 4.4), byte for byte as qmail's RPLINE."""
    return b"Return-Path: <%b>\n" % quote(sender).replace(b"\n", b"_")


def delivered_to(recipient: bytes) -> bytes:
    """Return the Delivered-To line that local deliveries know loops by, byte for byte as qmail's DTLINE."""
    return b"Delivered-To: %b\n" % recipient.replace(b"\n", b"_")
