"""Carrying out a plan, instruction by instruction, and waiting for each: for threads and for qmail-local.

What went before a failure stays done, and is done again when the message is tried again: that is the
instructions' own risk, as it is with qmail.  Forwards come last and all together.
"""

import os
import threading
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace

import msgspec

from paperpath.base.address import split
from paperpath.base.errno_words import describe
from paperpath.base.exit_codes import FAILED, STOP_HERE
from paperpath.base.limits import ADDRESS_MOST_BYTES, ENVELOPE_MOST_BYTES, RECIPIENTS_MOST
from paperpath.base.outcome import Deferred, Delivered, Failed, Outcome
from paperpath.delivery import maildir
from paperpath.delivery.choice import sender_of_forwards
from paperpath.delivery.dotqmail import (
    Address,
    Comment,
    Forbidden,
    Instruction,
    ListSwitch,
    Maildir,
    Mbox,
    Program,
)
from paperpath.delivery.environment import environment, from_line
from paperpath.delivery.errand import Done, Message, Refused
from paperpath.delivery.forwarding import Follow, FollowAliases, FollowForward
from paperpath.delivery.mbox import mbox_pieces
from paperpath.delivery.output import shown
from paperpath.delivery.plan import Plan
from paperpath.message.trace import delivered_to, return_path
from paperpath.system.appending import NotLocked, append_durably
from paperpath.system.programs import Ended
from paperpath.wire.delivery import Forward

LOCK_WITHIN_S = 30.0
"""qmail-local's patience with whoever else writes to an mbox."""

RunProgram = Callable[[bytes, str, Mapping[bytes, bytes], Message], Ended]
"""Runs a command in a folder, with an environment and the message as its input.  Raises OSError."""


@dataclass(frozen=True, slots=True)
class Tools:
    """What carrying out needs of the world."""

    next_name: Callable[[], bytes]
    run_program: RunProgram
    now: Callable[[], int]
    environment: Mapping[bytes, bytes]
    """What programs are told besides."""
    stopped: threading.Event = field(default_factory=threading.Event)
    """Set when this process is to end: what waits then gives up."""


def carry_out(plan: Plan, message: Message, tools: Tools) -> Done:
    """Do with a message what the plan says and return what became of it."""
    run = _Run(plan, message, tools)
    try:
        for instruction in plan.instructions:
            if run.do(instruction):
                break
        return run.done()
    except Refused as refused:
        return Done(run.with_output(refused.outcome))


def quickly(plan: Plan, message: Message, tools: Tools) -> tuple[Done, maildir.Delivery | None]:
    """Return what a quick plan comes to once the delivery, if there is one, is durable.  Raises Refused."""
    run = _Run(plan, message, tools)
    delivery: maildir.Delivery | None = None
    for instruction in plan.instructions:
        if isinstance(instruction, Maildir):
            run.files += 1
            delivery = maildir.Delivery(plan.path(instruction.path), message)
        else:
            run.do(instruction)
    return run.done(), delivery


