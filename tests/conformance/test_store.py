"""What every engine of the store must do, in the words of `paperpath.store.contract`.

An engine joins by an `Engine` in ENGINES.
"""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import msgspec
import pytest

from paperpath.base.terms import MessageTerms, RecipientTerms
from paperpath.store.contract import (
    Claimed,
    ContentGone,
    Defer,
    DestinationDue,
    Finish,
    NewMessage,
    NewRecipient,
    Store,
    StoreUnusable,
)
from paperpath.store.sqlite import SqliteStore

CHANNELS = frozenset({"local", "remote"})

NOW: Final = 1_000_000
LATER: Final = NOW + 3600


@dataclass(frozen=True, slots=True)
class Engine:
    """How to make a store in a folder; made again in the same folder, it finds what the one before left."""

    name: str
    make: Callable[[str], Store]


ENGINES: Final = (Engine("sqlite", SqliteStore),)


@pytest.fixture(params=ENGINES, ids=lambda engine: engine.name)
def engine(request: pytest.FixtureRequest) -> Engine:
    chosen: Engine = request.param
    return chosen


@pytest.fixture
def store(engine: Engine, tmp_path: Path) -> Iterator[Store]:
    made = engine.make(str(tmp_path))
    made.open(NOW)
    yield made
    made.close()


def to(address: str, claimed: bool = False, channel: str = "remote") -> NewRecipient:
    return NewRecipient(address.encode(), channel, address.rpartition("@")[2], claimed)


def new(
    message: int,
    *recipients: NewRecipient,
    content: bytes = b"body",
    birth: int = NOW,
    file: str = "",
    size: int | None = None,
    shares: int = 0,
) -> NewMessage:
    return NewMessage(
        message=message,
        sender=b"sender@example.org",
        trace=b"Received: by test\n",
        content=b"" if shares or file else content,
        size=len(content) if size is None else size,
        birth=birth,
        origin="smtp",
        smtputf8=False,
        recipients=recipients or (to("a@example.net"),),
        file=file,
        shares=shares,
    )


def accept(store: Store, *messages: NewMessage) -> None:
    with store.transaction():
        store.accept(messages)


def claim(store: Store, destination: str = "example.net", now: int = NOW, most: int = 100) -> list[Claimed]:
    with store.transaction():
        return store.claim("remote", destination, now, most, 100)


def settle(store: Store, *outcomes: Defer | Finish, now: int = NOW) -> list[int]:
    defers = [outcome for outcome in outcomes if isinstance(outcome, Defer)]
    finishes = [outcome for outcome in outcomes if isinstance(outcome, Finish)]
    with store.transaction():
        return store.settle(defers, finishes, now)


def due(store: Store, now: int = NOW, most: int = 100) -> list[str]:
    with store.transaction():
        return [found.destination for found in store.due_destinations(now, most, CHANNELS, frozenset())]


def rows(groups: list[Claimed]) -> list[tuple[int, int]]:
    return [(group.message, recipient.number) for group in groups for recipient in group.recipients]


def write_content(store: Store, name: str, content: bytes) -> Path:
    path = Path(store.content_folder, name)
    path.write_bytes(content)
    return path


# --- accept and claim --------------------------------------------------------------------------------------


def test_what_was_accepted_is_claimed_whole(store: Store) -> None:
    accept(store, new(7, to("a@example.net"), to("b@example.net"), content=b"\0body\xff"))
    (group,) = claim(store)
    assert group.message == 7
    assert (group.sender, group.trace, group.content) == (
        b"sender@example.org",
        b"Received: by test\n",
        b"\0body\xff",
    )
    assert (group.size, group.birth, group.smtputf8, group.file) == (6, NOW, False, "")
    assert (group.channel, group.destination) == ("remote", "example.net")
    assert [(to.number, to.address, to.attempts) for to in group.recipients] == [
        (0, b"a@example.net", 0),
        (1, b"b@example.net", 0),
    ]


