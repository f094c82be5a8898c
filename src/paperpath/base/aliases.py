"""What a table of aliases says about a recipient (fastforward; qmail-interfaces 20.1).  Pure.

The table is a cdb: ``:`` and a target has its commands, each with a NUL behind it; ``?`` and a target has its owner,
who is the sender of what goes to it.  A command is ``&address``, ``.file`` or ``/file`` (a list of commands),
``|program`` or ``!program`` (which gets the three lines of an mbox before the message).  Programs and lists are the
caller's to run and to read.
"""

from paperpath.base.address import is_bounce_sender

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable

    from paperpath.base.cdb import Cdb

_ADDRESS_MOST_BYTES = 900
_EXPANSIONS_MOST = 200_000
"""Commands that one message may lead to: room for any list, and an end for a table that is a mistake."""


class TooMany(ValueError):
    """A recipient expands to more than anybody means."""


def has_alias(table: "Cdb", recipient: bytes) -> bool:
    """Tell whether a table says what to do with a recipient.  Raises ValueError where it is none."""
    return _find(table, b":", targets(recipient)) is not None


def targets(address: bytes) -> tuple[bytes, ...]:
    """Return what an address is looked up as: itself, its domain, its local part."""
    local, at, domain = address.rpartition(b"@")
    return (address, at + domain, local + at) if at else (address,)


class Expansion:
    """One message's aliases, with theirs, until only addresses are left."""

    def __init__(
        self, table: "Cdb", sender: bytes, run: "Callable[[bytes], None]", read: "Callable[[bytes], bytes]"
    ) -> None:
        """``run`` is called for each program, its mark before it, and ``read`` for the content of each list."""
        self._table, self._run, self._read = table, run, read
        self.sender = sender
        """Of what goes to the addresses."""
        self._to_do: list[bytes] = []
        self._done: set[bytes] = set()
        self._forward: list[bytes] = []

    @property
    def addresses(self) -> list[bytes]:
        """Whom the message goes to."""
        return self._forward[::-1]

    def expand(self, recipient: bytes) -> bool:
        """Carry out what the table says, down to forwarding; return whether it has the recipient.

        Raises ValueError where the table is none, or has no end, and what ``run`` and ``read`` raise.
        """
        found = targets(recipient)
        commands = _find(self._table, b":", found)
        if not is_bounce_sender(self.sender):
            owner = _find(self._table, b"?", found)
            self.sender = self.sender if owner is None else owner
        if commands is None:
            return False
        self._done.add(recipient)
        self._take(commands)
        while self._to_do:
            command = self._to_do.pop()
            if command in self._done:
                continue
            self._done.add(command)
            if len(self._done) > _EXPANSIONS_MOST:
                raise TooMany("the alias expands to too many addresses")
            if command[:1] == b"&":
                self._address(command[1:])
            else:
                self._take(self._read(command), with_programs=False)
        return True

    def _address(self, address: bytes) -> None:
        """Expand an address, or forward to it: also where it has an owner, for it then comes back by itself."""
        has_owner = _find(self._table, b"?", (address,)) is not None
        commands = None if has_owner else _find(self._table, b":", (address,))
        if commands is None:
            self._forward.append(address)
        else:
            self._take(commands)

    def _take(self, commands: bytes, *, with_programs: bool = True) -> None:
        """Run the programs among these commands and note the others."""
        for command in commands.split(b"\0")[:-1]:
            kind = command[:1]
            if kind in {b"|", b"!"} and with_programs:
                self._run(command)
            elif kind in {b".", b"/"} or (kind == b"&" and len(command) < _ADDRESS_MOST_BYTES):
                self._to_do.append(command)


def _find(table: "Cdb", kind: bytes, names: tuple[bytes, ...]) -> bytes | None:
    """Return the data of the first of these that has any."""
    for name in names:
        found = table.find(kind + name.lower())
        if found is not None:
            return found
    return None
