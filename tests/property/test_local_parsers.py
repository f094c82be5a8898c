"""What users write: dot-qmail files, .forward files, aliases, and the addresses that qmail-inject is given.

Every content is understood or refused in words, never with a crash, and at a cost that grows with its length only.
Inputs that were of use once are kept in ``kept/local``, and every test here is given each of them.
"""

from collections.abc import Callable
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from paperpath.base.dotqmail_names import candidates, default_part
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
from paperpath.inject.newaliases import BadAliases, Defaults, read_members, records
from paperpath.inject.setforward import BadSource
from paperpath.inject.setforward import records as forward_records
from paperpath.message.composing import split_message
from paperpath.message.forward_file import BadForwardFile, read_forward_file
from paperpath.message.rewriting import Rewriter, quote_argument
from paperpath.message.rfc822 import Unparsable, lex, rewrite_addresses, unlex, unquote

KEPT = sorted((Path(__file__).parent / "kept" / "local").iterdir())
REWRITER = Rewriter(b"dh.ex", b"dd.ex", b"pd.ex")
PIECES = [b"&", b"|", b"./a/", b"/m", b"+list", b"#", b"\n", b"\n\n", b" ", b"\t", b"\0", b"@", b",", b":", b";", b"<"]
PIECES += [b">", b"(", b")", b"[", b"]", b'"', b"\\", b"a", b"b.c", b"joe", b":include:", b"owner-x", b"\r", b"\xff"]
TEXT = st.lists(st.sampled_from(PIECES) | st.binary(max_size=3), max_size=40).map(b"".join)
LONG = 30_000


def dotqmail(content: bytes) -> None:
    for forward_only in (False, True):
        found = parse(content, forward_only=forward_only)
        assert len(found) <= content.count(b"\n") + 1
        for instruction in found:
            assert b"\n" not in describe(instruction) and b"\0" not in describe(instruction)
            assert len(describe(instruction)) <= len(content) + len(b"program ")
            assert not forward_only or not isinstance(instruction, Maildir | Mbox | Program)


def forward_file(content: bytes) -> None:
    try:
        found = read_forward_file(content, REWRITER, b"joe", b"h.ex")
    except BadForwardFile as error:
        assert str(error).startswith(("unable to parse this line: ", "file delivery /"))
        return
    assert all(b"@" in address for address in found.addresses)
    assert len(found.addresses) + len(found.programs) <= len(content)


def aliases(content: bytes) -> None:
    try:
        found = list(records(content, Defaults(b"dh.ex", b"dd.ex", b"pd.ex")))
    except BadAliases:
        return
    for key, data in found:
        assert key[:1] in {b":", b"?"} and b"\0" not in key
        assert key[:1] == b"?" or data.endswith(b"\0")


def members(content: bytes) -> None:
    try:
        found = list(read_members(content, Defaults(b"dh.ex", b"dd.ex", b"pd.ex")))
    except BadAliases:
        return
    assert all(not command.startswith((b"|", b"!")) and command.endswith(b"\0") for command in found)


def forward_source(content: bytes) -> None:
    try:
        assert all(key[:1] in {b":", b"?"} for key, _ in forward_records(content))
    except BadSource:
        pass


def addresses(content: bytes) -> None:
    found: list[bytes] = []

    def rewrite(address: "list[tuple[str, bytes]]") -> None:
        REWRITER.rewrite(address)
        found.append(REWRITER.envelope(address))

    try:
        field = unlex(rewrite_addresses(lex(b"To:" + content), rewrite))
    except Unparsable:
        return
    assert field.startswith(b"To:")
    assert all(b"@" in address or not address for address in found)
    assert len(field) <= 40 * (len(content) + 10)


def header(content: bytes) -> None:
    fields, body = split_message(content)
    # A line end and an empty line before the body are put in where they are missing, and nothing else.
    whole = b"".join(fields) + body
    assert whole.replace(b"\n", b"") == content.replace(b"\n", b"")
    assert len(whole) <= len(content) + 2


PARSERS = (dotqmail, forward_file, aliases, members, forward_source, addresses, header)
every_parser = pytest.mark.parametrize("read", PARSERS, ids=lambda read: read.__name__)


@every_parser
@given(content=TEXT)
def test_every_content(read: Callable[[bytes], None], content: bytes) -> None:
    read(content)


@every_parser
@pytest.mark.parametrize("kept", KEPT, ids=lambda path: path.name)
def test_what_was_kept(read: Callable[[bytes], None], kept: Path) -> None:
    read(kept.read_bytes())


@every_parser
@pytest.mark.parametrize("piece", [b"(", b"<", b"a,", b"a@b ", b"&a\n", b"\\", b"@a:", b" \n"])
def test_long_ones_cost_what_their_length_is(read: Callable[[bytes], None], piece: bytes) -> None:
    read(piece * (LONG // len(piece)))


LINE = st.binary(min_size=1, max_size=20).filter(
    lambda word: not set(word) & set(b"\n\0") and word.strip(b" \t") == word
)
PATH = LINE.map(lambda word: b"./" + word)
INSTRUCTIONS = st.lists(
    st.one_of(
        PATH.filter(lambda path: not path.endswith(b"/")).map(Mbox),
        PATH.map(lambda path: Maildir(path + b"/")),
        LINE.map(Program),
        LINE.map(Address),
        LINE.map(Comment),
        st.just(ListSwitch()),
    ),
    min_size=1,
    max_size=12,
)


def written(instruction: Instruction) -> bytes:
    match instruction:
        case Maildir(path=path) | Mbox(path=path):
            return path
        case Program(command=command):
            return b"|" + command
        case Address(address=address):
            return b"&" + address
        case Comment(text=text):
            return b"#" + text
        case ListSwitch():
            return b"+list"
        case Forbidden(line=line):
            return line


@given(instructions=INSTRUCTIONS, ends=st.booleans())
def test_what_is_written_is_read(instructions: list[Instruction], ends: bool) -> None:
    content = b"\n".join(map(written, instructions)) + b"\n" * ends
    found = parse(content)
    switched = False
    for instruction, read in zip(instructions, found, strict=True):
        if switched and isinstance(instruction, Maildir | Mbox | Program):
            assert isinstance(read, Forbidden) and read.line == written(instruction)
        else:
            assert read == instruction
        switched = switched or isinstance(instruction, ListSwitch)


@given(raw=st.binary(min_size=1, max_size=40).filter(lambda raw: b"@" not in raw))
def test_a_raw_local_part_survives_its_quotes(raw: bytes) -> None:
    assert unquote(lex(quote_argument(raw + b"@h.ex"))) == raw + b"@h.ex"


@given(dash=st.sampled_from([b"", b"-", b"-/"]), extension=st.binary(max_size=30))
def test_names_of_files(dash: bytes, extension: bytes) -> None:
    names = list(candidates(dash, extension))
    assert len(names) <= extension.count(b"-") + 2
    for name in names:
        assert name.startswith(b".qmail" + dash) and name == name.lower() and b"." not in name[1 + len(dash) :]
        part = default_part(dash, extension, name)
        assert part is None or extension.endswith(part)
