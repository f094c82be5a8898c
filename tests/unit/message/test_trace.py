"""Trace lines: what they say, and that nobody outside can add to them."""

from email import message_from_bytes, policy
from email.utils import parsedate_to_datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st

from paperpath.base.limits import TRACE_MOST_BYTES
from paperpath.message.trace import delivered_to, plain_host, received_line, return_path

NOW = 1795343417  # Sun, 22 Nov 2026 10:30:17 UTC


def line(
    *,
    helo: bytes = b"client.example",
    peer: str = "192.0.2.1",
    peer_name: str | None = None,
    protocol: str = "ESMTP",
    recipient: bytes | None = None,
    tls: str | None = None,
) -> bytes:
    return received_line(
        helo=helo,
        peer=peer,
        peer_name=peer_name,
        hostname=b"mx.example.org",
        protocol=protocol,
        recipient=recipient,
        now=NOW,
        tls=tls,
    )


def test_received_in_full() -> None:
    assert line(recipient=b"joe@example.org") == (
        b"Received: from client.example ([192.0.2.1])\n"
        b"\tby mx.example.org with ESMTP (Paperpath) for <joe@example.org>;\n"
        b"\tSun, 22 Nov 2026 10:30:17 +0000\n"
    )


def test_received_without_single_recipient_names_none() -> None:
    assert b"for" not in line()


def test_received_names_peer_and_tls_where_known() -> None:
    text = line(peer_name="host.example", tls="TLSv1.3 TLS_AES_256_GCM_SHA384", protocol="ESMTPS")
    assert b"from client.example (host.example [192.0.2.1])\n" in text
    assert b" with ESMTPS (Paperpath, TLSv1.3 TLS_AES_256_GCM_SHA384);" in text


@pytest.mark.parametrize(
    ("peer", "helo", "expected"),
    [
        ("2001:db8::1", b"h", b"from h ([IPv6:2001:db8::1])"),
        ("2001:db8::1", b"", b"from [IPv6:2001:db8::1] ([IPv6:2001:db8::1])"),
        ("192.0.2.1", b"", b"from [192.0.2.1] ([192.0.2.1])"),
        ("local uid 1000", b"mx.example.org", b"from mx.example.org (local uid 1000)"),
        ("local uid 0", b"", b"from localhost (local uid 0)"),
    ],
)
def test_received_source(peer: str, helo: bytes, expected: bytes) -> None:
    assert line(peer=peer, helo=helo).startswith(b"Received: " + expected + b"\n\tby ")


@pytest.mark.parametrize(
    ("helo", "shown"),
    [
        (b"a.b-c_d", b"a.b-c?d"),
        (b"x) by evil (", b"x??by?evil??"),
        (b"a\nSubject: b", b"a?Subject:?b"),
        (b"[192.0.2.7]", b"[192.0.2.7]"),
        (b"\xff\x00;\"'\\<>", b"?" * 8),
    ],
)
def test_helo_is_shown_as_qmail_shows_it(helo: bytes, shown: bytes) -> None:
    assert plain_host(helo) == shown
    assert b"from " + shown + b" (" in line(helo=helo)


def test_names_are_cut() -> None:
    assert plain_host(b"a" * 5000) == b"a" * 255
    assert len(line(helo=b"a" * 5000, peer_name="b" * 5000)) < 1000


@pytest.mark.parametrize(
    ("recipient", "protocol", "clause"),
    [
        (b"a b@x", "ESMTP", b' for <"a b"@x>;'),
        (b'"@x', "ESMTP", b' for <"\\""@x>;'),
        ("ü@x".encode(), "UTF8SMTPS", " for <ü@x>;".encode()),
        ("ü@x".encode(), "ESMTP", b"(Paperpath);"),
        (b"\xff@x", "UTF8SMTP", b"(Paperpath);"),
        ("\u202eü@x".encode(), "UTF8SMTP", b"(Paperpath);"),
        (b"a\nb@x", "ESMTP", b"(Paperpath);"),
        (b"a@x\rb", "ESMTP", b"(Paperpath);"),
        (b"a" * 300 + b"@x", "ESMTP", b"(Paperpath);"),
    ],
)
def test_for_clause_only_where_a_header_can_carry_it(recipient: bytes, protocol: str, clause: bytes) -> None:
    assert clause in line(recipient=recipient, protocol=protocol)


@given(helo=st.binary(max_size=2000), name=st.text(max_size=2000), recipient=st.binary(min_size=1, max_size=900))
def test_received_is_one_bounded_field_whatever_strangers_say(helo: bytes, name: str, recipient: bytes) -> None:
    text = line(helo=helo, peer_name=name, recipient=recipient, protocol="UTF8SMTP")
    rows = text.split(b"\n")
    assert len(rows) == 4 and not rows[-1]
    assert rows[0].startswith(b"Received: from ") and all(row.startswith(b"\t") for row in rows[1:3])
    assert all(len(row) <= 998 for row in rows) and len(text) < TRACE_MOST_BYTES
    assert b"\r" not in text and b"\0" not in text
    # An independent reader finds the field, nothing beside it, and the date after the last semicolon.
    parsed = message_from_bytes(text + b"\nbody\n", policy=policy.compat32)
    assert parsed.keys() == ["Received"] and not parsed.defects
    assert parsedate_to_datetime(str(parsed["Received"]).rpartition(";")[2]).timestamp() == NOW


@pytest.mark.parametrize(
    ("sender", "expected"),
    [
        (b"", b"Return-Path: <>\n"),
        (b"joe@example.org", b"Return-Path: <joe@example.org>\n"),
        (b"j oe@example.org", b'Return-Path: <"j oe"@example.org>\n'),
        (b"a\nb@x", b'Return-Path: <"a\\_b"@x>\n'),  # quoted first, as qmail-local does
        (b"a@x\ny", b"Return-Path: <a@x_y>\n"),
        (b"#@[]", b"Return-Path: <#@[]>\n"),
    ],
)
def test_return_path(sender: bytes, expected: bytes) -> None:
    assert return_path(sender) == expected


@pytest.mark.parametrize(
    ("recipient", "expected"),
    [
        (b"joe@example.org", b"Delivered-To: joe@example.org\n"),
        (b"Jo e@Example.ORG", b"Delivered-To: Jo e@Example.ORG\n"),
        (b"a\nb@x\ny", b"Delivered-To: a_b@x_y\n"),
    ],
)
def test_delivered_to(recipient: bytes, expected: bytes) -> None:
    assert delivered_to(recipient) == expected


@given(st.binary(max_size=1000))
def test_delivery_lines_are_one_line(address: bytes) -> None:
    assert return_path(address).count(b"\n") == delivered_to(address).count(b"\n") == 1


@pytest.mark.parametrize(("priority", "clause"), [(0, b" for <b@h>;"), (3, b" for <b@h> PRIORITY 3;"), (-9, b"-9;")])
def test_priority_stands_behind_the_recipient(priority: int, clause: bytes) -> None:
    """RFC 6710 7: among the additional clauses of RFC 5321 4.4."""
    line = received_line(
        helo=b"c", peer="192.0.2.1", peer_name=None, hostname=b"mx", protocol="ESMTP", recipient=b"b@h", now=0,
        tls=None, priority=priority,
    )  # fmt: skip
    assert clause in line
