"""What qmail-rspawn and qmail-lspawn share: commands in, deliveries, reports out (qmail-interfaces 12.1)."""

import errno
import os
import pwd
import select

from paperpath.inject.command import TEMPORARY, qmail_home
from paperpath.protocol.spawning import SLOT_IN_USE, SLOTS, Command, Commands
from paperpath.system import heard, helpers, injection

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable

    Start = Callable[[Command], int]
    """In the new process: become the delivery; what it returns is the exit status."""
    Report = Callable[[int, bytes], bytes]
    """From status (a signal's number below zero) and output to a report."""

_READ_BYTES = 1024
_OUTPUT_MOST_BYTES = 256 * 1024
_QUEUE_USER = "qmailq"

_NO_MESSAGE = b"Zqmail-spawn unable to open message. (#4.3.0)\n"
_WRONG_TYPE = b"ZSorry, message has wrong type. (#4.3.5)\n"
_WRONG_OWNER = b"ZSorry, message has wrong owner. (#4.3.5)\n"
_NO_FORK = b"Zqmail-spawn unable to fork. (#4.3.0)\n"


class _Delivery:
    """One process that delivers."""

    __slots__ = ("child", "output")

    def __init__(self, child: heard.Heard) -> None:
        self.child, self.output = child, b""


class Spawner:
    """Starts what descriptor 0 asks for, and reports on descriptor 1."""

    def __init__(self, start: "Start", report: "Report") -> None:
        self._start, self._report = start, report
        self._commands = Commands()
        self._deliveries: dict[int, _Delivery] = {}
        self._owner, self._can_write, self._reads = -1, True, True

    def run(self, prepare: "Callable[[str], None]") -> int:
        """Serve until descriptor 0 ends and the last delivery is done; return the exit code."""
        home = qmail_home()
        try:
            os.chdir(f"{home}/queue/mess")
            self._owner = _trusted_owner()
        except OSError:
            return TEMPORARY
        prepare(home)
        self._write(bytes([SLOTS]))
        while self._reads or self._deliveries:
            self._turn()
        return 0

    def _turn(self) -> None:
        poll = select.poll()
        if self._reads:
            poll.register(0, select.POLLIN)
        slots = {}
        for slot, delivery in self._deliveries.items():
            for descriptor in delivery.child.waits_on():
                poll.register(descriptor, select.POLLIN)
                slots[descriptor] = slot
        for descriptor, _ in poll.poll():
            if descriptor == 0:
                self._read()
            elif (slot := slots[descriptor]) in self._deliveries:
                self._listen(slot, self._deliveries[slot])

    def _read(self) -> None:
        try:
            data = os.read(0, _READ_BYTES)
        except OSError:
            data = b""
        self._reads = bool(data)
        for command in self._commands.feed(data):
            fault = command.fault or (SLOT_IN_USE if command.slot in self._deliveries else self._begin(command))
            if fault:
                self._write(bytes([command.slot]) + fault + b"\0")

    def _begin(self, command: Command) -> bytes:
        """Start a delivery; return the report where that cannot be."""
        try:
            message = helpers.open_to_read(command.message)
        except OSError:
            return _NO_MESSAGE
        try:
            if not helpers.is_regular(message):
                return _WRONG_TYPE
            if os.fstat(message).st_uid != self._owner:
                return _WRONG_OWNER
            self._deliveries[command.slot] = _Delivery(heard.Heard(lambda: self._start(command), message))
        except OSError:
            return _NO_FORK
        finally:
            os.close(message)
        return b""

    def _listen(self, slot: int, delivery: _Delivery) -> None:
        piece = delivery.child.listen()
        if piece is not None:
            delivery.output += piece[: max(0, _OUTPUT_MOST_BYTES - len(delivery.output))]
        elif delivery.child.status is not None:
            del self._deliveries[slot]
            self._write(bytes([slot]) + self._report(delivery.child.status, delivery.output) + b"\0")

    def _write(self, data: bytes) -> None:
        if self._can_write:
            try:
                injection.write_all(1, data)
            except OSError:
                self._can_write = False  # nobody hears us any more; what runs is to end as it would


def _trusted_owner() -> int:
    """Return who must own a message: qmailq, or on a host without that user, the owner of the folder."""
    try:
        return pwd.getpwnam(_QUEUE_USER).pw_uid
    except KeyError:
        return os.stat(".").st_uid


def own_folder(argv: list[str]) -> str:
    """Return the folder that this program lies in."""
    return os.path.dirname(os.path.abspath(argv[0]))


def program(home: str, folder: str, name: str) -> bytes:
    """Return the path of a program: the home's, else the one that lies beside us."""
    path = f"{home}/bin/{name}"
    return os.fsencode(path if os.access(path, os.X_OK) else f"{folder}/{name}")


def become(words: list[bytes]) -> int:
    """Go on as the program at a path; return the error number where that cannot be."""
    try:
        injection.become(os.fsdecode(words[0]), [os.fsdecode(word) for word in words], os.environb)
    except OSError as error:
        return error.errno or errno.EIO
    except ValueError:
        return errno.EINVAL