class _Run:
    """One plan being carried out."""

    def __init__(self, plan: Plan, message: Message, tools: Tools) -> None:
        self._plan, self._message, self._tools = plan, message, tools
        self.files = self._programs = 0
        self._addresses: list[bytes] = []
        self._of_aliases: tuple[Forward, ...] = ()
        self._output = b""
        self._sender: bytes | None = None

    def do(self, instruction: Instruction | Follow) -> bool:
        """Carry out one instruction; True where it says that those behind it are to be left alone.

        Raises Refused where it failed.
        """
        match instruction:
            case Maildir():
                self.files += 1
                self._into_maildir(instruction)
            case Mbox():
                self.files += 1
                self._into_mbox(instruction)
            case Program(command=command):
                return self._through_program(command, self._message).status == STOP_HERE
            case FollowForward():
                return self._follow_forward(instruction)
            case FollowAliases():
                self._follow_aliases(instruction)
            case Address(address=address):
                self._addresses.append(address)
            case Forbidden(outcome=outcome):
                raise Refused(outcome)
            case Comment() | ListSwitch():
                pass
        return False

    def done(self) -> Done:
        """Return the outcome of a run that came to its end."""
        forwards = self._forwards()
        if not self.files and not self._programs:
            forwards = tuple(msgspec.structs.replace(forward, whole=True) for forward in forwards)
        addresses = len(self._addresses) + sum(len(forward.recipients) for forward in self._of_aliases)
        summary = b"did %d+%d+%d" % (self.files, addresses, self._programs)
        return Done(Delivered(shown(self._output, summary)), forwards)

    def with_output(self, outcome: Outcome) -> Outcome:
        """Return the outcome with what programs said put before its own text."""
        if not self._output:
            return outcome
        text = shown(self._output, outcome.text.encode())
        return type(outcome)(text, code=outcome.code)

    def _into_maildir(self, instruction: Maildir) -> None:
        delivery = maildir.Delivery(self._plan.path(instruction.path), self._message)
        (outcome,) = maildir.deliver([delivery], self._tools.next_name)
        if isinstance(outcome, Exception):
            raise outcome
        if not isinstance(outcome, Delivered):
            raise Refused(outcome)

    def _into_mbox(self, instruction: Mbox) -> None:
        path = os.fsencode(self._plan.path(instruction.path))
        pieces = mbox_pieces(self._message, self._tools.now())
        try:
            append_durably(path, pieces, lock_within_s=LOCK_WITHIN_S, stopped=self._tools.stopped)
        except NotLocked as error:
            text = f"File has been locked for {LOCK_WITHIN_S:.0f} seconds straight."
            if self._tools.stopped.is_set():
                text = f"Unable to lock {os.fsdecode(instruction.path)}: {error.strerror}."
            raise Refused(Deferred(text, code="3.0")) from None
        except OSError as error:
            raise Refused(_not_appended(os.fsdecode(instruction.path), error)) from None

    def _follow_forward(self, instruction: FollowForward) -> bool:
        """Carry out a .forward; True where the mail is delivered by it alone."""
        found = instruction.read(os.fsencode(self._plan.account.user), split(self._message.recipient)[1])
        for command in found.programs:
            self._piped(command)
        self._addresses += found.addresses
        return found.goes_elsewhere

    def _follow_aliases(self, instruction: FollowAliases) -> None:
        message, account = self._message, self._plan.account
        recipient = account.extension + b"@" + split(message.recipient)[1]
        sender, addresses = instruction.expand(recipient, message.sender, self._of_alias)
        self._of_aliases = self._forward(sender, addresses)

    def _of_alias(self, command: bytes) -> None:
        """Run a program of an alias; its mark says how it wants the message."""
        if command[:1] == b"!":
            self._piped(command[1:])
        else:
            self._must_succeed(self._through_program(command[1:], self._message))

    def _piped(self, command: bytes) -> None:
        """Feed the message to a program as sendmail does, with the lines before it that an mbox has."""
        message, now = self._message, self._tools.now()
        lines = from_line(message.sender, now) + return_path(message.sender) + delivered_to(message.recipient)
        self._must_succeed(self._through_program(command, replace(message, trace=lines + message.trace)))

    def _must_succeed(self, ended: Ended) -> None:
        """Refuse a program's 99: it is no dot-qmail line, with others behind it."""
        if ended.status:
            raise Refused(Deferred(f"The program ended with exit code {ended.status}."))

    def _through_program(self, command: bytes, message: Message) -> Ended:
        """Run a program to its good end.  Raises Refused for any other."""
        self._programs += 1
        account = self._plan.account
        variables = environment(
            user=os.fsencode(account.user),
            home=os.fsencode(account.home),
            recipient=message.recipient,
            extension=account.extension,
            sender=message.sender,
            new_sender=self._new_sender(),
            default_part=self._plan.default_part,
            now=self._tools.now(),
        )
        told = {**self._tools.environment, **variables}
        try:
            ended = self._tools.run_program(command, account.home, told, message)
        except OSError as error:
            raise Refused(Deferred(f"Unable to run /bin/sh: {describe(error)}.", code="3.0")) from None
        self._output += ended.output or b""
        outcome = judge(ended)
        if outcome is not None:
            raise Refused(outcome)
        return ended

    def _forwards(self) -> tuple[Forward, ...]:
        if not self._addresses:
            return self._of_aliases
        return (*self._of_aliases, *self._forward(self._new_sender(), self._addresses))

    def _forward(self, sender: bytes, addresses: Sequence[bytes]) -> tuple[Forward, ...]:
        if len(addresses) > RECIPIENTS_MOST or sum(map(len, addresses)) > ENVELOPE_MOST_BYTES:
            raise Refused(Deferred("The message is to be forwarded to too many addresses.", code="3.0"))
        if any(len(address) > ADDRESS_MOST_BYTES for address in addresses):
            raise Refused(Failed("The message is to be forwarded to an address that is too long.", code="1.3"))
        trace = delivered_to(self._message.recipient) + self._message.trace
        # An empty address is nobody's, and its mail is thrown away (qmail-lspawn).
        recipients = tuple(address for address in addresses if address)
        return (Forward(sender, recipients, trace),) if recipients else ()

    def _new_sender(self) -> bytes:
        if self._sender is None:
            self._sender = sender_of_forwards(self._plan.account, self._message)
        return self._sender


def judge(ended: Ended) -> Outcome | None:
    """Return what a program's end makes of the delivery; None where it goes on."""
    if not ended.in_time:
        return Deferred("The program took too long and was ended.", code="3.0")
    if ended.status in (0, STOP_HERE):
        return None
    if ended.status < 0:
        return Deferred("Aack, child crashed.", code="3.0")
    # The program's own words are the reason; ours stand for one that said nothing to whoever listened.
    text = f"The program ended with exit code {ended.status}." if ended.output == b"" else ""
    return Failed(text) if ended.status in FAILED else Deferred(text)


def _not_appended(path: str, error: OSError) -> Deferred:
    """Return why a message is not in an mbox: an error of opening names the file."""
    if error.filename is not None:
        return Deferred(f"Unable to open {path}: {describe(error)}.", code="2.1")
    return Deferred(f"Unable to write {path}: {describe(error)}.", code=maildir.code_of(error))
