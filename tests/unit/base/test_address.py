"""Addresses: the quoting of reference 3.6, VERP of 3.5, who gets a report."""

import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from paperpath.base.address import (
    DOUBLE_BOUNCE_SENDER,
    NULL_SENDER,
    VERP_SUFFIX,
    bounce_recipient,
    domain_of,
    expand_verp,
    is_bounce_sender,
    quote,
    split,
)

_ADDRESSES = st.binary(max_size=40) | st.text('ab.@"\\ \r\n<>', max_size=20).map(str.encode)


@pytest.mark.parametrize(
    ("address", "local", "domain"),
    [
        (b"", b"", b""),
        (b"joe", b"joe", b""),
        (b"joe@h.ex", b"joe", b"h.ex"),
        (b"a@b@h.ex", b"a@b", b"h.ex"),
        (b"@h.ex", b"", b"h.ex"),
        (b"joe@", b"joe", b""),
        (b"#@[]", b"#", b"[]"),
    ],
)
def test_the_last_at_divides(address: bytes, local: bytes, domain: bytes) -> None:
    assert split(address) == (local, domain)


def test_domain_of_folds_ascii_only() -> None:
    assert domain_of(b"Joe@H.EX") == b"h.ex"
    assert domain_of("joe@ÄB.EX".encode()) == "joe@Äb.ex".encode().partition(b"@")[2]
    assert domain_of(b"joe") == b""


@pytest.mark.parametrize(
    ("address", "written"),
    [
        (b"", b""),
        (b"joe", b"joe"),
        (b"joe@h.ex", b"joe@h.ex"),
        (b"!#$%&'*+-/=?^_`{|}~09azAZ@x", b"!#$%&'*+-/=?^_`{|}~09azAZ@x"),
        (b"a.b.c@x", b"a.b.c@x"),
        (b".a@x", b'".a"@x'),
        (b"a.@x", b'"a."@x'),
        (b"a..b@x", b'"a..b"@x'),
        (b".@x", b'"."@x'),
        (b"@x", b'""@x'),
        (b"@", b'""@'),
        (b"a b@x", b'"a b"@x'),
        (b"a b@", b'"a b"@'),
        (b"a b", b'"a b"'),
        (b"a@b@x", b'"a@b"@x'),
        (b'a"b@x', b'"a\\"b"@x'),
        (b"a\\b@x", b'"a\\\\b"@x'),
        (b"a\rb\nc@x", b'"a\\\rb\\\nc"@x'),
        (b"a\tb\x7f@x", b'"a\tb\x7f"@x'),
        (b"a\n@x", b'"a\\\n"@x'),
        (b"a<b>(c),;:@x", b'"a<b>(c),;:"@x'),
        ("\u00fc@x".encode(), "\u00fc@x".encode()),  # RFC 6531 3.3, where qmail would quote
        ("\u00fc b@x".encode(), '"\u00fc b"@x'.encode()),
        (b"#@[]", b"#@[]"),
    ],
)
def test_quote(address: bytes, written: bytes) -> None:
    assert quote(address) == written


def unquote(written: bytes) -> bytes:
    """Read back what a server reads: RFC 5321 4.1.2, Quoted-string or Dot-string."""
    quoted = re.match(rb'"((?:[^"\\]|\\.)*)"(@|$)', written, re.DOTALL)
    if quoted is None:
        return written
    return re.sub(rb"\\(.)", rb"\1", quoted[1], flags=re.DOTALL) + written[quoted.end(1) + 1 :]


@given(_ADDRESSES)
def test_quoting_is_undone_by_its_reader(address: bytes) -> None:
    written = quote(address)
    assert unquote(written) == address
    local = written.rpartition(b"@")[0] if b"@" in address else written
    assert local.startswith(b'"') or re.fullmatch(rb"[^\s\"\\<>()\[\],;:@.]*(\.[^\s\"\\<>()\[\],;:@.]+)*", local)


@given(st.binary(max_size=30))
def test_quoting_takes_linear_time_and_long_input(part: bytes) -> None:
    address = (b"a." * 450 + part)[:900]
    assert unquote(quote(address)) == address


@pytest.mark.parametrize(
    ("sender", "recipient", "expanded"),
    [
        (b"list-owner-@ex.org-@[]", b"bob@ex.net", b"list-owner-bob=ex.net@ex.org"),
        (b"list-@ex.org-@[]", b"u-bob@v@ex.net", b"list-u-bob@v=ex.net@ex.org"),
        (b"pre@host@ex.org-@[]", b"bob@ex.net", b"pre@hostbob=ex.net@ex.org"),
        (b"list-owner@ex.org", b"bob@ex.net", b"list-owner@ex.org"),
        (b"nohost-@[]", b"bob@ex.net", b"nohost-@[]"),
        (b"list-@ex.org-@[]", b"bob", b"list-@ex.org-@[]"),
        (b"", b"bob@ex.net", b""),
        (b"#@[]", b"bob@ex.net", b"#@[]"),
        (b"-@[]", b"bob@ex.net", b"-@[]"),
        (b"list-@ex.org-@[]x", b"bob@ex.net", b"list-@ex.org-@[]x"),
    ],
)
def test_expand_verp(sender: bytes, recipient: bytes, expanded: bytes) -> None:
    assert expand_verp(sender, recipient) == expanded


@pytest.mark.parametrize(
    ("sender", "recipient"),
    [
        (b"list-owner-@ex.org-@[]", b"list-owner-@ex.org"),
        (b"joe@ex.org", b"joe@ex.org"),
        (b"", b""),
        (b"#@[]", b"#@[]"),
        (b"-@[]", b""),
    ],
)
def test_bounce_recipient(sender: bytes, recipient: bytes) -> None:
    assert bounce_recipient(sender) == recipient


@given(_ADDRESSES)
def test_reports_go_to_senders_as_they_are_or_without_the_suffix(sender: bytes) -> None:
    assert bounce_recipient(sender + VERP_SUFFIX) == sender
    if not sender.endswith(VERP_SUFFIX):
        assert bounce_recipient(sender) == sender == expand_verp(sender, b"bob@ex.net")


def test_senders_of_reports() -> None:
    assert is_bounce_sender(NULL_SENDER) and is_bounce_sender(DOUBLE_BOUNCE_SENDER)
    assert not is_bounce_sender(b"joe@ex.org") and not is_bounce_sender(VERP_SUFFIX)
