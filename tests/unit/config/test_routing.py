"""Where recipients go: the cases of qmail (reference 27, 1 to 9) and what follows from its algorithm (3.3, 3.4)."""

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from paperpath.base.address import split
from paperpath.base.domains import suffixes
from paperpath.config.routing import RoutingTable, is_open, is_relayed, next_hop, route


def table(
    *,
    local: tuple[bytes, ...] = (b"h.ex",),
    mailboxes: tuple[bytes, ...] = (),
    virtual: dict[bytes, bytes] | None = None,
    relay: tuple[bytes, ...] = (),
    routes: dict[bytes, str] | None = None,
    postmaster: bytes = b"",
) -> RoutingTable:
    return RoutingTable(
        hostname=b"h.ex",
        local=frozenset(local),
        mailboxes=frozenset(mailboxes),
        virtual=virtual or {},
        relay=frozenset(relay),
        routes=routes or {},
        postmaster=postmaster,
    )


_SUFFIX = table(virtual={b".v.ex": b"u"})
_USER = table(virtual={b"joe@v.ex": b"jim", b"v.ex": b"bob"})
_CATCHALL = table(virtual={b"": b"alias-ppp", b"far.ex": b"", b".far.ex": b"sub"})


@pytest.mark.parametrize(
    ("settings", "recipient", "channel", "address"),
    [
        pytest.param(table(), b"joe", "local", b"joe@h.ex", id="1 no domain"),
        pytest.param(table(), b"Joe@H.EX", "local", b"Joe@H.EX", id="2 case"),
        pytest.param(table(), b"a@b@h.ex", "local", b"a@b@h.ex", id="3 last at"),
        pytest.param(table(local=(b".h.ex",)), b"x@sub.h.ex", "remote", b"x@sub.h.ex", id="4 no wildcard in local"),
        pytest.param(_SUFFIX, b"x@v.ex", "remote", b"x@v.ex", id="5 suffix is not the domain"),
        pytest.param(_SUFFIX, b"x@a.b.v.ex", "local", b"u-x@a.b.v.ex", id="6 suffix"),
        pytest.param(_USER, b"joe@v.ex", "local", b"jim-joe@v.ex", id="7 virtual user"),
        pytest.param(_USER, b"JOE@V.EX", "local", b"jim-JOE@V.EX", id="7 virtual user, case"),
        pytest.param(_USER, b"ann@v.ex", "local", b"bob-ann@v.ex", id="7 others"),
        pytest.param(table(virtual={b"h.ex": b"bob"}), b"x@h.ex", "local", b"x@h.ex", id="8 local wins"),
        pytest.param(
            table(virtual={b"x@h.ex": b"bob"}), b"x@h.ex", "local", b"x@h.ex", id="8 local wins over a virtual user"
        ),
        pytest.param(_CATCHALL, b"a@far.ex", "remote", b"a@far.ex", id="9 exception"),
        pytest.param(_CATCHALL, b"a@b.far.ex", "local", b"sub-a@b.far.ex", id="9 below the exception"),
        pytest.param(_CATCHALL, b"a@other.ex", "local", b"alias-ppp-a@other.ex", id="9 everything else"),
        pytest.param(table(), b"u%far.ex@h.ex", "local", b"u%far.ex@h.ex", id="11 no percent hack"),
        pytest.param(table(), b"@h.ex", "local", b"@h.ex", id="empty local part"),
        pytest.param(table(), b"joe@", "remote", b"joe@", id="empty domain"),
    ],
)
def test_qmail_cases(settings: RoutingTable, recipient: bytes, channel: str, address: bytes) -> None:
    found = route(settings, recipient)
    assert (found.channel, found.address) == (channel, address)


def test_longest_suffix_decides() -> None:
    settings = table(virtual={b".ex": b"wide", b".v.ex": b"near", b".a.v.ex": b"nearest"})
    assert [route(settings, b"x@" + domain).address for domain in (b"a.v.ex", b"b.a.v.ex", b"b.v.ex", b"c.ex")] == [
        b"near-x@a.v.ex",
        b"nearest-x@b.a.v.ex",
        b"near-x@b.v.ex",
        b"wide-x@c.ex",
    ]


@pytest.mark.parametrize(
    ("recipient", "destination", "rule"),
    [
        (b"Joe-Lists@h.ex", "joe", "local"),
        (b"Ann@Box.EX", "ann@box.ex", "mailboxes"),
        (b"x@v.ex", "bob", "virtual v.ex"),
        (b"x@b.w.ex", "alias", "virtual .w.ex"),
        (b"x@Far.EX", "far.ex", "none"),
        (b"x@\xff.ex", "\\xff.ex", "none"),
    ],
)
def test_destination_and_rule(recipient: bytes, destination: str, rule: str) -> None:
    settings = table(mailboxes=(b"box.ex",), virtual={b"v.ex": b"bob", b".w.ex": b"alias-w"})
    found = route(settings, recipient)
    assert (found.destination, found.rule) == (destination, rule)


@pytest.mark.parametrize(
    ("recipient", "relayed"),
    [
        (b"x@relay.ex", True),
        (b"x@RELAY.ex", True),
        (b"x@a.relay.ex", False),
        (b"x@a.sub.ex", True),
        (b"x@a.b.SUB.ex", True),
        (b"x@sub.ex", False),
        (b"x@except.ex", False),
        (b"x@far.ex", False),
        (b"x@relay.ex@far.ex", False),
    ],
)
def test_domains_that_anybody_may_send_through_us_to(recipient: bytes, relayed: bool) -> None:
    settings = table(virtual={b"except.ex": b""}, relay=(b"relay.ex", b".sub.ex"))
    assert is_relayed(settings, route(settings, recipient)) is relayed


