"""Start a reader: ``python -I -m paperpath.local.reader_main FD FOLDER USER json|logfmt``.

`local`'s root half starts it as the user already; here it gives up what is left before it reads a byte.  It starts no
programs, so it is confined for every user: to the Maildir of a home, or to the folder of the mailboxes.
"""

import os
import socket
import sys

from paperpath.local.reader import CONVERSATIONS_MOST, Reader
from paperpath.process.child import new_log, report_broken, run_loop
from paperpath.system.confine import confine_calls, confine_files
from paperpath.system.kernel import forbid_new_privileges
from paperpath.system.privileges import limit_resources
from paperpath.system.spawn import heed_interrupts

_FILES_MOST = CONVERSATIONS_MOST + 200


async def serve(sock: socket.socket, folder: str, user: str, as_json: bool) -> None:
    """Be the reader until `local` lets go."""
    log = new_log(f"mailbox/{user}", as_json=as_json)
    report_broken(log)
    confine_files(read=(), write=(_needed(folder),))
    await Reader(sock, folder, log).serve()
    log.flush()


def _needed(folder: str) -> str:
    """Return the Maildir of a home, which may be a link to somewhere else; or the folder of all mailboxes itself."""
    maildir = folder + "/Maildir"
    return os.path.realpath(maildir) if os.path.isdir(maildir) else folder


def main(arguments: list[str]) -> None:
    """Give up what is not needed, then work."""
    heed_interrupts()
    descriptor, folder, user, log_form = arguments
    os.umask(0o077)
    forbid_new_privileges()
    limit_resources(_FILES_MOST)
    # Before there is a loop: libuv would begin to use io_uring, which is forbidden here, and not survive that.
    confine_calls()
    sock = socket.socket(fileno=int(descriptor))
    run_loop(serve(sock, os.path.normpath(folder), user, log_form == "json"))


if __name__ == "__main__":
    main(sys.argv[1:])