def test_terms_are_kept_with_their_message_and_recipient(store: Store) -> None:
    asked = MessageTerms("HDRS", b"id+2B", True, "for;60", NOW + 60, NOW + 90, "R", True, -3)
    never = RecipientTerms("NEVER", b"rfc822;a@example.net")
    plain, termed = to("b@example.net"), msgspec.structs.replace(to("a@example.net"), terms=never)
    accept(store, msgspec.structs.replace(new(1, plain, termed), terms=asked), new(2))
    with store.transaction():
        view, plain_view = store.get(1, 10), store.get(2, 10)
    assert view is not None and plain_view is not None
    assert (view.terms, [one.terms for one in view.recipients]) == (asked, [None, never])
    assert (plain_view.terms, plain_view.recipients[0].terms) == (None, None)
    first, second = claim(store)
    assert (first.terms, second.terms) == (asked, None)
    assert [recipient.terms for recipient in first.recipients] == [None, never]


def test_terms_change_with_a_deferral_that_says_so(store: Store) -> None:
    termed = msgspec.structs.replace(to("a@example.net"), terms=RecipientTerms("DELAY"))
    accept(store, new(1, termed, to("b@example.net")))
    claim(store)
    told = RecipientTerms("DELAY", delay_told=True)
    settle(store, Defer(1, 0, NOW, "no", terms=told), Defer(1, 1, NOW, "no"))
    (again,) = claim(store)
    assert [recipient.terms for recipient in again.recipients] == [told, None]
    settle(store, Defer(1, 0, NOW, "no"), Defer(1, 1, NOW, "no"))
    (again,) = claim(store)
    assert [recipient.terms for recipient in again.recipients] == [told, None]


def test_a_message_may_be_due_at_another_time_than_its_birth(store: Store) -> None:
    held, urgent = new(1, birth=NOW), new(3, birth=NOW)
    accept(store, msgspec.structs.replace(held, due=LATER), new(2), msgspec.structs.replace(urgent, due=NOW - 600))
    assert rows(claim(store)) == [(3, 0), (2, 0)]
    with store.transaction():
        assert store.next_due(NOW) == LATER
    assert claim(store, now=LATER - 1) == []
    assert rows(claim(store, now=LATER)) == [(1, 0)]


def test_a_claimed_recipient_is_not_claimed_again(store: Store) -> None:
    accept(store, new(1))
    assert rows(claim(store)) == [(1, 0)]
    assert claim(store, now=LATER) == []
    assert due(store, LATER) == []


def test_a_recipient_born_under_way_is_not_offered(store: Store) -> None:
    accept(store, new(1, to("a@example.net", claimed=True), to("b@example.net")))
    assert rows(claim(store)) == [(1, 1)]


def test_a_claim_takes_oldest_due_first_and_no_more_groups_than_asked(store: Store) -> None:
    accept(store, new(3, birth=NOW - 1), new(1, birth=NOW), new(2, birth=NOW - 2))
    assert rows(claim(store, most=2)) == [(2, 0), (3, 0)]
    assert rows(claim(store, most=2)) == [(1, 0)]


def test_nothing_is_claimed_before_it_is_due(store: Store) -> None:
    accept(store, new(1, birth=NOW + 10))
    assert claim(store, now=NOW + 9) == []
    assert rows(claim(store, now=NOW + 10)) == [(1, 0)]


def test_a_group_has_at_most_per_message_recipients(store: Store) -> None:
    accept(store, new(1, *(to(f"{at}@example.net") for at in range(5))), new(2))
    with store.transaction():
        groups = store.claim("remote", "example.net", NOW, 100, 2)
    assert [(group.message, len(group.recipients)) for group in groups] == [(1, 2), (1, 2), (1, 1), (2, 1)]
    assert sorted(rows(groups)) == [(1, at) for at in range(5)] + [(2, 0)]


def test_what_is_beyond_the_last_group_stays(store: Store) -> None:
    accept(store, new(1, *(to(f"{at}@example.net") for at in range(5))), new(2))
    with store.transaction():
        first = store.claim("remote", "example.net", NOW, 2, 2)
        second = store.claim("remote", "example.net", NOW, 2, 2)
        third = store.claim("remote", "example.net", NOW, 2, 2)
    assert [rows(groups) for groups in (first, second, third)] == [
        [(1, 0), (1, 1), (1, 2), (1, 3)],
        [(1, 4), (2, 0)],
        [],
    ]


