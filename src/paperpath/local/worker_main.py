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
from paperpath.system.kernel import forbid_new_privileges


async def serve(descriptor: int, folder: str, user: str, log_form: str) -> None:
    """Be the worker until `queue` ends the conversation."""
    log = new_log(f"local/{user}", as_json=log_form == "json")
    report_broken(log)
    await Worker(
        socket.socket(fileno=descriptor), folder, user, partial(deliver, next_name=process_names()), log
    ).serve()
    log.flush()


def main(arguments: list[str]) -> None:
    """Confine this process, then work."""
    descriptor, folder, user, log_form = arguments
    os.umask(0o077)
    forbid_new_privileges()
    run_loop(serve(int(descriptor), folder, user, log_form))


if __name__ == "__main__":
    main(sys.argv[1:])
