"""newaliases: makes a table of aliases for fastforward from sendmail's /etc/aliases (qmail-interfaces 20.1)."""

from paperpath.base.cdb import build
from paperpath.inject.command import TEMPORARY, blame, defaults, fatal
from paperpath.inject.places import NoConfiguration, find_places
from paperpath.message.rfc822 import ATOM, COMMENT, LITERAL, QUOTE, Unparsable, lex, unquote

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterator

    from paperpath.message.rfc822 import Token

_FILE = "/etc/aliases"
_MODE = 0o644
_ADDRESS_MOST_BYTES = 800
_OWNER = b"owner-"
_PATHS, _BINARY = (b".", b"/"), b".bin\0"
_PHRASE = frozenset((COMMENT, ATOM, QUOTE, "@", "."))


class BadAliases(ValueError):
    """The file cannot be used; the text says why."""


class Defaults:
    """What completes addresses; they have an ``@``."""

    def __init__(self, host: bytes, domain: bytes, plus: bytes) -> None:
        self._host, self._domain, self._plus = host, domain, plus

    def complete(self, address: bytes) -> bytes:
        """Return the whole address.  Raises BadAliases."""
        if address.endswith(b"@"):
            address += self._host
        if address.endswith(b"+"):
            address = address[:-1] + b"." + self._plus
        if b"." not in address.rpartition(b"@")[2]:
            address += b"." + self._domain
        if len(address) > _ADDRESS_MOST_BYTES:
            raise BadAliases("addresses over 800 bytes are not permitted")
        return address


def main(argv: list[str]) -> int:
    """Make FILE.cdb of the file named, else of the one that the service uses, else of /etc/aliases.

    Returns 0, or 111: then the old one is in place.
    """
    file = argv[1] if len(argv) > 1 else _configured() or _FILE
    from paperpath.system.files import write_file_durably

    try:
        with open(file, "rb") as stream:
            text = stream.read()
        write_file_durably(f"{file}.cdb", build(records(text, Defaults(*defaults()))), _MODE)
    except OSError as error:
        return fatal("newaliases", f"unable to read {blame(error, file)}", TEMPORARY)
    except ValueError as error:
        return fatal("newaliases", str(error), TEMPORARY)
    return 0


def _configured() -> str:
    try:
        return find_places().aliases
    except NoConfiguration:
        return ""


def records(text: bytes, completion: Defaults) -> "Iterator[tuple[bytes, bytes]]":
    """Yield the keys and data of the table.  Raises BadAliases."""
    for line in _lines(text):
        reader = _read(line, completion)
        if not reader.commands or not reader.target:
            raise _unparsable(line)
        target = reader.target
        if target.startswith(_OWNER):
            yield (b"?" + target.removeprefix(_OWNER)).lower(), completion.complete(target)
        yield (b":" + target).lower(), b"".join(reader.commands)


def read_members(text: bytes, completion: Defaults) -> "Iterator[bytes]":
    """Yield the commands for the lines of an :include: file.  Raises BadAliases."""
    for line in text.split(b"\n"):
        if not line.strip() or line.startswith(b"#"):
            continue
        reader = _read(line, completion)
        for command in reader.commands:
            if command.startswith(b"!"):
                program = command[1:-1].decode("utf-8", "replace")
                raise BadAliases(f"program delivery |{program} not supported")
            # A list that is included here is named as it is, one that is included by an alias as what was made of it.
            yield command.removesuffix(_BINARY) + b"\0" if command[:1] in _PATHS else command
        if reader.target:
            yield b"&" + completion.complete(reader.target) + b"\0"


def _read(line: bytes, completion: Defaults) -> "_Line":
    reader = _Line(completion)
    try:
        reader.read(lex(line))
    except Unparsable:
        raise _unparsable(line) from None
    return reader


def _unparsable(line: bytes) -> BadAliases:
    return BadAliases(f"unable to parse this line: {line.decode('utf-8', 'replace')}\n")


def _lines(text: bytes) -> "Iterator[bytes]":
    """Yield the lines that are neither empty nor comments, each with those that continue it."""
    whole = b""
    for line in text.split(b"\n"):
        if line[:1] in {b" ", b"\t"}:
            whole += b"\n" + line
        elif line:
            yield from _unless_idle(whole)
            whole = line
    yield from _unless_idle(whole)


def _unless_idle(line: bytes) -> "Iterator[bytes]":
    if line.strip() and not line.startswith(b"#"):
        yield line


class _Line:
    """Reads an alias from right to left: the last address to come is the alias itself."""

    def __init__(self, completion: Defaults) -> None:
        self._completion = completion
        self.target = b""
        self.commands: list[bytes] = []
        self._address: list[Token] = []

    def read(self, tokens: "list[Token]") -> None:
        """Find the alias and its commands.  Raises Unparsable and BadAliases."""
        left, word_fits = list(tokens), True
        while left:
            kind = left[-1][0]
            if kind == ":" and left[-3:-1] == [(":", b""), (ATOM, b"include")]:
                del left[-3:]
                self._include()
            elif kind == ">":
                self._bracketed(left)
                word_fits = False
            elif kind in {ATOM, QUOTE, LITERAL}:
                if not word_fits:
                    self._flush()
                word_fits = False
                self._address.append(left.pop())
            elif kind in {";", ":", COMMENT}:
                left.pop()
            elif kind == ",":
                self._flush()
                word_fits = True
                left.pop()
            else:
                word_fits = True
                self._address.append(left.pop())
        self._flush()

    def _bracketed(self, left: "list[Token]") -> None:
        self._flush()
        left.pop()
        while left and left[-1][0] != "<":
            self._address.append(left.pop())
        if not left or not self._address:
            raise Unparsable("no address in brackets")
        left.pop()
        self._flush()
        while left and left[-1][0] in _PHRASE:
            left.pop()

    def _include(self) -> None:
        path = unquote(self._address[::-1])
        self._address = []
        if not path or b"\0" in path:
            raise BadAliases("empty :include: filenames not permitted")
        self.commands.append((path if path[:1] in _PATHS else b"./" + path) + _BINARY)

    def _flush(self) -> None:
        """Take the address that was read; the one before it was not the alias, then, and becomes a command."""
        if not self._address:
            return
        has_at = any(kind == "@" for kind, _ in self._address)
        address = unquote(self._address[::-1])
        self._address = []
        if not address or b"\0" in address:
            raise BadAliases("empty recipient addresses, and NUL, are not permitted")
        if not has_at and address[:1] == b"/":
            raise BadAliases(f"file delivery {address.decode('utf-8', 'replace')} not supported")
        if not has_at and address[:1] == b"|":
            self.commands.append(b"!" + address[1:] + b"\0")
            return
        if self.target:
            self.commands.append(b"&" + self._completion.complete(self.target) + b"\0")
        self.target = address if has_at else address + b"@"