def test_recipients_of_one_message_due_at_other_times_share_a_group(store: Store) -> None:
    accept(store, new(1, to("a@example.net"), to("b@example.net")), new(2, birth=NOW + 1))
    claim(store)
    settle(store, Defer(1, 0, NOW, "no"), Defer(1, 1, NOW + 2, "no"))
    with store.transaction():
        groups = store.claim("remote", "example.net", NOW + 2, 2, 2)
    assert [rows([group]) for group in groups] == [[(1, 0), (1, 1)], [(2, 0)]]


def test_the_channel_is_part_of_the_destination(store: Store) -> None:
    accept(store, new(1, to("a@example.net", channel="local"), to("b@example.net")))
    assert rows(claim(store)) == [(1, 1)]
    with store.transaction():
        assert rows(store.claim("local", "example.net", NOW, 10, 10)) == [(1, 0)]


def test_nobody_is_claimed_at_a_destination_never_seen(store: Store) -> None:
    assert claim(store, "nowhere.example") == []


def test_a_message_needs_a_recipient(store: Store) -> None:
    empty = NewMessage(1, b"", b"", b"x", 1, NOW, "smtp", False, ())
    with pytest.raises(ValueError, match="no recipient"):
        accept(store, empty)
    with store.transaction():
        assert store.totals(NOW).messages == 0


# --- destinations ------------------------------------------------------------------------------------------


def test_due_destinations_come_longest_due_first(store: Store) -> None:
    accept(
        store,
        new(1, to("a@late.example"), birth=NOW),
        new(2, to("a@early.example"), birth=NOW - 5),
        new(3, to("a@future.example"), birth=NOW + 5),
        new(4, to("a@skipped.example"), birth=NOW - 9),
    )
    with store.transaction():
        skip = frozenset({("remote", "skipped.example")})
        assert store.due_destinations(NOW, 10, CHANNELS, skip) == [
            DestinationDue("remote", "early.example", NOW - 5),
            DestinationDue("remote", "late.example", NOW),
        ]
        assert store.due_destinations(NOW, 1, CHANNELS, skip) == [DestinationDue("remote", "early.example", NOW - 5)]
        assert store.next_due(NOW) == NOW + 5
        assert store.next_due(NOW + 5) is None


def test_a_destination_is_due_when_its_first_recipient_is(store: Store) -> None:
    accept(store, new(1), new(2, birth=NOW + 7), new(3, birth=NOW + 3))
    claim(store)
    assert due(store, NOW + 2) == []
    with store.transaction():
        assert store.next_due(NOW) == NOW + 3
        assert store.due_destinations(NOW + 9, 9, CHANNELS, frozenset()) == [
            DestinationDue("remote", "example.net", NOW + 3)
        ]


@pytest.mark.parametrize("act", ["hold", "remove"])
def test_a_destination_whose_waiting_went_otherwise_is_not_due(store: Store, act: str) -> None:
    accept(store, new(1, birth=NOW - 9), new(2, birth=NOW + 9), new(3, to("a@other.example")))
    with store.transaction():
        assert store.hold(1, NOW, "held") if act == "hold" else store.remove(1)
        assert store.remove(3)
    assert due(store) == []
    with store.transaction():
        assert store.next_due(NOW - 20) == NOW + 9
    assert due(store, NOW + 9) == ["example.net"]


def test_who_joins_those_left_behind_is_due_in_time(store: Store) -> None:
    accept(store, new(1), new(2, birth=NOW + 100))
    with store.transaction():
        assert store.remove(1)
    assert due(store) == []  # so it is known by now that nobody waits there before NOW + 100
    accept(store, new(3, birth=NOW + 50))
    assert due(store, NOW + 49) == []
    assert due(store, NOW + 50) == ["example.net"]


# --- settle ------------------------------------------------------------------------------------------------


