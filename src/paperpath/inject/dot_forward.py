"""dot-forward: carries out a sendmail user's .forward out of a dot-qmail file (qmail-interfaces 20.2)."""

import os

from paperpath.base.exit_codes import STOP_HERE
from paperpath.inject.command import TEMPORARY, Usage, blame, defaults, fatal, options, reason, say, usage
from paperpath.inject.following import Stop, run_program
from paperpath.inject.queueing import forward
from paperpath.message.forward_file import BadForwardFile, ForwardFile, read_forward_file
from paperpath.message.rewriting import Rewriter


def main(argv: list[str]) -> int:
    """Return 99 where the message went elsewhere; 0 where it is delivered here too, or no file says anything."""
    words = [os.fsencode(word) for word in argv[1:]]
    for_show = False
    try:
        for letter, _ in options(words, b"nN"):
            for_show = letter == b"n"
    except Usage:
        return usage("dot-forward [ -nN ] file ...")
    try:
        return _do(words, for_show=for_show)
    except Stop as stop:
        return fatal("dot-forward", stop.text, stop.code) if stop.text else stop.code
    except BadForwardFile as error:
        return fatal("dot-forward", str(error), TEMPORARY)
    except OSError as error:
        return fatal("dot-forward", blame(error), TEMPORARY)


def _do(paths: list[bytes], *, for_show: bool) -> int:
    """Do what the first of these files that says anything says.  Raises Stop, BadForwardFile and OSError."""
    rewriter = Rewriter(*defaults())
    for path in paths:
        text = _read(path)
        if text is None:
            continue
        found = read_forward_file(text, rewriter, _variable(b"USER"), _variable(b"HOST"))
        if for_show:
            _show(found, path)
        else:
            _carry_out(found)
        if found.is_delivered_here:
            return 0
        if found.goes_elsewhere:
            return STOP_HERE
    if for_show:
        say("direct delivery")
    return 0


def _variable(name: bytes) -> bytes:
    return os.environb.get(name, b"")


def _read(path: bytes) -> bytes | None:
    """Return the content of a file, None where it is not there.  Raises Stop."""
    try:
        with open(path, "rb") as file:
            return file.read()
    except FileNotFoundError:
        return None
    except OSError as error:
        verb = "read" if isinstance(error, IsADirectoryError) else "open"
        raise Stop(TEMPORARY, f"unable to {verb} {os.fsdecode(path)}: {reason(error)}") from None


def _show(found: ForwardFile, path: bytes) -> None:
    for line in found.shown:
        say(os.fsdecode(line))
    if found.is_delivered_here:
        say("direct delivery")
    elif not found.shown:
        say(f"skipping empty file {os.fsdecode(path)}")


def _carry_out(found: ForwardFile) -> None:
    """Run the programs, then forward.  Raises Stop and OSError."""
    for program in found.programs:
        run_program(program)
    if not found.addresses:
        return
    outcome = forward(_variable(b"NEWSENDER"), found.addresses)
    if outcome.text:
        raise Stop(outcome.exit_code, f"unable to forward message: {outcome.text[1:]}")
    say(f"dot-forward: info: qp {outcome.number}")
