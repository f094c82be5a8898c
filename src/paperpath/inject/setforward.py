"""setforward: makes a table of aliases for fastforward from its source on standard input (qmail-interfaces 20.1)."""

from paperpath.base.cdb import build
from paperpath.inject.command import PERMANENT, TEMPORARY, fatal, reason, usage
from paperpath.system import injection

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterator

_SOURCE_MOST_BYTES = 1 << 30
_ADDRESS_MOST_BYTES = 800
_MODE = 0o644
_BLANKS = b" \t\n"
_PUNCTUATION = b":,;"


class BadSource(ValueError):
    """The source is no table of aliases; the text says why."""


def main(argv: list[str]) -> int:
    """Return 0; 100 where the source is wrong, 111 where a file cannot be used; then the old table is in place.

    The second file is qmail's: what is new is written beside the table here, and takes its place at once.
    """
    if len(argv) < 3:
        return usage("setforward data.cdb data.tmp")
    from paperpath.system.files import write_file_durably

    try:
        source = injection.read_to_end(0, _SOURCE_MOST_BYTES)
        if source is None:
            return fatal("setforward", "the source is too large", PERMANENT)
        write_file_durably(argv[1], build(records(source)), _MODE)
    except OSError as error:
        return fatal("setforward", f"unable to move {argv[2]} to {argv[1]}: {reason(error)}", TEMPORARY)
    except ValueError as error:
        return fatal("setforward", str(error), PERMANENT)
    return 0


def records(source: bytes) -> "Iterator[tuple[bytes, bytes]]":
    """Yield the keys and data of the table.  Raises BadSource."""
    target: bytes | None = None
    instructions, word = b"", b""
    for mark, text in _words(source):
        word += text
        if mark == b":":
            if target is not None:
                raise BadSource("double colons are not permitted")
            target, word = word, b""
        elif mark in {b",", b";"}:
            if target is None:
                raise BadSource("commas are not permitted before colons")
            if word[:1] == b"?":
                yield (b"?" + target).lower(), word[1:]
            elif word:
                instructions += _instruction(word)
            word = b""
        if mark == b";":
            if instructions and target is not None:
                yield (b":" + target).lower(), instructions
            target, instructions = None, b""
    if target is not None or word:
        raise BadSource("final instruction must end with semicolon")


def _instruction(word: bytes) -> bytes:
    if word[:1] in {b"|", b"!", b".", b"/"}:
        return word + b"\0"
    if len(word) > _ADDRESS_MOST_BYTES:
        raise BadSource("addresses over 800 bytes are not permitted")
    return (word if word[:1] == b"&" else b"&" + word) + b"\0"


def _words(source: bytes) -> "Iterator[tuple[bytes, bytes]]":
    """Yield the pieces of the source: a mark of punctuation, or nothing and one byte of text."""
    at, end = 0, len(source)
    while at < end:
        byte = source[at : at + 1]
        at += 1
        if byte == b"#":
            at = source.find(b"\n", at) + 1 or end
        elif byte in _PUNCTUATION:
            yield byte, b""
        elif byte not in _BLANKS:
            if byte == b"\\":
                byte = source[at : at + 1]
                at += 1
            if byte == b"\0":
                raise BadSource("NUL bytes are not permitted")
            yield b"", byte