def test_the_message_goes_with_its_last_recipient(store: Store) -> None:
    accept(store, new(1, to("a@example.net"), to("b@example.net")))
    claim(store)
    assert settle(store, Finish(1, 1)) == []
    assert settle(store, Finish(1, 0)) == [1]
    with store.transaction():
        assert store.get(1, 10) is None
        assert store.content(1, 10) is None
        assert store.totals(NOW).content_bytes == 0


def test_one_call_finishes_what_is_plain_and_what_is_not(store: Store) -> None:
    accept(store, new(1, to("a@example.net", claimed=True)), new(2, to("b@example.net", claimed=True)))
    accept(store, new(3, to("a@example.net", claimed=True), to("b@example.net", claimed=True)))
    settle(store, Defer(2, 0, NOW, "later"))
    claim(store)
    assert sorted(settle(store, Finish(1, 0), Finish(2, 0), Finish(3, 0), Finish(3, 1))) == [1, 2, 3]


def test_a_deferred_recipient_is_due_again_then(store: Store) -> None:
    accept(store, new(1))
    claim(store)
    assert settle(store, Defer(1, 0, LATER, "connection refused")) == []
    assert claim(store, now=LATER - 1) == []
    (group,) = claim(store, now=LATER)
    assert group.recipients[0].attempts == 1


def test_a_deferral_without_an_attempt_does_not_count(store: Store) -> None:
    accept(store, new(1))
    claim(store)
    settle(store, Defer(1, 0, NOW, "no agent", counts=False))
    (group,) = claim(store)
    assert group.recipients[0].attempts == 0


def test_what_is_not_under_way_cannot_be_settled(store: Store) -> None:
    accept(store, new(1))
    assert settle(store, Finish(1, 0), Defer(1, 0, LATER, "no"), Finish(1, 9), Finish(9, 0)) == []
    assert rows(claim(store)) == [(1, 0)]
    assert settle(store, Finish(1, 0), Finish(1, 0)) == [1]


def test_a_recipient_is_deferred_once_in_a_call(store: Store) -> None:
    accept(store, new(1))
    claim(store)
    settle(store, Defer(1, 0, NOW, "first"), Defer(1, 0, NOW, "second"))
    (group,) = claim(store)
    assert group.recipients[0].attempts == 1


def test_what_was_removed_under_way_is_passed_over(store: Store) -> None:
    accept(store, new(1, to("a@example.net", claimed=True)), new(2, to("b@example.net", claimed=True)))
    with store.transaction():
        assert store.remove(1)
        assert store.remove(2)
        assert not store.remove(2)
    assert settle(store, Finish(1, 0), Defer(2, 0, LATER, "late")) == []
    with store.transaction():
        totals = store.totals(NOW)
    assert (totals.messages, totals.recipients, totals.under_way, totals.content_bytes) == (0, 0, 0, 0)


# --- content -----------------------------------------------------------------------------------------------


def test_shared_content_outlives_who_brought_it(store: Store) -> None:
    accept(store, new(1, to("a@example.net", claimed=True), content=b"shared"))
    with store.transaction():
        store.accept([new(2, shares=1, size=6), new(3, to("c@else.example"), shares=2, size=6)])
        assert store.settle([], [Finish(1, 0)]) == [1]
        assert store.totals(NOW).content_bytes == 6
    assert [group.content for group in claim(store)] == [b"shared"]
    assert settle(store, Finish(2, 0)) == [2]
    assert [group.content for group in claim(store, "else.example")] == [b"shared"]
    assert settle(store, Finish(3, 0)) == [3]
    with store.transaction():
        assert store.totals(NOW).content_bytes == 0


def test_messages_accepted_together_share(store: Store) -> None:
    accept(store, new(1, content=b"both"), new(2, to("a@else.example"), shares=1, size=4))
    assert [group.content for group in claim(store) + claim(store, "else.example")] == [b"both", b"both"]


def test_what_is_gone_cannot_be_shared(store: Store) -> None:
    accept(store, new(1, to("a@example.net", claimed=True)))
    with pytest.raises(ContentGone), store.transaction():
        store.settle([], [Finish(1, 0)])
        store.accept([new(2, shares=1)])
    assert settle(store, Finish(1, 0)) == [1]


