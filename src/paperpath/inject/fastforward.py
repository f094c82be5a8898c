"""fastforward: carries out what a table of aliases says about a recipient (`base.aliases`; qmail-interfaces 20.1)."""

import os

from paperpath.base.aliases import Expansion
from paperpath.base.cdb import Cdb
from paperpath.base.exit_codes import STOP_HERE
from paperpath.inject.command import PERMANENT, TEMPORARY, Usage, blame, fatal, options, say, usage
from paperpath.inject.following import Stop, run_program
from paperpath.inject.queueing import forward

_USAGE = "fastforward [ -nNpP ] data.cdb"
_FILE_MOST_BYTES = 64 * 1024 * 1024
_WORLD_READABLE = 0o444
_SHOWN = bytes(byte if 32 <= byte < 128 else ord("_") for byte in range(256))


def main(argv: list[str]) -> int:
    """Return 0, or 99 with -p, where it was carried out; 100 where there is no such alias, with -p 0; 100 and 111."""
    words = [os.fsencode(word) for word in argv[1:]]
    chosen = dict.fromkeys((b"n", b"p", b"d"), False)
    try:
        for letter, _ in options(words, b"nNpPdD"):
            chosen[letter.lower()] = letter.islower()
    except Usage:
        words = []
    if not words:
        return usage(_USAGE)
    try:
        return _do(words[0], chosen)
    except Stop as stop:
        if stop.text:
            say(stop.text)
        return stop.code
    except OSError as error:
        return fatal("fastforward", f"unable to read {blame(error)}", TEMPORARY)
    except ValueError:
        return fatal("fastforward", f"unable to read {os.fsdecode(words[0])}: input/output error", TEMPORARY)


def _do(path: bytes, chosen: dict[bytes, bool]) -> int:
    """Do what the table at a path says; return the exit code.  Raises Stop, OSError and ValueError."""
    for_show, passes = chosen[b"n"], chosen[b"p"]
    sender = os.environb.get(b"SENDER", b"original envelope sender")
    expansion = Expansion(_open(path), sender, _show_program if for_show else _run_program, _list)
    if not expansion.expand(_recipient(by_default=chosen[b"d"])):
        if passes:
            return 0
        raise Stop(PERMANENT, "Sorry, no mailbox here by that name. (#5.1.1)")
    if for_show:
        _show_addresses(expansion)
    else:
        _send(expansion)
    return STOP_HERE if passes else 0


def _open(path: bytes) -> Cdb:
    """Return the table.  Raises OSError and ValueError."""
    with open(path, "rb") as file:
        return Cdb(file.read())


def _recipient(*, by_default: bool) -> bytes:
    """Return the address to look up.  Raises Stop."""
    environment = os.environb
    if not by_default:
        return _needed(environment.get(b"RECIPIENT"), "$RECIPIENT must be set")
    local = _needed(environment.get(b"DEFAULT", environment.get(b"EXT")), "$DEFAULT or $EXT must be set")
    return local + b"@" + _needed(environment.get(b"HOST"), "$HOST must be set")


def _needed(value: bytes | None, text: str) -> bytes:
    if value is None:
        raise Stop(PERMANENT, f"fastforward: fatal: {text}")
    return value


def _show_addresses(expansion: Expansion) -> None:
    shown = [f"to <{_show(address)}>" for address in expansion.addresses]
    say("\n".join([f"from <{_show(expansion.sender)}>", *shown]) if shown else "no forwarding")


def _send(expansion: Expansion) -> None:
    """Queue the message for the addresses that are left.  Raises Stop and OSError."""
    if not expansion.addresses:
        return
    outcome = forward(expansion.sender, expansion.addresses)
    if outcome.text:
        raise Stop(outcome.exit_code, f"fastforward: fatal: {outcome.text[1:]}")
    say(f"fastforward: qp {outcome.number}")


def _list(path: bytes) -> bytes:
    with open(path, "rb") as file:
        if os.fstat(file.fileno()).st_mode & _WORLD_READABLE != _WORLD_READABLE:
            raise Stop(TEMPORARY, f"fastforward: fatal: {os.fsdecode(path)} is not world-readable")
        return file.read(_FILE_MOST_BYTES)


def _show_program(command: bytes) -> None:
    say(f"run {_show(command)}")


def _run_program(command: bytes) -> None:
    run_program(command[1:], as_mbox=command[:1] == b"!")


def _show(data: bytes) -> str:
    return os.fsdecode(data.translate(_SHOWN))
