"""Who is banned, for how long, and what is remembered: with a given clock."""

import ipaddress

import pytest
from hypothesis import given
from hypothesis import strategies as st

from paperpath.guard.book import GUARD, POINTS, WIDE_AFTER, Book, Rules, Trusted
from paperpath.wire.guard import BanView, Offence

RULES = Rules(
    points=20, window_s=3600, first_s=600, most_s=7 * 86400, trusted=(ipaddress.ip_network("198.51.100.0/24"),)
)
START = 1_000_000
BAD = "192.0.2.1"


def guess(book: Book, address: str, count: int, now: int = START) -> list[BanView]:
    return [ban for _ in range(count) for ban in book.offend(address, Offence.LOGIN_FAILED, "joe", now)]


def test_ban_at_so_many_points_and_not_before() -> None:
    book = Book(RULES)
    assert guess(book, BAD, 19) == []
    (ban,) = guess(book, BAD, 1)
    assert (ban.network, ban.since, ban.until, ban.by, ban.times) == (BAD, START, START + 600, GUARD, 1)
    assert ban.reason == "failed logins"
    assert len(ban.evidence) == 10
    assert {(one.offence, one.detail) for one in ban.evidence} == {("login-failed", "joe")}
    assert guess(book, BAD, 50) == [], "banned already"


@pytest.mark.parametrize("offence", Offence)
def test_every_offence_counts(offence: Offence) -> None:
    book = Book(RULES)
    needed = RULES.points // POINTS[offence]
    bans = [book.offend(BAD, offence, "x", START) for _ in range(needed)]
    assert [len(ban) for ban in bans] == [0] * (needed - 1) + [1]


def test_as_many_as_ban_do_so_within_more_than_a_second_too() -> None:
    book = Book(RULES)
    assert [ban for second in range(19) for ban in guess(book, BAD, 1, START + second)] == []
    assert len(guess(book, BAD, 1, START + 19)) == 1


def test_points_fade_evenly() -> None:
    book = Book(RULES)
    guess(book, BAD, 10)
    assert guess(book, BAD, 14, START + 1800 - 180) == []  # nine of ten have faded: 1 + 14
    assert len(guess(book, BAD, 5, START + 1800 - 180)) == 1


def test_slow_guessing_is_never_enough() -> None:
    book = Book(RULES)
    assert [ban for hour in range(100) for ban in guess(book, BAD, 15, START + hour * 3600)] == []


def test_each_ban_is_longer_up_to_the_most() -> None:
    book, now, lengths = Book(RULES), START, []
    for _ in range(8):
        (ban,) = guess(book, BAD, 20, now)
        lengths.append(ban.until - ban.since)
        assert ban.turned_away == 0  # of this ban, not of those before
        book.turned_away(BAD, 3)
        now = ban.until
        assert [one.network for one in book.expire(now)] == [BAD]
    assert lengths == [600, 2400, 9600, 38400, 153600, 604800, 604800, 604800]
    book.expire(now + RULES.most_s)
    (ban,) = guess(book, BAD, 20, now + RULES.most_s)
    assert ban.times == 1, "long enough ago"


def test_trusted_networks_are_never_banned() -> None:
    book = Book(RULES)
    assert guess(book, "198.51.100.7", 100) == []
    assert guess(book, "::ffff:198.51.100.7", 100) == []
    for network in ("198.51.100.7", "198.51.100.0/25", "198.51.0.0/16", "0.0.0.0/0"):
        with pytest.raises(Trusted):
            book.ban(network, 0, "by hand", "root", START)
    assert list(book.bans()) == []


def test_what_becomes_trusted_is_not_banned_any_more() -> None:
    book = Book(RULES)
    guess(book, BAD, 20)
    book.rules = Rules(20, 3600, 600, 86400, (ipaddress.ip_network("192.0.2.0/24"),))
    assert [view.network for view in book.expire(START)] == [BAD]
    assert list(book.bans()) == []


def test_a_network_is_banned_with_several_of_its_addresses() -> None:
    book = Book(RULES)
    bans = [ban for host in range(WIDE_AFTER) for ban in guess(book, f"192.0.2.{host}", 20)]
    assert [ban.network for ban in bans] == [*(f"192.0.2.{host}" for host in range(WIDE_AFTER)), "192.0.2.0/24"]
    assert bans[-1].reason == "4 addresses in it are banned"
    assert guess(book, "192.0.2.200", 100) == [], "covered"
    explained = book.explain("192.0.2.200")
    assert explained is not None and explained.network == "192.0.2.0/24"


