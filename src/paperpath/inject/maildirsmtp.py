"""maildirsmtp and maildirqmtp: send the messages of a Maildir to one host (qmail-interfaces 20.3).

    maildirsmtp dir prefix host helohost
    maildirqmtp dir prefix host

A message that cannot be sent for two weeks is reported to its sender; a host that cannot be reached refuses nothing.
"""

import os

from paperpath.inject import maildirserial
from paperpath.inject.command import TEMPORARY, fatal, reason, usage
from paperpath.system.ucspi import connect

_LIFETIME_S = 1_209_600
_SMTP_PORT, _QMTP_PORT = 25, 209


def main(argv: list[str]) -> int:
    """Return maildirserial's exit code."""
    name = os.path.basename(argv[0])
    words = [os.fsencode(word) for word in argv[1:]]
    is_smtp = name != "maildirqmtp"
    if len(words) < (4 if is_smtp else 3):
        return usage(f"{name} dir prefix host" + (" helohost" if is_smtp else ""))
    folder, prefix, host, *rest = words

    def be_client() -> int:
        from paperpath.inject import serialqmtp, serialsmtp

        try:
            connect(host, _SMTP_PORT if is_smtp else _QMTP_PORT)
        except OSError as error:
            return fatal(name, f"unable to connect to {os.fsdecode(host)}: {reason(error)}", TEMPORARY)
        client = serialsmtp.main if is_smtp else serialqmtp.main
        return client([name, *map(os.fsdecode, [prefix, *rest])])

    return maildirserial.run(folder, prefix, be_client, lifetime_s=_LIFETIME_S, bounces=True)
