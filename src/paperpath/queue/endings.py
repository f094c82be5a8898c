"""What one report of an agent comes to, recipient by recipient.  Pure."""

import msgspec

from paperpath.base.outcome import Deferred, Failed, Outcome
from paperpath.base.terms import RecipientTerms, wants_failure
from paperpath.store.contract import ClaimedRecipient, Defer, Finish
from paperpath.wire.delivery import Forward


class Ending(msgspec.Struct, frozen=True):
    """One recipient's outcome with what was decided about it."""

    recipient: ClaimedRecipient
    outcome: Outcome
    due: int = 0
    """Where deferred: when it is tried again."""
    forwards: tuple[Forward, ...] = ()
    action: str = ""
    """The report that it owes beside one of failure: ``delivered``, ``relayed``, ``expanded``, ``delayed``."""
    terms: RecipientTerms | None = None
    """Where they change: what holds for the recipient from now on."""
    status: str = ""
    """What a report says in the place of the outcome's own status."""

    @property
    def is_withheld(self) -> bool:
        """Whether it failed, and the sender asked not to hear of it."""
        return isinstance(self.outcome, Failed) and not wants_failure(self.recipient.terms)


class Settlement(msgspec.Struct, frozen=True):
    """What one report comes to."""

    message: int
    endings: tuple[Ending, ...]

    @property
    def failures(self) -> tuple[Ending, ...]:
        """Those that the sender is told about."""
        return tuple(ending for ending in self.endings if isinstance(ending.outcome, Failed) and not ending.is_withheld)

    @property
    def reports(self) -> tuple[tuple[Ending, ...], ...]:
        """All that is to be told, in a report each: failures, delays, successes."""
        failures: list[Ending] = []
        delays: list[Ending] = []
        successes: list[Ending] = []
        for ending in self.endings:
            if ending.action:
                (delays if ending.action == "delayed" else successes).append(ending)
            elif isinstance(ending.outcome, Failed) and not ending.is_withheld:
                failures.append(ending)
        return tuple(tuple(endings) for endings in (failures, delays, successes) if endings)

    @property
    def defers(self) -> tuple[Defer, ...]:
        """What the store is told of those that wait."""
        return tuple(
            Defer(
                self.message,
                ending.recipient.number,
                ending.due,
                f"{ending.outcome.status} {ending.outcome.text}",
                terms=ending.terms,
            )
            for ending in self.endings
            if isinstance(ending.outcome, Deferred)
        )

    @property
    def finishes(self) -> tuple[Finish, ...]:
        """What the store is told of those that have ended."""
        return tuple(
            Finish(self.message, ending.recipient.number)
            for ending in self.endings
            if not isinstance(ending.outcome, Deferred)
        )
