"""What clients are sent that know ASCII only, as Python's own reader of mail reads it."""

import email
import random
from email.message import EmailMessage
from email.policy import default

import pytest
from hypothesis import given
from hypothesis import strategies as st

from paperpath.message.surrogate import Surrogate

NOBODY = "invalid@internationalized-address.invalid"


def made_of(message: bytes, cuts: list[int] | None = None) -> bytes:
    surrogate, made, at = Surrogate(), b"", 0
    for cut in [*sorted(cut for cut in cuts or () if cut <= len(message)), len(message)]:
        made += surrogate.take(message[at:cut])
        at = cut
    return made + surrogate.finish()


def read(field: str) -> EmailMessage:
    made = made_of(field.encode() + b"\n\nbody \xc3\xb8\n")
    header, _, body = made.partition(b"\n\n")
    assert header.isascii() and body == b"body \xc3\xb8\n"
    message = email.message_from_bytes(made, policy=default)
    assert not message.defects
    return message


@pytest.mark.parametrize(
    ("field", "names", "addresses"),
    [
        ("From: Jørgen Ås <joe@here.test>", ["Jørgen Ås"], ["joe@here.test"]),
        ("From: J. R. Ås <joe@here.test>", ["J. R. Ås"], ["joe@here.test"]),
        ('From: "Ås, Jørgen" <joe@here.test>', ["Ås, Jørgen"], ["joe@here.test"]),
        ("To: jørgen@here.test", [""], [NOBODY]),
        ("To: a@b.test, Ås <joe@bølge.test>,\r\n c@d.test", ["", "Ås", ""], ["a@b.test", NOBODY, "c@d.test"]),
        ("Cc: Kærlige: joe@here.test, ø@here.test;", ["", ""], ["joe@here.test", NOBODY]),
        ("Reply-To: joe@here.test (Jørgen)", [""], ["joe@here.test"]),
    ],
)  # fmt: skip
def test_addresses(field: str, names: list[str], addresses: list[str]) -> None:
    message = read(field)
    ((_, value),) = message.items()
    found = value.addresses
    assert [one.display_name for one in found] == names
    assert [f"{one.username}@{one.domain}" for one in found] == addresses


def test_the_address_that_was_is_told() -> None:
    made = made_of("From: <jørgen@bølge.test>\n\n".encode())
    assert made == b"From: <" + NOBODY.encode() + b" (=?utf-8?B?asO4cmdlbkBiw7hsZ2UudGVzdA==?=)>\n\n"


def test_a_long_subject_is_folded() -> None:
    subject = "Smørrebrød på " * 30
    made = made_of(f"Subject: {subject}\n\n".encode())
    assert max(map(len, made.splitlines())) <= 85
    assert read(f"Subject: {subject}")["subject"] == subject.strip()


@pytest.mark.parametrize(
    ("field", "made"),
    [
        ('Content-Type: text/plain; charset=utf-8; name="ø;.txt"', b"Content-Type: text/plain; charset=utf-8\n"),
        ('Content-Disposition: attachment; filename="ø;.txt";\n size=1', b"Content-Disposition: attachment; size=1\n"),
        ("Content-Type: text/ø; charset=utf-8", b""),
        ("Comments: ø", b""),
        ("X-Ø: x", b""),
        ("From: (ø", b""),
        ("Received: for <ø@here.test>\n\tby here.test", b""),
    ],
)
def test_parameters_and_other_fields(field: str, made: bytes) -> None:
    assert made_of(f"A: b\n{field}\nC: d\n\nø".encode()) == b"A: b\n" + made + b"C: d\n\n\xc3\xb8"


@pytest.mark.parametrize(
    "message", [b"", b"\n", b"\n\xc3\xb8", b"\r\n\xc3\xb8", b"A: b", b"A: \xf8\n\n", b"A: b\r\n\r\n\xc3\xb8"]
)
def test_what_stays(message: bytes) -> None:
    assert made_of(message) == message


@pytest.mark.parametrize("end", ["\n", "\r\n"])
@pytest.mark.parametrize("piece", [9_001, 1_000_000])
def test_of_a_header_of_any_length_only_the_beginning_is_looked_at(end: str, piece: int) -> None:
    field = f"X-Y: ø{end}\tø{end}".encode()
    whole = field * 30_000 + end.encode() + b"body \xc3\xb8"
    surrogate, made = Surrogate(), b""
    for at in range(0, len(whole), piece):
        made += surrogate.take(whole[at : at + piece])
        assert len(surrogate._held) <= 64 * 1024
    made += surrogate.finish()
    assert len(whole) - 64 * 1024 <= len(made) < len(whole) - 64 * 1024 + 2 * len(field)
    assert whole.endswith(made) and made.startswith(field)


def test_a_field_of_any_length_is_sent_as_it_is_with_what_follows() -> None:
    surrogate = Surrogate()
    parts = [b"Subject: " + "ø".encode() * 40_000, "ø\nFrom: ø@here.test\n\nø".encode()]
    made = surrogate.take(b"To: \xc3\xb8@b.c\n" + parts[0]) + surrogate.take(parts[1]) + surrogate.finish()
    assert made.partition(b"\n")[0].startswith(b"To: ") and made.partition(b"\n")[0].isascii()
    assert made.partition(b"\n")[2] == b"".join(parts) and not surrogate._held


_LINES = [
    "From: ø@b.c",
    "To: Ø <a@b.c>",
    "Subject: ø",
    " ø",
    "\t",
    "A: b",
    "x",
    "ø",
    ";",
    '"',
    "(",
    "\\",
    "Cc: <ø",
    "To: ;:ø,",
]
_HEADERS = st.lists(st.tuples(st.sampled_from(_LINES), st.sampled_from(["\n", "\r\n"])).map("".join), max_size=20)


@given(
    _HEADERS.map("".join), st.sampled_from(["", "\n", "\nø", "\r\nø\n\nø"]), st.lists(st.integers(0, 200), max_size=9)
)
def test_whatever_the_header_is(header: str, rest: str, cuts: list[int]) -> None:
    made = made_of((header + rest).encode(), cuts)
    assert made == made_of((header + rest).encode())
    assert made.endswith(rest.encode()) and made.removesuffix(rest.encode()).isascii()


@given(st.binary(max_size=300), st.randoms())
def test_any_bytes(message: bytes, chance: random.Random) -> None:
    cuts = [chance.randrange(len(message) + 1) for _ in range(5)]
    assert made_of(message, cuts) == made_of(message)
