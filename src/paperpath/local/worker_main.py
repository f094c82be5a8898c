"""Start a worker: ``python -I -m paperpath.local.worker_main FD FOLDER USER json|logfmt [INSTRUCTIONS]``.

`local`'s root half starts it as the user already; here it gives up what is left before it reads a byte.  With
``INSTRUCTIONS`` (`process.settings.Instructions`, in JSON) FOLDER is a home whose dot-qmail files are obeyed; without,
it holds the mailboxes of `paperpath account`.
"""

import os
import socket
import sys
import threading
from dataclasses import dataclass
from functools import partial

import msgspec

from paperpath.config.cdb_file import CdbFile
from paperpath.delivery.carry_out import Tools
from paperpath.delivery.deliver import MakePlan, deliver_all
from paperpath.delivery.forwarding import Besides
from paperpath.delivery.maildir import process_names
from paperpath.delivery.plan import plan_account, plan_mailbox
from paperpath.delivery.watched import Watched
from paperpath.local.worker import Charge, Worker
from paperpath.message.rewriting import Rewriter
from paperpath.process.child import new_log, report_broken, run_loop
from paperpath.process.settings import Instructions
from paperpath.system.clock import now
from paperpath.system.confine import confine_calls, confine_files
from paperpath.system.kernel import forbid_new_privileges
from paperpath.system.privileges import limit_resources
from paperpath.system.spawn import heed_interrupts

_FILES_MOST = 1024
"""What programs of users expect to be allowed; more than a batch, its jobs and the threads need."""


@dataclass(frozen=True, slots=True)
class _Given:
    """The arguments."""

    descriptor: int
    folder: str
    user: str
    log_form: str
    instructions: Instructions | None = None


async def serve(given: _Given) -> None:
    """Be the worker until `queue` ends the conversation."""
    log = new_log(f"local/{given.user}", as_json=given.log_form == "json")
    report_broken(log)
    if given.instructions is None:
        _confine_to(given.folder)
    stopped = threading.Event()
    watched = Watched(given.instructions.program_timeout_s if given.instructions else 0.0, stopped)
    tools = Tools(process_names(), watched, lambda: int(now()), dict(os.environb), stopped)
    make_plan = plan_mailbox if given.instructions is None else _planner(given.instructions)
    charge = Charge(given.user, given.folder, given.instructions is not None)
    worker = Worker(
        socket.socket(fileno=given.descriptor), charge, partial(deliver_all, make_plan=make_plan, tools=tools), log
    )
    await worker.serve()
    stopped.set()
    worker.finish()
    log.flush()


def _planner(told: Instructions) -> MakePlan:
    aliases = CdbFile(told.aliases) if told.aliases else None
    besides = Besides(aliases, Rewriter(*told.completion) if told.forward_files else None)
    return partial(plan_account, default_delivery=os.fsencode(told.default_delivery), besides=besides)


def _confine_to(folder: str) -> None:
    # A mailbox's Maildir may be a link to somewhere else.
    confine_files(read=(), write=(folder, os.path.realpath(folder + "/Maildir")))


def main(arguments: list[str]) -> None:
    """Give up what is not needed, then work."""
    heed_interrupts()
    given = _given(arguments)
    os.umask(0o077)
    if given.instructions is not None:
        # A user's programs may do what that user may: run set-group-id helpers (mail locks, sendmail), write
        # anywhere that is theirs.  Confinement lasts through exec, so here it would bind them.
        limit_resources(_FILES_MOST)
    else:
        forbid_new_privileges()
        # Before there is a loop: libuv would begin to use io_uring, which is forbidden here, and not survive
        # that.
        confine_calls()
    run_loop(serve(given))


def _given(arguments: list[str]) -> _Given:
    descriptor, folder, user, log_form, *rest = arguments
    instructions = msgspec.json.decode(rest[0], type=Instructions) if rest else None
    return _Given(int(descriptor), os.path.normpath(folder), user, log_form, instructions)


if __name__ == "__main__":
    main(sys.argv[1:])