def test_a_file_lives_until_nobody_needs_it(store: Store) -> None:
    path = write_content(store, "large", b"large content")
    accept(store, new(1, to("a@example.net", claimed=True), content=b"large content", file="large"))
    accept(store, new(2, to("b@example.net", claimed=True), shares=1, size=13))
    settle(store, Finish(1, 0))
    assert path.exists()
    with store.transaction():
        assert store.content(2, 5) == (b"Received: by test\n", b"large", 13)
    settle(store, Defer(2, 0, NOW, "later"))
    (group,) = claim(store)
    assert (group.content, group.file, group.size) == (b"", "large", 13)
    with store.transaction():
        store.settle([], [Finish(2, 0)])
        assert path.exists(), "not before the commit"
    assert not path.exists()


def test_a_file_stays_where_the_transaction_fails(store: Store) -> None:
    path = write_content(store, "large", b"large")
    accept(store, new(1, content=b"large", file="large"))
    with pytest.raises(ZeroDivisionError), store.transaction():
        store.remove(1)
        raise ZeroDivisionError
    accept(store, new(2))
    assert path.exists()
    with store.transaction():
        store.remove(1)
    assert not path.exists()


def test_opening_removes_files_that_nobody_names(engine: Engine, store: Store, tmp_path: Path) -> None:
    kept, orphan = write_content(store, "kept", b"kept"), write_content(store, "orphan", b"orphan")
    accept(store, new(1, content=b"kept", file="kept"))
    store.close()
    store = engine.make(str(tmp_path))
    store.open(NOW)
    assert kept.exists()
    assert not orphan.exists()
    store.close()


# --- transactions, opening, closing ------------------------------------------------------------------------


def test_an_exception_undoes_all_of_the_transaction(store: Store) -> None:
    accept(store, new(1, to("a@example.net", claimed=True)))
    with pytest.raises(ZeroDivisionError), store.transaction():
        store.accept([new(2), new(3, to("c@new.example"), birth=NOW - 7)])
        store.settle([], [Finish(1, 0)])
        store.claim("remote", "example.net", NOW, 1, 1)
        raise ZeroDivisionError
    assert due(store) == []
    accept(store, new(3, to("c@new.example")))
    assert due(store) == ["new.example"]
    with store.transaction():
        totals = store.totals(NOW)
        assert store.messages_after(0, 10) == [1, 3]
    assert (totals.messages, totals.recipients, totals.under_way) == (2, 2, 1)
    assert settle(store, Finish(1, 0)) == [1]


def test_opening_voids_claims_and_names_them(engine: Engine, store: Store, tmp_path: Path) -> None:
    accept(store, new(1, to("a@example.net", claimed=True), to("b@example.net")), new(2, to("c@else.example")))
    claim(store, "else.example")
    store.close()
    store = engine.make(str(tmp_path))
    found = store.open(LATER)
    assert [(one.message, one.number, one.address, one.destination) for one in found] == [
        (1, 0, b"a@example.net", "example.net"),
        (2, 0, b"c@else.example", "else.example"),
    ]
    assert store.interrupted == 2
    with store.transaction():
        view = store.get(1, 10)
        totals = store.totals(NOW)
    assert view is not None
    assert [line.at for line in view.history] == [LATER]
    assert view.history[0].text.startswith("interrupted")
    assert (totals.under_way, totals.due) == (0, 3)
    assert rows(claim(store)) == [(1, 0), (1, 1)]
    assert rows(claim(store, "else.example")) == [(2, 0)]
    store.close()
    store = engine.make(str(tmp_path))
    assert len(store.open(LATER)) == store.interrupted == 3
    store.close()


def test_a_voided_claim_of_a_held_message_stays_held(engine: Engine, store: Store, tmp_path: Path) -> None:
    accept(store, new(1, to("a@example.net", claimed=True)))
    with store.transaction():
        store.hold(1, NOW, "held")
    store.close()
    store = engine.make(str(tmp_path))
    assert len(store.open(NOW)) == 1
    assert claim(store, now=LATER) == []
    store.close()


