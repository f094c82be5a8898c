"""fastforward: carries out what a table of aliases says about a recipient (qmail-interfaces 20.1).

The table is a cdb: ``:`` and a target has its commands, each with a NUL behind it; ``?`` and a target has its owner,
who is the sender of what goes to it.  A command is ``&address``, ``.file`` or ``/file`` (a list of commands),
``|program`` or ``!program`` (which gets the three lines of an mbox before the message).
"""

import os

from paperpath.base.cdb import Cdb
from paperpath.inject import preline
from paperpath.inject.command import PERMANENT, TEMPORARY, Usage, blame, fatal, options, say, usage
from paperpath.inject.queueing import enqueue, limit_bytes
from paperpath.system import helpers, injection

_USAGE = "fastforward [ -nNpPdD ] data.cdb"
_DONE_HERE = 99
_NO_SENDERS = (b"", b"#@[]")
"""Whose messages keep their sender whatever the owner of an address is."""
_FAILED = {64, 65, 70, 76, 77, 78, 100, 112}
"""Exit codes of programs that fail a message for good."""
_FILE_MOST_BYTES = 64 * 1024 * 1024
_ADDRESS_MOST_BYTES = 900
_WORLD_READABLE = 0o444
_SHOWN = bytes(byte if byte >= 32 else ord("_") for byte in range(256))


class Stop(Exception):
    """It ends here: with a text, perhaps, and an exit code."""

    def __init__(self, code: int, text: str = "") -> None:
        super().__init__(text)
        self.code, self.text = code, text


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
        expansion = Expansion(_open(words[0]), for_show=chosen[b"n"])
        if not expansion.expand(_recipient(by_default=chosen[b"d"])):
            if chosen[b"p"]:
                return 0
            raise Stop(PERMANENT, "Sorry, no mailbox here by that name. (#5.1.1)")
        expansion.send()
    except Stop as stop:
        if stop.text:
            say(stop.text)
        return stop.code
    except OSError as error:
        return fatal("fastforward", blame(error), TEMPORARY)
    except ValueError as error:
        return fatal("fastforward", f"unable to read {os.fsdecode(words[0])}: {error}", TEMPORARY)
    return _DONE_HERE if chosen[b"p"] else 0


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


class Expansion:
    """One message's aliases, with theirs, until only addresses are left."""

    def __init__(self, table: Cdb, *, for_show: bool) -> None:
        self._table, self._for_show = table, for_show
        self._sender = os.environb.get(b"SENDER", b"original envelope sender")
        self._to_do: list[bytes] = []
        self._done: set[bytes] = set()
        self._forward: list[bytes] = []

    def expand(self, recipient: bytes) -> bool:
        """Carry out what the table says, down to forwarding; return whether it has the recipient.

        Raises Stop, OSError, ValueError.
        """
        commands = self._find(b":", *_targets(recipient))
        if self._sender not in _NO_SENDERS:
            owner = self._find(b"?", *_targets(recipient))
            self._sender = self._sender if owner is None else owner
        if commands is None:
            return False
        self._done.add(recipient)
        self._take(commands)
        while self._to_do:
            command = self._to_do.pop()
            if command in self._done:
                continue
            self._done.add(command)
            if command[:1] == b"&":
                self._address(command[1:])
            else:
                self._list(command)
        return True

    def send(self) -> None:
        """Queue the message for the addresses that are left.  Raises Stop and OSError."""
        recipients = self._forward[::-1]
        if self._for_show:
            shown = [f"to <{_show(recipient)}>" for recipient in recipients]
            say("\n".join([f"from <{_show(self._sender)}>", *shown]) if shown else "no forwarding")
            return
        if not recipients:
            return
        message = injection.read_to_end(0, limit_bytes())
        if message is None:
            raise Stop(PERMANENT, "fastforward: fatal: message exceeds the largest size taken here (#5.3.4)")
        outcome = enqueue(os.environb.get(b"DTLINE", b"") + message, self._sender, recipients)
        if outcome.text:
            raise Stop(outcome.exit_code, f"fastforward: fatal: {outcome.text[1:]}")
        say(f"fastforward: qp {outcome.words.rpartition(' ')[2] or os.getpid()}")

    def _find(self, kind: bytes, *targets: bytes) -> bytes | None:
        """Return the data of the first target that has any."""
        for target in targets:
            found = self._table.find(kind + target.lower())
            if found is not None:
                return found
        return None

    def _address(self, address: bytes) -> None:
        """Expand an address, or forward to it: also where it has an owner, for it then comes back by itself."""
        commands = None if self._find(b"?", address) is not None else self._find(b":", address)
        if commands is None:
            self._forward.append(address)
        else:
            self._take(commands)

    def _list(self, path: bytes) -> None:
        with open(path, "rb") as file:
            if os.fstat(file.fileno()).st_mode & _WORLD_READABLE != _WORLD_READABLE:
                raise Stop(TEMPORARY, f"fastforward: fatal: {os.fsdecode(path)} is not world-readable")
            commands = file.read(_FILE_MOST_BYTES)
        self._take(commands, with_programs=False)

    def _take(self, commands: bytes, *, with_programs: bool = True) -> None:
        """Run the programs among these commands and note the others."""
        for command in commands.split(b"\0")[:-1]:
            kind = command[:1]
            if kind in {b"|", b"!"} and with_programs:
                self._program(command)
            elif kind in {b".", b"/"} or (kind == b"&" and len(command) < _ADDRESS_MOST_BYTES):
                self._to_do.append(command)

    def _program(self, command: bytes) -> None:
        if self._for_show:
            say(f"run {_show(command)}")
            return
        shell = [b"/bin/sh", b"-c", command[1:]]
        if command[:1] == b"!":
            names = (b"UFLINE", b"RPLINE", b"DTLINE")
            status = preline.run(shell, b"".join([os.environb.get(name, b"") for name in names]))
        else:
            status = helpers.run(shell)
        if status:
            raise Stop(PERMANENT if status in _FAILED else TEMPORARY)
        os.lseek(0, 0, os.SEEK_SET)


def _targets(address: bytes) -> tuple[bytes, ...]:
    """Return what an address is looked up as: itself, its domain, its local part."""
    local, at, domain = address.rpartition(b"@")
    return (address, at + domain, local + at) if at else (address,)


def _show(data: bytes) -> str:
    return os.fsdecode(data.translate(_SHOWN))
