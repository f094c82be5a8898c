"""What dot-forward and fastforward share: they do what a file of sendmail's world says, out of a dot-qmail file."""

import os

from paperpath.base.exit_codes import FAILED
from paperpath.inject import preline
from paperpath.inject.command import PERMANENT, TEMPORARY
from paperpath.system import helpers


class Stop(Exception):
    """It ends here: with a text, perhaps, and an exit code."""

    def __init__(self, code: int, text: str = "") -> None:
        super().__init__(text)
        self.code, self.text = code, text


def run_program(command: bytes, *, as_mbox: bool = True) -> None:
    """Feed the message to a program; ``as_mbox``: after the lines that begin it in an mbox, as sendmail does.

    Raises Stop where the program fails, and OSError.
    """
    shell = [b"/bin/sh", b"-c", command]
    lines = [os.environb.get(name, b"") for name in (b"UFLINE", b"RPLINE", b"DTLINE")]
    status = preline.run(shell, b"".join(lines)) if as_mbox else helpers.run(shell)
    if status:
        raise Stop(PERMANENT if status in FAILED else TEMPORARY)
    os.lseek(0, 0, os.SEEK_SET)