def test_a_second_owner_is_told_what_to_do(engine: Engine, store: Store, tmp_path: Path) -> None:
    with pytest.raises(StoreUnusable, match="in use"):
        engine.make(str(tmp_path)).open(NOW)
    accept(store, new(1))


# --- the operator ------------------------------------------------------------------------------------------


def test_a_held_message_is_not_claimed_until_it_is_released(store: Store) -> None:
    accept(store, new(1, to("a@example.net"), to("b@else.example")), new(2))
    with store.transaction():
        assert store.hold(1, NOW + 1, "held by ann")
        assert store.hold(1, NOW + 2, "held by bob")
        assert not store.hold(9, NOW, "nobody")
    assert due(store) == ["example.net"]
    assert rows(claim(store)) == [(2, 0)]
    with store.transaction():
        assert store.release(1, NOW + 3, "released")
        assert not store.release(9, NOW, "nobody")
    assert sorted(due(store)) == ["else.example", "example.net"]
    assert rows(claim(store)) == [(1, 0)]
    with store.transaction():
        view = store.get(1, 9)
    assert view is not None
    assert [(line.at, line.text) for line in view.history] == [
        (NOW + 1, "held by ann"),
        (NOW + 2, "held by bob"),
        (NOW + 3, "released"),
    ]


def test_what_is_under_way_when_held_may_settle(store: Store) -> None:
    accept(store, new(1, to("a@example.net", claimed=True), to("b@example.net", claimed=True)))
    with store.transaction():
        store.hold(1, NOW, "held")
    assert settle(store, Finish(1, 0), Defer(1, 1, NOW, "later")) == []
    assert claim(store, now=LATER) == []
    with store.transaction():
        store.release(1, NOW, "released")
    assert rows(claim(store)) == [(1, 1)]
    assert settle(store, Finish(1, 1)) == [1]


def test_releasing_leaves_alone_what_is_under_way(store: Store) -> None:
    accept(store, new(1, to("a@example.net", claimed=True), to("b@example.net")))
    with store.transaction():
        store.release(1, NOW, "released")
    assert rows(claim(store)) == [(1, 1)]
    assert settle(store, Finish(1, 0), Finish(1, 1)) == [1]


def test_retry_makes_waiting_recipients_due_now(store: Store) -> None:
    accept(
        store,
        new(1, to("a@example.net"), to("b@else.example"), to("c@else.example", claimed=True), birth=LATER),
    )
    with store.transaction():
        assert store.retry(1, NOW, "retried")
        assert not store.retry(9, NOW, "nobody")
    assert sorted(due(store)) == ["else.example", "example.net"]
    assert rows(claim(store) + claim(store, "else.example")) == [(1, 0), (1, 1)]


def test_retry_does_not_put_back_what_is_due_already(store: Store) -> None:
    accept(store, new(1, birth=NOW - 9), new(2, birth=NOW - 5))
    with store.transaction():
        store.retry(1, NOW, "retried")
    assert rows(claim(store)) == [(1, 0), (2, 0)]


def test_releasing_does_not_put_off_who_waits_there_already(store: Store) -> None:
    accept(store, new(1, birth=LATER), new(2))
    with store.transaction():
        store.hold(1, NOW, "held")
        store.release(1, NOW, "released")
    assert due(store) == ["example.net"]


def test_retry_of_a_held_message_waits_for_its_release(store: Store) -> None:
    accept(store, new(1, birth=LATER))
    with store.transaction():
        store.hold(1, NOW, "held")
        store.retry(1, NOW, "retried")
    assert due(store, LATER) == []
    with store.transaction():
        store.release(1, NOW, "released")
    assert rows(claim(store)) == [(1, 0)]


def test_retry_does_not_send_what_its_sender_holds_until_later(store: Store) -> None:
    terms = MessageTerms(hold="for;3600", hold_until=LATER)
    accept(store, msgspec.structs.replace(new(1), due=LATER, terms=terms))
    with store.transaction():
        assert store.retry(1, NOW, "retried")
    assert due(store) == []
    assert rows(claim(store, now=LATER)) == [(1, 0)]
    settle(store, Defer(1, 0, LATER + 900, "busy"))
    with store.transaction():
        store.retry(1, LATER + 1, "retried")
    assert rows(claim(store, now=LATER + 1)) == [(1, 0)]


