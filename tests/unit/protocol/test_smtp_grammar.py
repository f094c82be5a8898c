"""Paths, parameters, numbers and domains of SMTP commands."""

import pytest

from paperpath.base.address import quote
from paperpath.protocol.smtp_grammar import is_domain, parse_number, parse_parameters, parse_path


@pytest.mark.parametrize(
    ("text", "address", "rest"),
    [
        (b"<>", b"", b""),
        (b"<a@h>", b"a@h", b""),
        (b"<a@h> X=1 Y", b"a@h", b" X=1 Y"),
        (b"a@h", b"a@h", b""),
        (b"a@h X=1", b"a@h", b"X=1"),
        (b'"a b"@h X', b"a b@h", b"X"),
        (b'<"a b"@h>', b"a b@h", b""),
        (b'<"a>b"@h> X', b"a>b@h", b" X"),
        (rb"<a\>b@h>", b"a>b@h", b""),
        (rb'<"a\"b\\c"@h>', rb'a"b\c@h', b""),
        (b'<"a@b"@h>', b"a@b@h", b""),
        (b'<""@h>', b"@h", b""),
        (b'<"@x:y"@h>', b"@x:y@h", b""),
        (b"<@a:b@h>", b"b@h", b""),
        (b"<@a,@b:c@h> X", b"c@h", b" X"),
        (b"<@a:@b:c@h>", b"c@h", b""),
        (b"<@[IPv6:::1],@b:c@h>", b"c@h", b""),
        (b'<@a:"b c"@h>', b"b c@h", b""),
        (b"@a:c@h X", b"c@h", b"X"),
        (b"<#@[]>", b"#@[]", b""),
        (b"<list-@h-@[]>", b"list-@h-@[]", b""),
    ],
)
def test_path(text: bytes, address: bytes, rest: bytes) -> None:
    assert parse_path(text) == (address, rest)


@pytest.mark.parametrize(
    "text", [b"<", b"<a@h", b"<a@h>x", b'<"a@h>', b'"a@h', b'<"a"@h>x', b"<@a>", b"<@a,@b>", b"<a\\", b'<a"b>']
)
def test_no_path(text: bytes) -> None:
    assert parse_path(text) is None


@pytest.mark.parametrize("address", [b"a@h", b"a b@h", b'"@h', b"a>b\\@h", b"..@h", b"@x:y@h", b"a@b@h", b"a b"])
def test_what_quote_writes_is_read_back(address: bytes) -> None:
    assert parse_path(b"<" + quote(address) + b"> X") == (address, b" X")


def test_hostile_source_route_takes_no_time() -> None:
    assert parse_path(b"<" + b"@a," * 600) is None
    assert parse_path(b"<" + b"@[a" * 600) is None
    assert parse_path(b"<" + b"@a:" * 600 + b"b@h>") == (b"b@h", b"")


@pytest.mark.parametrize(
    ("text", "parameters"),
    [
        (b"", {}),
        (b" SIZE=1  body=8BitMIME ", {b"SIZE": b"1", b"BODY": b"8BitMIME"}),
        (b"SMTPUTF8", {b"SMTPUTF8": None}),
        (b"X X", None),
        (b"X=1 x=2", None),
        (b"X=", None),
        (b"=1", None),
        (b"X=1=2", None),
    ],
)
def test_parameters(text: bytes, parameters: dict[bytes, bytes | None] | None) -> None:
    assert parse_parameters(text) == parameters


@pytest.mark.parametrize(
    ("digits", "number"),
    [(b"0", 0), (b"007", 7), (b"1234", 1234), (b"99999", 99999)],
)
def test_number(digits: bytes, number: int) -> None:
    assert parse_number(digits, 5) == number


@pytest.mark.parametrize("digits", [b"", b"123456", b"-1", b"+1", b"1_0", b" 1", b"\xd9\xa1", b"\xb2", b"0x1"])
def test_no_number(digits: bytes) -> None:
    assert parse_number(digits, 5) is None


@pytest.mark.parametrize(
    "domain", [b"h", b"example.org.", b"[192.0.2.1]", b"[IPv6:::1]", b"[]", b"a_b", b"\xc3\xbc.test"]
)
def test_domain(domain: bytes) -> None:
    assert is_domain(domain)


@pytest.mark.parametrize(
    "domain", [b"", b"a b", b"a\tb", b"a\0", b"a\x7f", b"a<b", b"a>b", b'a"b', b"a,b", b"a;b", b"(a)", b"a\\"]
)
def test_no_domain(domain: bytes) -> None:
    assert not is_domain(domain)