def test_a_network_with_a_trusted_part_is_not() -> None:
    rules = Rules(20, 3600, 600, 86400, (ipaddress.ip_network("192.0.2.128/25"),))
    book = Book(rules)
    assert len([ban for host in range(8) for ban in guess(book, f"192.0.2.{host}", 20)]) == 8


def test_ipv6_is_counted_by_its_64_and_banned_by_its_48() -> None:
    book = Book(RULES)
    bans = [ban for number in range(20) for ban in guess(book, f"2001:db8:0:1::{number + 1:x}", 1)]
    assert [ban.network for ban in bans] == ["2001:db8:0:1::/64"]
    for site in range(2, 5):
        bans += guess(book, f"2001:db8:0:{site}::1", 20)
    assert bans[-1].network == "2001:db8::/48"


def test_an_operator_bans_and_lifts() -> None:
    book = Book(RULES)
    view = book.ban("203.0.113.77/24", 0, "spam", "root", START)
    assert (view.network, view.until, view.by, view.reason) == ("203.0.113.0/24", 0, "root", "spam")
    assert book.expire(START + 10**9) == [], "for ever"
    book.turned_away("203.0.113.9", 7)
    explained = book.explain("203.0.113.9")
    assert explained is not None and explained.turned_away == 7
    assert book.lift("203.0.113.9") is None, "only what was banned itself"
    lifted = book.lift("203.0.113.0/24")
    assert lifted is not None and lifted.since == START
    assert book.explain("203.0.113.9") is None


def test_what_counts_against_an_address_is_told_before_it_is_banned() -> None:
    book = Book(RULES)
    guess(book, BAD, 3)
    view = book.explain(BAD)
    assert view is not None and (view.since, len(view.evidence)) == (0, 3)
    book.lift(BAD)
    assert book.explain(BAD) is None
    assert guess(book, BAD, 19) == [], "forgotten"


def test_with_zero_points_nobody_is_banned_but_by_hand() -> None:
    book = Book(Rules(0, 3600, 600, 86400, ()))
    assert guess(book, BAD, 100) == []
    assert book.ban(BAD, 60, "x", "root", START).network == BAD


@pytest.mark.parametrize("address", ["", "local", "192.0.2.0/24", "mx.example.org"])
def test_what_is_no_address(address: str) -> None:
    with pytest.raises(ValueError):
        Book(RULES).offend(address, Offence.EARLY_TALK, "x", START)


def test_the_book_is_bounded(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("paperpath.guard.book._SUSPECTS_MOST", 10)
    monkeypatch.setattr("paperpath.guard.book._BANS_MOST", 5)
    book = Book(RULES)
    book.ban("203.0.113.1", 0, "by hand", "root", START)
    for number in range(50):
        guess(book, f"10.0.{number}.1", 1)
        guess(book, f"10.1.{number}.1", 20)
    assert len(list(book.bans())) == 5
    assert "203.0.113.1" in {ban.network for ban in book.bans()}, "an operator's goes last"
    assert len([n for n in range(50) if book.explain(f"10.0.{n}.1")]) <= 10


ADDRESSES = st.sampled_from([f"192.0.2.{host}" for host in range(6)] + ["2001:db8::1", "2001:db8:0:1::1"])
ACTS = st.lists(
    st.tuples(st.sampled_from(["offend", "ban", "lift", "expire"]), ADDRESSES, st.integers(0, 2000)), max_size=80
)


@given(ACTS)
def test_what_is_kept_is_what_is_restored(acts: list[tuple[str, str, int]]) -> None:
    book, now = Book(RULES), START
    for act, address, amount in acts:
        now += amount
        if act == "offend":
            book.offend(address, Offence.OTHER_PROTOCOL, "GET /", now)
        elif act == "ban":
            book.ban(address, amount, "by hand", "root", now)
        elif act == "lift":
            book.lift(address)
        else:
            book.expire(now)
    again = Book(RULES)
    again.restore(book.kept())
    assert list(again.bans()) == list(book.bans())
    assert sorted(again.kept(), key=repr) == sorted(book.kept(), key=repr)
    for ban in book.bans():
        book.lift(ban.network)
    assert not book._banned_in and not book._lengths, "nothing is left over"


def test_after_a_ban_it_begins_anew() -> None:
    book = Book(RULES)
    (ban,) = guess(book, BAD, 20)
    book.expire(ban.until)
    assert guess(book, BAD, 19, ban.until) == []
    assert len(guess(book, BAD, 1, ban.until)) == 1
