"""dot-forward: carries out a sendmail user's .forward out of a dot-qmail file (qmail-interfaces 20.2)."""

import os

from paperpath.inject import preline
from paperpath.inject.command import PERMANENT, TEMPORARY, Usage, blame, defaults, fatal, options, say, usage
from paperpath.inject.queueing import enqueue, limit_bytes
from paperpath.message.rewriting import Rewriter
from paperpath.message.rfc822 import ATOM, Unparsable, lex, rewrite_addresses, unquote
from paperpath.system import injection

TYPE_CHECKING = False
if TYPE_CHECKING:
    from paperpath.message.rfc822 import Token

_DONE_HERE = 99
"""Tells qmail-local that the instructions that follow are not to be carried out."""
_FAILED = {64, 65, 70, 76, 77, 78, 100, 112}
"""Exit codes of programs that fail a message for good."""
_NEEDED = (b"USER", b"HOST", b"NEWSENDER", b"DTLINE", b"RPLINE", b"UFLINE")


class Stop(Exception):
    """It ends here: with a text, perhaps, and an exit code."""

    def __init__(self, code: int, text: str = "") -> None:
        super().__init__(text)
        self.code, self.text = code, text


class Instructions:
    """What a file says."""

    __slots__ = ("addresses", "is_delivered_here", "programs")

    def __init__(self) -> None:
        self.addresses: list[bytes] = []
        self.programs: list[bytes] = []
        self.is_delivered_here = False


def main(argv: list[str]) -> int:
    """Return 99 where the message went elsewhere; 0 where it is delivered here too, or no file says anything."""
    words = [os.fsencode(word) for word in argv[1:]]
    for_show = False
    try:
        for letter, _ in options(words, b"nN"):
            for_show = letter == b"n"
    except Usage:
        words = []
    if not words:
        return usage("dot-forward [ -nN ] file ...")
    missing = [name for name in _NEEDED if name not in os.environb]
    if missing:
        return fatal("dot-forward", f"{missing[0].decode()} not set", PERMANENT)
    try:
        found = read(_first(words), Rewriter(*defaults()))
        if for_show:
            _show(found)
        else:
            _carry_out(found)
    except Stop as stop:
        return fatal("dot-forward", stop.text, stop.code) if stop.text else stop.code
    except OSError as error:
        return fatal("dot-forward", blame(error), TEMPORARY)
    elsewhere = found.addresses or found.programs
    return _DONE_HERE if elsewhere and not found.is_delivered_here else 0


def _first(paths: list[bytes]) -> bytes:
    """Return the content of the first of these files that is there, nothing for none.  Raises OSError."""
    for path in paths:
        try:
            with open(path, "rb") as file:
                return file.read()
        except FileNotFoundError:
            continue
    return b""


def read(text: bytes, rewriter: Rewriter) -> Instructions:
    """Return what a .forward says.  Raises Stop where it cannot be understood: it may be mended before mail is lost."""
    found = Instructions()
    for line in text.split(b"\n"):
        if line.startswith(b"#"):
            continue
        try:
            for address in _addresses(line):
                _take(found, address, rewriter)
        except Unparsable:
            raise Stop(TEMPORARY, f"unable to parse this line: {line.decode('utf-8', 'replace')}") from None
    return found


def _addresses(line: bytes) -> "list[list[Token]]":
    """Return the addresses of a line, each from right to left.  Raises Unparsable."""
    found: list[list[Token]] = []
    tokens = lex(line)
    if any(kind in {":", ";"} for kind, _ in tokens):
        raise Unparsable("a group")
    rewrite_addresses([(ATOM, b"to"), (":", b""), *tokens], lambda address: found.append(address[:]))
    return found[::-1]


def _take(found: Instructions, address: "list[Token]", rewriter: Rewriter) -> None:
    """Note an address, its tokens from right to left.  Raises Unparsable."""
    raw = unquote(address[::-1])
    has_at = any(kind == "@" for kind, _ in address)
    user, host = os.environb[b"USER"], os.environb[b"HOST"]
    if not raw:
        return
    if not has_at and raw.startswith(b"|"):
        found.programs.append(raw[1:])
    elif not has_at and raw.startswith(b"/"):
        raise Unparsable("a file")
    elif raw.lower() == (user + b"@" + host if has_at else user).lower():
        found.is_delivered_here = True
    else:
        rewriter.rewrite(address)
        found.addresses.append(rewriter.envelope(address))


def _show(found: Instructions) -> None:
    lines = [b"run |" + program for program in found.programs]
    lines += [b"from <" + os.environb[b"NEWSENDER"] + b">"] if found.addresses else []
    lines += [b"to <" + address + b">" for address in found.addresses]
    lines += [b"deliver here"] if found.is_delivered_here else []
    injection.write_all(1, b"".join([line + b"\n" for line in lines]))


def _carry_out(found: Instructions) -> None:
    """Run the programs, then forward.  Raises Stop and OSError."""
    environment = os.environb
    lines = environment[b"UFLINE"] + environment[b"RPLINE"] + environment[b"DTLINE"]
    for program in found.programs:
        status = preline.run([b"/bin/sh", b"-c", program], lines)
        if status:
            raise Stop(PERMANENT if status in _FAILED else TEMPORARY)
        os.lseek(0, 0, os.SEEK_SET)
    if not found.addresses:
        return
    message = injection.read_to_end(0, limit_bytes())
    if message is None:
        raise Stop(PERMANENT, "message exceeds the largest size taken here (#5.3.4)")
    outcome = enqueue(environment[b"DTLINE"] + message, environment[b"NEWSENDER"], found.addresses)
    if outcome.text:
        raise Stop(outcome.exit_code, outcome.text[1:])
    say(f"dot-forward: qp {outcome.words.rpartition(' ')[2] or os.getpid()}")
