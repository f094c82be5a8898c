"""What the queue keeps in memory of work under way, and how new mail becomes work.  Pure."""

from collections.abc import Callable, Mapping

import msgspec

from paperpath.base.address import VERP_SUFFIX, expand_verp
from paperpath.base.terms import MessageTerms, RecipientTerms
from paperpath.config.routing import Route
from paperpath.queue.window import Key, Window
from paperpath.store.contract import Claimed, ClaimedRecipient, NewMessage, NewRecipient


class Consignment(msgspec.Struct, frozen=True, kw_only=True):
    """A message, as far as deliveries need it; shared by all jobs that carry it."""

    message: int
    sender: bytes
    trace: bytes
    content: bytes
    """Empty where ``file`` is named."""
    size: int
    birth: int
    smtputf8: bool
    file: str
    terms: MessageTerms | None = None

    @property
    def released(self) -> int:
        """From when on attempts and age are counted: its birth, or the time that its sender had it held until."""
        return self.birth if self.terms is None else max(self.birth, self.terms.hold_until)


class Work(msgspec.Struct, frozen=True):
    """One job: some recipients of one message at one destination, claimed."""

    consignment: Consignment
    key: Key
    recipients: tuple[ClaimedRecipient, ...]

    @property
    def sender(self) -> bytes:
        """The envelope sender to use: with VERP a job has one recipient, whose address goes into it."""
        return expand_verp(self.consignment.sender, self.recipients[0].address)


def recipients_a_job(channel: str, sender: bytes, transaction_recipients: int) -> int:
    """Return how many recipients one job may have: a mailbox each, and a sender each where VERP is asked for."""
    return 1 if channel == "local" or sender.endswith(VERP_SUFFIX) else transaction_recipients


def of_claimed(claimed: Claimed) -> Work:
    """Return the job of a group that the store gave out."""
    consignment = Consignment(
        message=claimed.message,
        sender=claimed.sender,
        trace=claimed.trace,
        content=claimed.content,
        size=claimed.size,
        birth=claimed.birth,
        smtputf8=claimed.smtputf8,
        file=claimed.file,
        terms=claimed.terms,
    )
    return Work(consignment, (claimed.channel, claimed.destination), claimed.recipients)


NO_TERMS: Mapping[int, RecipientTerms] = {}

_PRIORITY_STEP_S = 600
"""By how much a step of priority dates a message back among those that wait for the same destination, so that the
oldest of them does not wait for ever behind new and urgent ones."""


def first_due(consignment: Consignment) -> int:
    """Return when the first attempt may be made; 0: at the message's birth.

    A waiting line is served in the order of its due times, so a message of high priority (RFC 6710) is due as if it
    had come earlier.  Low priority has no effect: it would be a delay where nobody else waits.
    """
    terms = consignment.terms
    if terms is None:
        return 0
    if terms.hold_until > consignment.birth:
        return terms.hold_until
    return consignment.birth - max(0, terms.priority) * _PRIORITY_STEP_S


class Admission(msgspec.Struct, frozen=True):
    """A new message, ready to be stored, with the work that begins as soon as it is."""

    message: NewMessage
    works: tuple[Work, ...]
    waiting: frozenset[Key]
    """Destinations for which some of its recipients stay in the store, due."""
    held_until: int = 0
    """When it becomes due, where that is not now."""


def admit(
    consignment: Consignment,
    recipients: tuple[bytes, ...],
    origin: str,
    route: Callable[[bytes], Route],
    window: Window,
    transaction_recipients: int,
    *,
    shares: int = 0,
    recipient_terms: Mapping[int, RecipientTerms] = NO_TERMS,
) -> Admission:
    """Route the recipients of a new message, and claim those for which there is room; counts them in ``window``.

    One that is held for later (RFC 4865) is due then, and nothing of it is claimed.
    """
    groups: dict[Key, _Group] = {}
    routed: list[NewRecipient] = []
    sender, due = consignment.sender, first_due(consignment)
    is_held = due > consignment.birth
    # Routed before any place is taken: what goes wrong in routing leaves nothing behind.
    for number, found in enumerate(list(map(route, recipients))):
        key = (found.channel, found.destination)
        group = groups.get(key)
        if group is None:
            most = recipients_a_job(found.channel, sender, transaction_recipients)
            group = groups[key] = _Group(key, most, window, consignment.birth)
        terms = recipient_terms.get(number)
        claimed = not is_held and group.take(ClaimedRecipient(number, found.address, 0, terms))
        routed.append(NewRecipient(found.address, found.channel, found.destination, claimed, terms))
    message = NewMessage(
        message=consignment.message,
        sender=sender,
        trace=consignment.trace,
        content=b"" if shares else consignment.content,
        size=consignment.size,
        birth=consignment.birth,
        origin=origin,
        smtputf8=consignment.smtputf8,
        recipients=tuple(routed),
        file="" if shares else consignment.file,
        shares=shares,
        terms=consignment.terms,
        due=due,
    )
    works = tuple(Work(consignment, key, tuple(job)) for key, group in groups.items() for job in group.jobs)
    waiting = frozenset(key for key, group in groups.items() if group.full)
    return Admission(message, works, waiting, due if is_held else 0)


class _Group:
    """The recipients of one message at one destination, cut into jobs as long as the window has room."""

    __slots__ = ("_key", "_most", "_now", "_window", "full", "jobs")

    def __init__(self, key: Key, most: int, window: Window, now: int) -> None:
        self._key, self._most, self._window, self._now = key, most, window, now
        self.jobs: list[list[ClaimedRecipient]] = []
        self.full = False

    def take(self, recipient: ClaimedRecipient) -> bool:
        """Put a recipient into a job; False where it has to wait in the store."""
        if self.jobs and len(self.jobs[-1]) < self._most:
            self.jobs[-1].append(recipient)
            return True
        if self.full or not self._window.may_start_fresh(self._key, self._now):
            self.full = True
            return False
        self._window.start(self._key)
        self.jobs.append([recipient])
        return True
