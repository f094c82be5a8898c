"""Random lives of a store against a model that fits on a page.

Two sentences must hold through crash and restart: nothing accepted is lost, and nothing settled is offered again.
A crash is what lies in the folder at that moment, opened by a new engine; the old one never gets to tidy up.
"""

import shutil
import tempfile
from dataclasses import dataclass, field
from pathlib import Path

import msgspec
import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule

from paperpath.store.contract import Defer, Finish, NewMessage, NewRecipient, Store
from paperpath.store.sqlite import SqliteStore

START = 1_000_000
DESTINATIONS = ("a.example", "b.example", "c.example")

RECIPIENTS = st.lists(st.tuples(st.sampled_from(DESTINATIONS), st.booleans()), min_size=1, max_size=5)
OFFSETS = st.sampled_from([0, 0, -600, 60])
"""When a message is due, from its birth."""
DRAFTS = st.lists(st.tuples(RECIPIENTS, st.sampled_from(["inline", "file", "shares"]), OFFSETS), min_size=1, max_size=3)
DELAYS = st.sampled_from([0, 1, 60, 600])


@dataclass(slots=True)
class Row:
    """A recipient that is not settled."""

    destination: str
    due: int
    claimed: bool
    attempts: int = 0


@dataclass(slots=True)
class Message:
    """A message of the model."""

    content: bytes
    file: str
    birth: int
    held: bool = False
    rows: dict[int, Row] = field(default_factory=dict)


class Abandoned(Exception):
    """Thrown into a transaction to end it."""


