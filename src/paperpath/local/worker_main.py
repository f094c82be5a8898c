"""Start a worker: ``python -I -m paperpath.local.worker_main FD FOLDER USER json|logfmt [DEFAULT SECONDS]``.

`local`'s root half starts it as the user already; here it gives up what is left before it reads a byte.  With
``DEFAULT``, which is what a dot-qmail file would say, FOLDER is a home whose instructions are obeyed, programs
for ``SECONDS`` at most; without, it holds the mailboxes of `paperpath account`.
"""

import os
import socket
import sys
import threading
from dataclasses import dataclass
from functools import partial

from paperpath.delivery.carry_out import Tools
from paperpath.delivery.deliver import deliver_all
from paperpath.delivery.maildir import process_names
from paperpath.delivery.plan import plan_account, plan_mailbox
from paperpath.delivery.watched import Watched
from paperpath.local.worker import Charge, Worker
from paperpath.process.child import new_log, report_broken, run_loop
from paperpath.system.clock import now
from paperpath.system.confine import confine_calls, confine_files
from paperpath.system.kernel import forbid_new_privileges
from paperpath.system.privileges import limit_resources

_FILES_MOST = 1024
"""What programs of users expect to be allowed; more than a batch, its jobs and the threads need."""


@dataclass(frozen=True, slots=True)
class _Given:
    """The arguments."""

    descriptor: int
    folder: str
    user: str
    log_form: str
    default_delivery: bytes = b""
    program_timeout_s: float = 0.0
    instructed: bool = False


async def serve(given: _Given) -> None:
    """Be the worker until `queue` ends the conversation."""
    log = new_log(f"local/{given.user}", as_json=given.log_form == "json")
    report_broken(log)
    if not given.instructed:
        _confine_to(given.folder)
    stopped = threading.Event()
    watched = Watched(given.program_timeout_s, stopped)
    tools = Tools(process_names(), watched, lambda: int(now()), dict(os.environb), stopped)
    make_plan = partial(plan_account, default_delivery=given.default_delivery) if given.instructed else plan_mailbox
    charge = Charge(given.user, given.folder, given.instructed)
    worker = Worker(
        socket.socket(fileno=given.descriptor), charge, partial(deliver_all, make_plan=make_plan, tools=tools), log
    )
    await worker.serve()
    stopped.set()
    worker.finish()
    log.flush()


def _confine_to(folder: str) -> None:
    # A mailbox's Maildir may be a link to somewhere else.
    confine_files(read=(), write=(folder, os.path.realpath(folder + "/Maildir")))


def main(arguments: list[str]) -> None:
    """Give up what is not needed, then work."""
    given = _given(arguments)
    os.umask(0o077)
    if given.instructed:
        # A user's programs may do what that user may: run set-group-id helpers (mail locks, sendmail), write
        # anywhere that is theirs.  Confinement lasts through exec, so here it would bind them.
        limit_resources(files=_FILES_MOST)
    else:
        forbid_new_privileges()
        # Before there is a loop: libuv would begin to use io_uring, which is forbidden here, and not survive
        # that.
        confine_calls(starts_programs=False)
    run_loop(serve(given))


def _given(arguments: list[str]) -> _Given:
    descriptor, folder, user, log_form, *instructions = arguments
    folder = os.path.normpath(folder)
    if not instructions:
        return _Given(int(descriptor), folder, user, log_form)
    default, timeout = instructions
    return _Given(int(descriptor), folder, user, log_form, os.fsencode(default), float(timeout), instructed=True)


if __name__ == "__main__":
    main(sys.argv[1:])
