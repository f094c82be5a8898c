"""The language of dot-qmail files: each kind of line, what is forbidden when, and that any content is understood."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from paperpath.base.outcome import Deferred
from paperpath.delivery.dotqmail import (
    Address,
    Comment,
    Forbidden,
    Instruction,
    ListSwitch,
    Maildir,
    Mbox,
    Program,
    describe,
    parse,
)


@pytest.mark.parametrize(
    ("line", "instruction"),
    [
        (b"#", Comment(b"")),
        (b"# |cat", Comment(b" |cat")),
        (b"./Maildir/", Maildir(b"./Maildir/")),
        (b"/var/mail/joe/", Maildir(b"/var/mail/joe/")),
        (b"./Mailbox", Mbox(b"./Mailbox")),
        (b"/var/mail/joe", Mbox(b"/var/mail/joe")),
        (b".Mail box/x", Mbox(b".Mail box/x")),
        (b"./Maildir/ \t", Maildir(b"./Maildir/")),
        (b"|cat >x ", Program(b"cat >x")),
        (b"|", Program(b"")),
        (b"&joe@x", Address(b"joe@x")),
        (b"& joe@x", Address(b" joe@x")),
        (b"&", Address(b"")),
        (b"&&joe@x", Address(b"&joe@x")),
        (b"joe@x", Address(b"joe@x")),
        (b"<joe@x>", Address(b"<joe@x>")),
        (b" ./Mailbox", Address(b" ./Mailbox")),
        (b"\xff", Address(b"\xff")),
        (b"joe@x\0y", Address(b"joe@x")),
        (b"./a\0/", Maildir(b"./a")),
        (b"+list", ListSwitch()),
    ],
)
@pytest.mark.parametrize("end", [b"\n", b""])
def test_line(line: bytes, instruction: Instruction, end: bytes) -> None:
    assert parse(line + end) == (instruction,)


@pytest.mark.parametrize("line", [b"+", b"+lists", b"+ list", b"+list\0", b"+anything"])
def test_other_plus_lines_mean_nothing(line: bytes) -> None:
    if line == b"+list\0":  # what follows a NUL is not there
        assert parse(line) == (ListSwitch(),)
    else:
        assert parse(b"#\n" + line + b"\n./Mailbox") == (Comment(b""), Mbox(b"./Mailbox"))


@pytest.mark.parametrize("content", [b"\n", b" \t\n./Mailbox\n", b"\0\n./Mailbox", b"\n\n"])
def test_first_line_that_is_blank_forbids_all(content: bytes) -> None:
    (instruction,) = parse(content)
    assert isinstance(instruction, Forbidden) and instruction.outcome.code == "2.1"


def test_forward_only_from_the_start() -> None:
    kinds = [type(one) for one in parse(b"&a\n#\n./x\n./y/\n|z\n", forward_only=True)]
    assert kinds == [Address, Comment, Forbidden, Forbidden, Forbidden]


def test_forward_only_from_the_switch_on() -> None:
    kinds = [type(one) for one in parse(b"./x\n|z\n+list\n&a\n|z\n")]
    assert kinds == [Mbox, Program, ListSwitch, Address, Forbidden]


def test_what_is_forbidden_is_temporary() -> None:
    found = parse(b"./x\n|y\n", forward_only=True)
    assert [one.outcome for one in found if isinstance(one, Forbidden)] == [
        Deferred("Uh-oh: .qmail has file delivery but has x bit set.", code="7.0"),
        Deferred("Uh-oh: .qmail has prog delivery but has x bit set.", code="7.0"),
    ]


def test_many_lines() -> None:
    assert parse(b"a@x\n" * 10_000) == (Address(b"a@x"),) * 10_000


LINES = st.lists(st.binary(max_size=12).map(lambda line: line.replace(b"\n", b"")), max_size=8)
STARTS = st.sampled_from([b"", b"#", b".", b"/", b"|", b"&", b"+", b"+list", b"x"])


@given(st.lists(st.tuples(STARTS, st.binary(max_size=8)), max_size=8), st.booleans())
def test_any_content_is_understood(lines: list[tuple[bytes, bytes]], forward_only: bool) -> None:
    content = b"\n".join(start + rest.replace(b"\n", b"") for start, rest in lines)
    found = parse(content, forward_only=forward_only)
    assert len(found) <= content.count(b"\n") + 1
    restricted = forward_only
    for instruction in found:
        assert not (restricted and isinstance(instruction, Maildir | Mbox | Program))
        restricted = restricted or isinstance(instruction, ListSwitch)
        for value in (describe(instruction), getattr(instruction, "address", b""), getattr(instruction, "path", b"")):
            assert b"\0" not in value and b"\n" not in value


@given(LINES)
def test_missing_last_line_end_changes_nothing(lines: list[bytes]) -> None:
    content = b"\n".join(lines)
    if content and not content.endswith(b"\n"):
        assert parse(content) == parse(content + b"\n")


def test_what_n_prints() -> None:
    found = parse(b"#\n./a/\n./b\n|c\n&d\n+list\n./e")
    assert [describe(one) for one in found] == [
        b"", b"maildir ./a/", b"mbox ./b", b"program c", b"forward d", b"", b"",
    ]  # fmt: skip