@pytest.mark.parametrize(
    ("recipient", "address", "rule"),
    [
        (b"postmaster", b"root@h.ex", "postmaster"),
        (b"Postmaster@H.EX", b"root@h.ex", "postmaster"),
        (b"postmaster@box.ex", b"root@h.ex", "postmaster"),
        (b"postmaster@v.ex", b"bob-postmaster@v.ex", "virtual v.ex"),
        (b"postmaster@far.ex", b"postmaster@far.ex", "none"),
        (b"postmaster-x@h.ex", b"postmaster-x@h.ex", "local"),
    ],
)
def test_postmaster_of_every_domain_here(recipient: bytes, address: bytes, rule: str) -> None:
    settings = table(mailboxes=(b"box.ex",), virtual={b"v.ex": b"bob"}, postmaster=b"root@h.ex")
    found = route(settings, recipient)
    assert (found.address, found.rule) == (address, rule)


def test_without_a_postmaster_setting_it_is_a_mailbox_like_others() -> None:
    assert route(table(), b"postmaster@h.ex").address == b"postmaster@h.ex"


def test_suffixes() -> None:
    assert list(suffixes(b"a.b.c")) == [b"a.b.c", b".b.c", b".c"]
    assert list(suffixes(b"c")) == [b"c"]
    assert list(suffixes(b"")) == [b""]


@pytest.mark.parametrize(
    ("domain", "hop"),
    [
        ("far.ex", "smtp://one"),
        ("a.far.ex", "smtp://two"),
        ("mx.ex", ""),
        ("a.mx.ex", "smtp://all"),
        ("other.ex", "smtp://all"),
        ("[192.0.2.1]", "smtp://all"),
    ],
)
def test_next_hop(domain: str, hop: str) -> None:
    routes = {b"far.ex": "smtp://one", b".far.ex": "smtp://two", b"mx.ex": "", b"": "smtp://all"}
    assert next_hop(table(routes=routes), domain) == hop
    assert next_hop(table(), domain) == ""


_LABELS = st.lists(st.sampled_from(["a", "b", "v"]), min_size=1, max_size=4).map(
    lambda labels: ".".join(labels).encode()
)
_KEYS = _LABELS | _LABELS.map(lambda domain: b"." + domain) | _LABELS.map(lambda domain: b"x@" + domain) | st.just(b"")


@given(st.dictionaries(_KEYS, st.sampled_from([b"", b"u", b"w-x"])), st.frozensets(_LABELS), _LABELS)
def test_agrees_with_the_algorithm_as_written_down(
    virtual: dict[bytes, bytes], local: frozenset[bytes], domain: bytes
) -> None:
    """Reference 3.3, steps 4 to 6, spelled out with a list of keys."""
    labels = domain.split(b".")
    keys = [b"x@" + domain, domain, *(b"." + b".".join(labels[i:]) for i in range(1, len(labels))), b""]
    value = next((virtual[key] for key in keys if key in virtual), b"")
    if domain in local:
        wanted = ("local", b"x@" + domain)
    elif value:
        wanted = ("local", value + b"-x@" + domain)
    else:
        wanted = ("remote", b"x@" + domain)
    found = route(table(local=tuple(local), virtual=virtual), b"x@" + domain)
    assert (found.channel, found.address) == wanted


@given(st.binary(min_size=1, max_size=60))
def test_routing_takes_anything_and_keeps_the_address(recipient: bytes) -> None:
    settings = table(virtual={b".ex": b"u"}, mailboxes=(b"box.ex",))
    found = route(settings, recipient)
    assert found.address.endswith(recipient if b"@" in recipient else recipient + b"@h.ex")
    assert found.channel in ("local", "remote") and not is_relayed(settings, found)
    assert split(found.address)[1] == split(recipient)[1] or b"@" not in recipient


@pytest.mark.parametrize(
    ("recipient", "ours", "listed"),
    [
        (b"x@h.ex", True, True),
        (b"x@in.ex", True, False),
        (b"x@a.out.ex", True, True),
        (b"x@far.ex", False, False),
        (b"joe", True, True),
        (b"x%far.ex@h.ex", False, False),
        (b"x%a.out.ex@h.ex", True, True),
    ],
)
def test_who_may_send_where(recipient: bytes, ours: bool, listed: bool) -> None:
    plain = msgspec.structs.replace(
        table(local=(b"h.ex", b"in.ex"), relay=(b"h.ex", b".out.ex")), percent_hack=frozenset({b"h.ex"})
    )
    strict = msgspec.structs.replace(plain, only_listed=True)
    assert is_open(plain, recipient, route(plain, recipient)) is ours
    assert is_open(strict, recipient, route(strict, recipient)) is listed


def test_an_address_of_ours_has_a_name() -> None:
    named = msgspec.structs.replace(table(), literals=frozenset({b"[192.0.2.1]"}), literal_domain=b"h.ex")
    assert route(named, b"a@b@[192.0.2.1]").address == b"a@b@h.ex"
    assert route(named, b"a@[192.0.2.2]").channel == "remote"
    assert route(table(), b"a@[192.0.2.1]").channel == "remote"
