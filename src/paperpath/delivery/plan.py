"""What is to be done with one message for one account, decided before any of it is done."""

import functools
from dataclasses import dataclass

from paperpath.base.dotqmail_names import default_part
from paperpath.base.outcome import Deferred, Failed
from paperpath.delivery.checks import check_home, check_loop
from paperpath.delivery.choice import choose
from paperpath.delivery.dotqmail import Address, Comment, Instruction, ListSwitch, Maildir, parse
from paperpath.delivery.errand import Errand, Refused

MAILBOX = (Maildir(b"./Maildir/"),)
"""What is done for the mailboxes of `paperpath account`."""

_NO_MAILBOX = Failed("Sorry, no mailbox here by that name.", code="1.1")

_parse_default = functools.lru_cache(maxsize=4)(parse)


@dataclass(frozen=True, slots=True)
class Plan:
    """The instructions for one errand, in order."""

    errand: Errand
    instructions: tuple[Instruction, ...]
    default_part: bytes | None = None
    """What the ``default`` in the file's name stands for."""

    @property
    def maildirs(self) -> tuple[Maildir, ...]:
        """The Maildirs among the instructions."""
        return tuple(one for one in self.instructions if isinstance(one, Maildir))

    @property
    def is_quick(self) -> bool:
        """Whether nothing has to be waited for but, at most, one Maildir's sync."""
        quick = all(isinstance(one, Maildir | Address | Comment | ListSwitch) for one in self.instructions)
        return quick and len(self.maildirs) <= 1


def plan_mailbox(errand: Errand) -> Plan:
    """Return the plan for one of our own mailboxes.  Raises Refused."""
    _check(errand)
    return Plan(errand, MAILBOX)


def plan_account(errand: Errand, default_delivery: bytes) -> Plan:
    """Return the plan for a system account, by its dot-qmail file.  Raises Refused.

    ``default_delivery`` is the content of the file that counts where an account has none.
    """
    _check(errand)
    return plan_unchecked(errand, default_delivery)


def plan_unchecked(errand: Errand, default_delivery: bytes) -> Plan:
    """The same without a look at the home or for loops: what would be done.  Raises Refused."""
    account = errand.account
    chosen = choose(account.home, account.dash, account.extension)
    if chosen is None and account.dash:
        raise Refused(_NO_MAILBOX)
    if chosen is None:
        return Plan(errand, _parse_default(default_delivery))
    part = default_part(account.dash, account.extension, chosen.name)
    if not chosen.content:
        return Plan(errand, _parse_default(default_delivery), part)
    return Plan(errand, parse(chosen.content, forward_only=chosen.forward_only), part)


def _check(errand: Errand) -> None:
    try:
        check_home(errand.account.home)
    except OSError as error:
        raise Refused(Deferred(f"Unable to enter the home directory: {error.strerror}.", code="3.0")) from None
    check_loop(errand.message)
