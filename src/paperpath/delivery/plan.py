"""What is to be done with the mail of one account, decided before any of it is done.

A plan is the same for all messages of a batch, so it is made once for them.
"""

import functools
import os
from dataclasses import dataclass

from paperpath.base.dotqmail_names import default_part
from paperpath.base.outcome import Deferred, Failed
from paperpath.config.users import ALIAS_USER
from paperpath.delivery.checks import check_home
from paperpath.delivery.choice import choose
from paperpath.delivery.dotqmail import Address, Comment, Forbidden, Instruction, ListSwitch, Maildir, parse
from paperpath.delivery.errand import Refused
from paperpath.delivery.forwarding import NOTHING_BESIDES, Besides, Follow, FollowAliases
from paperpath.wire.accounts import Account

_NO_MAILBOX = (Forbidden(b"", Failed("Sorry, no mailbox here by that name.", code="1.1")),)
_MAILBOX = (Maildir(b"./Maildir/"),)

_parse_default = functools.lru_cache(maxsize=4)(parse)


@dataclass(frozen=True, slots=True)
class Plan:
    """The instructions for an account, in order."""

    account: Account
    instructions: tuple[Instruction | Follow, ...]
    default_part: bytes | None = None
    """What the ``default`` in the file's name stands for."""
    counted: bool = False
    """Whether a quota of the Maildir counts, where it has one."""

    @property
    def is_quick(self) -> bool:
        """Whether nothing has to be waited for but, at most, one Maildir's sync."""
        if self.instructions and isinstance(self.instructions[0], Forbidden):
            return True
        quick = all(isinstance(one, Maildir | Address | Comment | ListSwitch) for one in self.instructions)
        return quick and sum(isinstance(one, Maildir) for one in self.instructions) <= 1

    @property
    def only_maildir(self) -> str | None:
        """The Maildir where that is all there is to do."""
        if len(self.instructions) == 1 and isinstance(only := self.instructions[0], Maildir):
            return self.path(only.path)
        return None

    def path(self, path: bytes) -> str:
        """Return a path of an instruction from the root."""
        return os.path.normpath(os.path.join(self.account.home, os.fsdecode(path)))


def plan_mailbox(account: Account) -> Plan:
    """Return the plan for one of the mailboxes of `paperpath account`.  Raises Refused."""
    _check_home(account.home)
    return Plan(account, _MAILBOX, counted=True)


def plan_account(account: Account, default_delivery: bytes, besides: Besides) -> Plan:
    """Return the plan for a system account, by its dot-qmail file.

    ``default_delivery`` is the content of the file that counts where an account has none.  Raises Refused for a
    home that must be left alone now; whatever else is wrong is forbidden by the plan itself, since a message
    that loops comes to its end before that is looked at.
    """
    _check_home(account.home)
    return plan_unchecked(account, default_delivery, besides)


def plan_unchecked(account: Account, default_delivery: bytes, besides: Besides = NOTHING_BESIDES) -> Plan:
    """Return the same without a look at the home."""
    try:
        chosen = choose(account.home, account.dash, account.extension)
        if chosen is None and account.dash:
            return _plan_without_file(account, besides)
        if chosen is None or not chosen.content:
            instructions = (*besides.forward_file(account.home), *_parse_default(default_delivery))
        else:
            instructions = parse(chosen.content, forward_only=chosen.forward_only)
    except Refused as refused:
        return Plan(account, (Forbidden(b"", refused.outcome),))
    part = default_part(account.dash, account.extension, chosen.name) if chosen else None
    return Plan(account, instructions, part)


def _plan_without_file(account: Account, besides: Besides) -> Plan:
    """Return the plan for an extension that no dot-qmail file handles."""
    if besides.aliases is None or account.user != ALIAS_USER:
        return Plan(account, _NO_MAILBOX)
    # As if ~alias/.qmail-default said it: the whole extension is what `default` stands for.
    return Plan(account, (FollowAliases(besides.aliases),), account.extension)


def _check_home(home: str) -> None:
    try:
        check_home(home)
    except OSError as error:
        raise Refused(Deferred(f"Unable to enter the home directory: {error.strerror}.", code="3.0")) from None