def test_looking_at_a_message(store: Store) -> None:
    accept(store, new(1, to("a@example.net"), to("b@else.example"), to("c@third.example"), content=b"12345"))
    claim(store)
    settle(store, Defer(1, 0, LATER, "connection refused"), now=NOW + 5)
    claim(store, "else.example", most=1)
    with store.transaction():
        view = store.get(1, 2)
        assert store.get(9, 2) is None
        assert store.content(1, 3) == (b"Received: by test\n", b"123", 5)
    assert view is not None
    assert (view.message, view.sender, view.birth, view.size) == (1, b"sender@example.org", NOW, 5)
    assert (view.origin, view.held, view.recipient_count) == ("smtp", False, 3)
    first, second = view.recipients
    assert (first.address, first.channel, first.destination) == (b"a@example.net", "remote", "example.net")
    assert (first.state, first.due, first.attempts, first.last) == ("waiting", LATER, 1, "connection refused")
    assert (second.number, second.state, second.attempts, second.last) == (1, "under-way", 0, "")
    assert [(line.at, line.text) for line in view.history] == [(NOW + 5, "connection refused")]
    with store.transaction():
        store.hold(1, NOW, "held")
        view = store.get(1, 9)
    assert view is not None
    assert [to.state for to in view.recipients] == ["held", "under-way", "held"]


def test_history_is_bounded_and_keeps_the_newest(store: Store) -> None:
    accept(store, new(1, *(to(f"{at}@example.net") for at in range(300))))
    claim(store, most=300)
    settle(
        store,
        *(Defer(1, at, NOW, f"no {at}") for at in range(200)),
        *(Defer(1, at, NOW, "same") for at in range(200, 300)),
    )
    with store.transaction():
        for at in range(30):
            store.retry(1, NOW + at, f"retry {at}")
        view = store.get(1, 0)
    assert view is not None
    assert 31 <= len(view.history) <= 100
    assert view.history[-1].text == "retry 29"
    assert view.history[-31].text == "100 recipients: same"
    assert view.history[-32].text == "no 199"


def test_pages_and_filters(store: Store) -> None:
    accept(store, *(new(at, to(f"User{at}@Example.net")) for at in (5, 3, 9)), new(4, to("x@else.example")))
    with store.transaction():
        store.hold(4, NOW, "held")

        def page(after: int = 0, most: int = 10, **filters: bytes | str | bool) -> tuple[list[int], bool]:
            every = {"sender": b"", "recipient": b"", "destination": "", "held_only": False} | filters
            views, more = store.page(after, most, **every)  # type: ignore[arg-type]
            return [view.message for view in views], more

        assert page() == ([3, 4, 5, 9], False)
        assert page(most=2) == ([3, 4], True)
        assert page(after=4, most=2) == ([5, 9], False)
        assert page(recipient=b"uSER9") == ([9], False)
        assert page(destination="ELSE") == ([4], False)
        assert page(destination="else", recipient=b"user") == ([], False)
        assert page(sender=b"SENDER@", most=1) == ([3], True)
        assert page(sender=b"nobody") == ([], False)
        assert page(held_only=True) == ([4], False)
        assert store.messages_after(3, 2) == [4, 5]


def test_totals(store: Store) -> None:
    with store.transaction():
        empty = store.totals(NOW)
    assert (empty.messages, empty.oldest_birth, empty.content_bytes) == (0, 0, 0)
    accept(
        store,
        new(1, to("a@example.net", claimed=True), to("b@example.net"), content=b"12345", birth=NOW - 5),
        new(2, birth=LATER, content=b"1"),
        new(3, to("c@else.example"), content=b"22"),
    )
    with store.transaction():
        store.hold(3, NOW, "held")
        totals = store.totals(NOW)
    assert (totals.messages, totals.recipients, totals.held, totals.under_way) == (3, 4, 1, 1)
    assert (totals.due, totals.deferred, totals.oldest_birth, totals.content_bytes) == (1, 1, NOW - 5, 8)