class StoreModel(RuleBasedStateMachine):
    """The store beside its model; one simulated clock."""

    def __init__(self) -> None:
        super().__init__()
        self.scratch = Path(tempfile.mkdtemp(prefix="store-model-"))
        self.folders = 0
        self.now = START
        self.last_id = 0
        self.messages: dict[int, Message] = {}
        self.settled: set[tuple[int, int]] = set()
        self.store: Store = SqliteStore(str(self.folder))

    @property
    def folder(self) -> Path:
        return self.scratch / str(self.folders)

    @initialize()
    def begin(self) -> None:
        assert self.store.open(self.now) == ()

    def teardown(self) -> None:
        self.store.close()
        shutil.rmtree(self.scratch)

    # --- helpers -------------------------------------------------------------------------------------------

    def draft(self, drafts: list[tuple[list[tuple[str, bool]], str, int]]) -> list[NewMessage]:
        """Make new messages; content files are written, the model is left alone."""
        news: list[NewMessage] = []
        known = list(self.messages)
        for recipients, kind, offset in drafts:
            self.last_id += 1
            shares = known[self.last_id % len(known)] if kind == "shares" and known else 0
            content = self.messages[shares].content if shares in self.messages else b"%d" % self.last_id
            file = f"f{self.last_id}" if kind == "file" else ""
            if file:
                Path(self.store.content_folder, file).write_bytes(content)
            to = tuple(NewRecipient(b"x@" + where.encode(), "remote", where, claimed) for where, claimed in recipients)
            inline = b"" if file or shares else content
            # What is not due yet is not born under way.
            due = self.now + offset if offset <= 0 or not any(claimed for _, claimed in recipients) else 0
            new = NewMessage(self.last_id, b"", b"", inline, len(content), self.now, "smtp", False, to, file, shares)
            news.append(msgspec.structs.replace(new, due=due))
        return news

    def enter(self, news: list[NewMessage]) -> None:
        """Enter into the model what the store accepted."""
        for new in news:
            origin = self.messages.get(new.shares)
            content = origin.content if origin else new.content or b"%d" % new.message
            message = Message(content, origin.file if origin else new.file, new.birth)
            for number, to in enumerate(new.recipients):
                message.rows[number] = Row(to.destination, new.due or new.birth, to.claimed)
            self.messages[new.message] = message

    def rows(self, claimed: bool) -> list[tuple[int, int, Row]]:
        return [
            (at, number, row)
            for at, message in self.messages.items()
            for number, row in message.rows.items()
            if row.claimed == claimed
        ]

    def waiting(self, destination: str) -> list[tuple[int, int, int]]:
        """Who waits at a destination, as (due, message, number), first first."""
        return sorted(
            (row.due, at, number)
            for at, number, row in self.rows(claimed=False)
            if row.destination == destination and not self.messages[at].held
        )

    def reopen(self) -> None:
        """Open the present folder and compare what is said of the claims that this ends."""
        self.store = SqliteStore(str(self.folder))
        interrupted = self.store.open(self.now)
        claimed = [(at, number) for at, number, _ in self.rows(claimed=True)]
        assert sorted((one.message, one.number) for one in interrupted) == sorted(claimed)
        assert self.store.interrupted == len(claimed)
        for at, number in claimed:
            self.messages[at].rows[number].claimed = False

    def snapshot(self) -> None:
        """Take the folder as it lies, open files and all, and go on in the copy."""
        before = self.folder
        self.folders += 1
        shutil.copytree(before, self.folder)

    # --- rules ---------------------------------------------------------------------------------------------

    @rule(drafts=DRAFTS)
    def accept(self, drafts: list[tuple[list[tuple[str, bool]], str, int]]) -> None:
        news = self.draft(drafts)
        with self.store.transaction():
            self.store.accept(news)
        self.enter(news)

    @rule(destination=st.sampled_from(DESTINATIONS), most=st.integers(1, 4), per_group=st.integers(1, 3))
    def claim(self, destination: str, most: int, per_group: int) -> None:
        ready = [(at, number) for due, at, number in self.waiting(destination) if due <= self.now]
        with self.store.transaction():
            groups = self.store.claim("remote", destination, self.now, most, per_group)
        taken = [(group.message, to.number) for group in groups for to in group.recipients]
        assert sorted(taken) == sorted(ready[: len(taken)]), "oldest due first"
        assert not self.settled.intersection(taken)
        assert len(groups) <= most
        if len(taken) < len(ready):
            full = [at for at, _ in taken].count(ready[len(taken)][0]) % per_group == 0
            assert len(groups) == most and full, "there was room for one more"
        for group in groups:
            message = self.messages[group.message]
            assert (group.file, group.size) == (message.file, len(message.content))
            assert group.content == (b"" if message.file else message.content)
            assert len(group.recipients) <= per_group
            for to in group.recipients:
                assert to.attempts == message.rows[to.number].attempts
                message.rows[to.number].claimed = True

    @precondition(lambda self: self.rows(claimed=True))
    @rule(data=st.data(), delay=DELAYS, counts=st.booleans(), forwards=st.one_of(st.none(), DRAFTS))
    def settle(
        self,
        data: st.DataObject,
        delay: int,
        counts: bool,
        forwards: list[tuple[list[tuple[str, bool]], str, int]] | None,
    ) -> None:
        claimed = [(at, number) for at, number, _ in self.rows(claimed=True)]
        chosen = data.draw(st.lists(st.sampled_from(claimed), unique=True, min_size=1))
        finished = data.draw(st.lists(st.sampled_from(chosen), unique=True))
        defers = [
            Defer(at, number, self.now + delay, "no", counts) for at, number in chosen if (at, number) not in finished
        ]
        news = self.draft(forwards or [])
        with self.store.transaction():
            self.store.accept(news)
            gone = self.store.settle(defers, [Finish(*one) for one in finished], self.now)
        self.enter(news)
        for defer in defers:
            row = self.messages[defer.message].rows[defer.number]
            row.claimed, row.due, row.attempts = False, defer.due, row.attempts + counts
        for at, number in finished:
            del self.messages[at].rows[number]
            self.settled.add((at, number))
        assert sorted(gone) == [at for at, message in self.messages.items() if not message.rows]
        for at in gone:
            del self.messages[at]

    @precondition(lambda self: self.settled)
    @rule(data=st.data())
    def settle_again(self, data: st.DataObject) -> None:
        at, number = data.draw(st.sampled_from(sorted(self.settled)))
        with self.store.transaction():
            assert self.store.settle([Defer(at, number, self.now, "again")], [Finish(at, number)]) == []

    @precondition(lambda self: self.messages)
    @rule(data=st.data(), act=st.sampled_from(["hold", "release", "retry", "remove"]))
    def operate(self, data: st.DataObject, act: str) -> None:
        at = data.draw(st.sampled_from(sorted(self.messages)))
        message = self.messages[at]
        with self.store.transaction():
            if act == "remove":
                assert self.store.remove(at)
            else:
                assert getattr(self.store, act)(at, self.now, act)
        if act == "remove":
            self.settled.update((at, number) for number in message.rows)
            del self.messages[at]
        elif act == "retry":
            for row in message.rows.values():
                row.due = row.due if row.claimed else min(row.due, self.now)
        else:
            message.held = act == "hold"

    @rule(delay=DELAYS)
    def pass_time(self, delay: int) -> None:
        self.now += delay

    @rule()
    def restart(self) -> None:
        self.store.close()
        self.reopen()

    @rule()
    def crash(self) -> None:
        self.snapshot()
        self.store.close()
        self.reopen()

    @rule(drafts=DRAFTS, crash=st.booleans())
    def fail(self, drafts: list[tuple[list[tuple[str, bool]], str, int]], crash: bool) -> None:
        """Do much in a transaction and break off; perhaps the machine stops just there."""
        news = self.draft(drafts)
        known = list(self.messages)
        claimed = [(at, number) for at, number, _ in self.rows(claimed=True)]
        try:
            with self.store.transaction():
                self.store.accept(news)
                self.store.settle(
                    [Defer(*one, self.now, "no") for one in claimed[1::2]], [Finish(*one) for one in claimed]
                )
                for at in known[::2]:
                    self.store.remove(at)
                for destination in DESTINATIONS:
                    self.store.claim("remote", destination, self.now, 1, 1)
                if crash:
                    self.snapshot()
                raise Abandoned
        except Abandoned:
            pass
        for new in news:
            Path(self.store.content_folder, new.file or "none").unlink(missing_ok=True)
        if crash:
            self.store.close()
            self.reopen()

    # --- what always holds ---------------------------------------------------------------------------------

    @invariant()
    def destinations_are_due_when_their_first_is(self) -> None:
        firsts = {where: self.waiting(where)[0][0] for where in DESTINATIONS if self.waiting(where)}
        with self.store.transaction():
            due = self.store.due_destinations(self.now, 9, frozenset({"local", "remote"}), frozenset())
            later = self.store.next_due(self.now)
        assert {one.destination: one.due for one in due} == {at: due for at, due in firsts.items() if due <= self.now}
        assert [one.due for one in due] == sorted(one.due for one in due)
        assert later == min((due for due in firsts.values() if due > self.now), default=None)

    @invariant()
    def messages_and_content_are_all_there(self) -> None:
        with self.store.transaction():
            assert self.store.messages_after(0, 10_000) == sorted(self.messages)
            for at, message in self.messages.items():
                assert self.store.content(at, 100) == (b"", message.content, len(message.content))
                view = self.store.get(at, 100)
                assert view is not None
                seen = {to.number: (to.destination, to.due, to.attempts, to.state) for to in view.recipients}
                assert seen == {
                    number: (row.destination, row.due, row.attempts, _state(message, row))
                    for number, row in message.rows.items()
                }
        files = {path.name for path in Path(self.store.content_folder).iterdir()}
        assert files == {message.file for message in self.messages.values() if message.file}

    @invariant()
    def totals_agree(self) -> None:
        with self.store.transaction():
            totals = self.store.totals(self.now)
        waiting = [entry for where in DESTINATIONS for entry in self.waiting(where)]
        assert totals.messages == len(self.messages)
        assert totals.recipients == sum(len(message.rows) for message in self.messages.values())
        assert totals.held == sum(message.held for message in self.messages.values())
        assert totals.under_way == len(self.rows(claimed=True))
        assert totals.due == sum(due <= self.now for due, _, _ in waiting)
        assert totals.deferred == sum(due > self.now for due, _, _ in waiting)
        assert totals.content_bytes == sum(map(len, {message.content for message in self.messages.values()}))


def _state(message: Message, row: Row) -> str:
    if row.claimed:
        return "under-way"
    return "held" if message.held else "waiting"


# Every step is a synced commit or several, so fewer and shorter lives than Hypothesis would take; a night's run
# asks for more by HYPOTHESIS_PROFILE.
StoreModel.TestCase.settings = settings(max_examples=settings().max_examples // 3, stateful_step_count=30)
TestStoreModel = pytest.mark.timeout(300)(pytest.mark.slow(StoreModel.TestCase))
