"""Start a worker: ``python -I -m paperpath.local.worker_main FD FOLDER USER json|logfmt``.

`local`'s root half starts it as the user already; here it gives up what is left before it reads a byte.
"""

import os
import socket
import sys
from functools import partial

from paperpath.local.maildir import deliver, process_names
from paperpath.local.worker import Worker
from paperpath.process.child import new_log, report_broken, run_loop
from paperpath.system.confine import confine_calls, confine_files
from paperpath.system.kernel import forbid_new_privileges


async def serve(descriptor: int, folder: str, user: str, log_form: str) -> None:
    """Keep to the folder, and be the worker until `queue` ends the conversation."""
    log = new_log(f"local/{user}", as_json=log_form == "json")
    report_broken(log)
    _confine_to(folder)
    sock, delivering = socket.socket(fileno=descriptor), partial(deliver, next_name=process_names())
    await Worker(sock, folder, user, delivering, log).serve()
    log.flush()


def _confine_to(folder: str) -> None:
    # A user's Maildir may be a link to somewhere else of theirs.
    confine_files(read=(), write=(folder, os.path.realpath(folder + "/Maildir")))


def main(arguments: list[str]) -> None:
    """Give up what is not needed, then work."""
    descriptor, folder, user, log_form = arguments
    os.umask(0o077)
    forbid_new_privileges()
    # Before there is a loop: libuv would begin to use io_uring, which is forbidden here, and not survive
    # that.
    confine_calls(starts_programs=False)
    run_loop(serve(int(descriptor), folder, user, log_form))


if __name__ == "__main__":
    main(sys.argv[1:])
