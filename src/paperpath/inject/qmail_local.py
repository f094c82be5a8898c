"""qmail-local: delivers, or forwards, one message for one user of this host (qmail-interfaces 6).

    qmail-local [-nN] user homedir local dash ext domain sender defaultdelivery

The message is a file on descriptor 0.  This is the engine that the workers of the service run, without a service:
forwards go to the queue as whatever injects mail goes there.
"""

import os

from paperpath.base.outcome import Deferred, Delivered, Failed, Outcome
from paperpath.delivery.carry_out import Tools, carry_out
from paperpath.delivery.checks import check_home, check_loop
from paperpath.delivery.dotqmail import Address, Forbidden, Maildir, Mbox, Program, describe
from paperpath.delivery.errand import Errand, Message, Refused
from paperpath.delivery.forwarding import Follow
from paperpath.delivery.maildir import process_names
from paperpath.delivery.plan import Plan, plan_unchecked
from paperpath.inject.command import Usage, options, reason, usage
from paperpath.inject.queueing import enqueue
from paperpath.system.clock import now
from paperpath.system.files import read_all
from paperpath.system.injection import write_all
from paperpath.system.programs import Ended, run_unwatched
from paperpath.wire.accounts import Account
from paperpath.wire.delivery import Forward

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Mapping

EXIT_DONE, EXIT_PERMANENT, EXIT_TEMPORARY = 0, 100, 111
_USAGE = "qmail-local [ -nN ] user homedir local dash ext domain sender aliasempty"
_ARGUMENTS = 8
_STICKY = 0o1000


def main(argv: list[str]) -> int:
    """Deliver the message on descriptor 0; return qmail-local's exit code."""
    os.umask(0o077)
    words = [os.fsencode(word) for word in argv[1:]]
    try:
        for_show = _read_options(words)
        if len(words) != _ARGUMENTS or not words[1].startswith(b"/"):
            raise Usage
    except Usage:
        return usage(_USAGE)
    user, home, local, dash, extension, domain, sender, default = words
    try:
        account = Account(os.fsdecode(user), os.path.normpath(os.fsdecode(home)), dash, extension)
        message = Message(local + b"@" + domain, sender, b"", b"", 0, 0 if for_show else _size())
        errand = Errand(account, message)
        return _show(errand, default) if for_show else _deliver(errand, default)
    except Refused as refused:
        return _end(refused.outcome)


def _read_options(words: list[bytes]) -> bool:
    """Take the options off the front; return whether only to tell what would be done.  Raises Usage."""
    for_show = False
    for letter, _ in options(words, b"nN"):
        for_show = letter == b"n"
    return for_show


def _size() -> int:
    try:
        os.lseek(0, 0, os.SEEK_SET)
        return os.fstat(0).st_size
    except OSError as error:
        raise Refused(Deferred("Unable to rewind message.", code="3.0")) from error


def _deliver(errand: Errand, default: bytes) -> int:
    _enter(errand.account.home, may_be_edited=False)
    check_loop(errand.message)
    tools = Tools(process_names(), _run, lambda: int(now()), dict(os.environb))
    done = carry_out(plan_unchecked(errand.account, default), errand.message, tools)
    for forward in done.forwards:
        _forward(forward, errand.message)
    return _end(done.outcome, forwarded=bool(done.forwards))


def _run(command: bytes, folder: str, environment: "Mapping[bytes, bytes]", message: Message) -> Ended:
    # The message is the file that all programs share, as its position is.
    os.lseek(0, 0, os.SEEK_SET)
    return run_unwatched(command, folder=folder, environment=environment, message=0)


def _forward(forward: Forward, message: Message) -> None:
    content = forward.trace + read_all(0, message.size)
    queued = enqueue(content, forward.sender, forward.recipients)
    if queued.exit_code:
        write_all(2, os.fsencode(f"Unable to forward message: {queued.text[1:]}.\n"))
        raise Refused(Failed("") if queued.exit_code == EXIT_PERMANENT else Deferred(""))


def _show(errand: Errand, default: bytes) -> int:
    """Print what would be done (option -n)."""
    _enter(errand.account.home, may_be_edited=True)
    if os.stat(errand.account.home).st_mode & _STICKY:
        write_all(2, b"Warning: home directory is sticky.\n")
    plan = plan_unchecked(errand.account, default)
    for instruction in plan.instructions:
        if isinstance(instruction, Forbidden):
            raise Refused(instruction.outcome)
        # No .forward and no alias comes here: they are the service's own, and qmail-local is not told of them.
        if not isinstance(instruction, Follow) and (line := describe(instruction)):
            write_all(1, line + b"\n")
    return _end(Delivered(_summary(plan)))


def _summary(plan: Plan) -> str:
    counts = [
        sum(isinstance(instruction, kinds) for instruction in plan.instructions)
        for kinds in ((Maildir, Mbox), Address, Program)
    ]
    return "did {}+{}+{}".format(*counts)


def _enter(home: str, *, may_be_edited: bool) -> None:
    try:
        check_home(home, may_be_edited=may_be_edited)
    except OSError as error:
        raise Refused(Deferred(f"Unable to switch to {home}: {reason(error)}.", code="3.0")) from None


def _end(outcome: Outcome, *, forwarded: bool = False) -> int:
    """Print the last words and return the exit code.  A program that failed has said why itself."""
    if isinstance(outcome, Delivered):
        # The number of qmail-queue's process; here it is done in this one.
        queued = f"qp {os.getpid()}\n" if forwarded else ""
        write_all(1, os.fsencode(f"{outcome.text}\n{queued}"))
        return EXIT_DONE
    if outcome.text:
        write_all(2, os.fsencode(f"{outcome.text} (#{outcome.status})\n"))
    return EXIT_PERMANENT if isinstance(outcome, Failed) else EXIT_TEMPORARY


if __name__ == "__main__":
    from paperpath.inject.run import run

    run(main, EXIT_TEMPORARY)
