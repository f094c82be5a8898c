"""qmail-rspawn: runs qmail-remote for qmail-send (qmail-interfaces 12.2)."""

import os

from paperpath.inject import spawning
from paperpath.inject.tcpto import TABLE, TABLE_BYTES
from paperpath.protocol.qmail_remote import merge
from paperpath.system import helpers

TYPE_CHECKING = False
if TYPE_CHECKING:
    from paperpath.protocol.spawning import Command

_TEMPORARY = 111


def main(argv: list[str]) -> int:
    """Serve qmail-send on descriptors 0 and 1."""
    folder = os.fsencode(spawning.own_folder(argv))

    def start(command: "Command") -> int:
        environment = os.environb
        # Last of all the one beside us: that PATH lacks it is no reason to bounce mail.
        environment[b"PATH"] = environment.get(b"PATH", b"/bin:/usr/bin") + b":" + folder
        remote = environment.get(b"QMAILREMOTE", b"qmail-remote")
        host = command.recipient.rpartition(b"@")[2]
        return helpers.become([remote, host, command.sender, command.recipient])

    return spawning.Spawner(start, report).run(_forget_timeouts)


def _forget_timeouts(home: str) -> None:
    try:
        helpers.overwrite_locked(f"{home}/{TABLE}", bytes(TABLE_BYTES))
    except OSError:
        pass


def report(status: int, output: bytes) -> bytes:
    """Return what is reported of a qmail-remote that ended so."""
    if status < 0:
        return b"Zqmail-remote crashed.\n"
    if status:
        return b"%bUnable to run qmail-remote.\n" % (b"Z" if status == _TEMPORARY else b"D")
    return merge(output) if output else b"Zqmail-remote produced no output.\n"
