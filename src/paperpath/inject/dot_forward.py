"""dot-forward: carries out a sendmail user's .forward out of a dot-qmail file (qmail-interfaces 20.2)."""

import os

from paperpath.inject import preline
from paperpath.inject.command import PERMANENT, TEMPORARY, Usage, blame, defaults, fatal, options, say, usage
from paperpath.inject.queueing import enqueue, limit_bytes
from paperpath.message.forward_file import BadForwardFile, ForwardFile, read_forward_file
from paperpath.message.rewriting import Rewriter
from paperpath.system import injection

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
        environment = os.environb
        rewriter = Rewriter(*defaults())
        found = read_forward_file(_first(words), rewriter, environment[b"USER"], environment[b"HOST"])
        if for_show:
            _show(found)
        else:
            _carry_out(found)
    except Stop as stop:
        return fatal("dot-forward", stop.text, stop.code) if stop.text else stop.code
    except BadForwardFile as error:
        return fatal("dot-forward", str(error), TEMPORARY)
    except OSError as error:
        return fatal("dot-forward", blame(error), TEMPORARY)
    return _DONE_HERE if found.goes_elsewhere else 0


def _first(paths: list[bytes]) -> bytes:
    """Return the content of the first of these files that is there, nothing for none.  Raises OSError."""
    for path in paths:
        try:
            with open(path, "rb") as file:
                return file.read()
        except FileNotFoundError:
            continue
    return b""


def _show(found: ForwardFile) -> None:
    lines = [b"run |" + program for program in found.programs]
    lines += [b"from <" + os.environb[b"NEWSENDER"] + b">"] if found.addresses else []
    lines += [b"to <" + address + b">" for address in found.addresses]
    lines += [b"deliver here"] if found.is_delivered_here else []
    injection.write_all(1, b"".join([line + b"\n" for line in lines]))


def _carry_out(found: ForwardFile) -> None:
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
