"""Where qmail-remote goes: routes and exchangers, with name servers that are a table; and qmail-smtpd's patience."""

import asyncio
import subprocess
import sys
import threading
from collections.abc import Iterator, Mapping
from pathlib import Path

import pytest

from paperpath.dns.answers import Answer, Found, MxRecord, NoData, NoSuchName, TemporaryTrouble
from paperpath.inject.qmail_remote import _look_up
from paperpath.inject.qmail_remote_dns import addresses, exchangers
from paperpath.inject.qmail_remote_hosts import NO_EXCHANGER, OURSELVES, TROUBLE, Nowhere, beyond_us, literal, route
from tests.unit.dns.name_server import NameServer

SOURCE = Path(__file__).resolve().parents[3] / "src"


class Names:
    """Answers from a table; what is not in it does not exist."""

    def __init__(self, table: Mapping[tuple[str, str], Answer]) -> None:
        self._table = table

    async def look_up(self, name: str, kind: str) -> Answer:
        return self._table.get((name, kind), NoSuchName())

    async def addresses(self, name: str) -> Answer:
        raise AssertionError("IPv4 only")


def at(*records: str) -> Found:
    return Found(records, 60)


def mx(**preferences: int) -> Found:
    return Found(tuple(MxRecord(preference, name) for name, preference in preferences.items()), 60)


def found(table: Mapping[tuple[str, str], Answer]) -> list[tuple[int, str]] | bytes:
    try:
        return asyncio.run(exchangers(Names(table), b"d.ex"))
    except Nowhere as nowhere:
        item: bytes = nowhere.args[0]
        return item


def test_exchangers_in_their_order() -> None:
    table = {
        ("d.ex", "MX"): mx(far=20, near=10),
        ("far", "A"): at("192.0.2.3"),
        ("near", "A"): at("192.0.2.1", "192.0.2.2"),
    }
    assert found(table) == [(10, "192.0.2.1"), (10, "192.0.2.2"), (20, "192.0.2.3")]


def test_equals_come_in_any_order() -> None:
    table: dict[tuple[str, str], Answer] = {
        ("d.ex", "MX"): mx(a=10, b=10),
        ("a", "A"): at("1.1.1.1"),
        ("b", "A"): at("2.2.2.2"),
    }
    assert len({str(found(table)) for _ in range(40)}) == 2


@pytest.mark.parametrize(
    ("table", "expected"),
    [
        ({("d.ex", "A"): at("192.0.2.1")}, [(0, "192.0.2.1")]),
        ({("d.ex", "MX"): NoData(), ("d.ex", "A"): at("192.0.2.1")}, [(0, "192.0.2.1")]),
        ({("d.ex", "MX"): TemporaryTrouble("x"), ("d.ex", "A"): at("192.0.2.1")}, TROUBLE),
        ({("d.ex", "A"): TemporaryTrouble("x")}, TROUBLE),
        ({}, b"DSorry, I couldn't find any host named d.ex. (#5.1.2)\n\0"),
        (
            {("d.ex", "MX"): NoData(), ("d.ex", "A"): NoData()},
            b"DSorry, I couldn't find any host named d.ex. (#5.1.2)\n\0",
        ),
        ({("d.ex", "MX"): mx(gone=1)}, NO_EXCHANGER),
        ({("d.ex", "MX"): mx(gone=1, late=2), ("late", "A"): TemporaryTrouble("x")}, TROUBLE),
        (
            {("d.ex", "MX"): mx(a=1, late=2), ("late", "A"): TemporaryTrouble("x"), ("a", "A"): at("1.1.1.1")},
            [(1, "1.1.1.1")],
        ),
    ],
)
def test_what_name_servers_say(table: Mapping[tuple[str, str], Answer], expected: object) -> None:
    assert found(table) == expected


def test_a_relay_has_no_exchangers() -> None:
    names = Names({("r.ex", "MX"): mx(a=1), ("a", "A"): at("1.1.1.1"), ("r.ex", "A"): at("192.0.2.1")})
    assert asyncio.run(addresses(names, b"r.ex")) == [(0, "192.0.2.1")]


def test_case_72_what_is_no_better_than_we_are_falls_away() -> None:
    assert beyond_us([(5, "a"), (10, "we"), (10, "b"), (20, "c")], {"we"}) == ["a"]
    assert beyond_us([(5, "a"), (10, "b")], {"we"}) == ["a", "b"]
    with pytest.raises(Nowhere) as nowhere:
        beyond_us([(10, "we"), (10, "b"), (20, "c")], {"we"})
    assert nowhere.value.args[0] == OURSELVES


@pytest.mark.parametrize(
    ("host", "expected"),
    [
        (b"A.ex", (b"a-relay", 25)),
        (b"x.b.ex", (b"b-relay", 2525)),
        (b"b.ex", (b"all", 0)),
        (b"own.ex", None),
        (b"[192.0.2.1]", (b"all", 0)),
        (b"", (b"all", 0)),
    ],
)
def test_routes(host: bytes, expected: tuple[bytes, int] | None) -> None:
    assert route({b"a.ex": b"a-relay", b".b.ex": b"b-relay:2525x", b"own.ex": b"", b"": b"all:"}, host) == expected


def test_no_route_at_all() -> None:
    assert route({}, b"x.ex") is None


@pytest.mark.parametrize(
    ("host", "expected"),
    [(b"1.2.3.4", "1.2.3.4"), (b"[1.2.3.4]", "1.2.3.4"), (b"1.2.3", None), (b"[1.2.3.4", None), (b"1.2.3.4.ex", None)],
)
def test_literals(host: bytes, expected: str | None) -> None:
    assert literal(host) == expected


@pytest.fixture
def name_server(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """A name server in a thread of its own, which this host's resolv.conf seems to name."""
    zone = {("d.test", "MX"): ["10 mx.d.test."], ("mx.d.test", "A"): ["192.0.2.1"], ("r.test", "A"): ["192.0.2.2"]}
    loop, started, stopped = asyncio.new_event_loop(), threading.Event(), asyncio.Event()

    async def serve() -> None:
        async with NameServer(zone) as server:
            monkeypatch.setattr("paperpath.dns.resolver.system_servers", lambda: (("127.0.0.1", server.port),))
            started.set()
            await stopped.wait()

    thread = threading.Thread(target=lambda: loop.run_until_complete(serve()))
    thread.start()
    started.wait()
    yield
    loop.call_soon_threadsafe(stopped.set)
    thread.join()
    loop.close()


@pytest.mark.usefixtures("name_server")
def test_this_hosts_name_servers_are_asked() -> None:
    assert _look_up(b"d.test", is_relay=False) == [(10, "192.0.2.1")]
    assert _look_up(b"r.test", is_relay=True) == [(0, "192.0.2.2")]
    for name in (b"none.test", b""):
        with pytest.raises(Nowhere) as nowhere:
            _look_up(name, is_relay=False)
        assert nowhere.value.args[0] == b"DSorry, I couldn't find any host named " + name + b". (#5.1.2)\n\0"


def test_qmail_smtpd_waits_no_longer_than_it_is_told(tmp_path: Path) -> None:
    (tmp_path / "control").mkdir()
    (tmp_path / "control/me").write_text("me.ex\n")
    (tmp_path / "control/timeoutsmtpd").write_text("0\n")
    code = (
        f"import sys; sys.path.insert(0, {str(SOURCE)!r})\n"
        "from paperpath.inject.run import run; from paperpath.inject.qmail_smtpd import main; run(main, 99)"
    )
    with subprocess.Popen(
        [sys.executable, "-I", "-S", "-c", code],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        env={"PAPERPATH_QMAIL_HOME": str(tmp_path), "PAPERPATH_CONFIG": str(tmp_path / "none.toml")},
    ) as server:
        assert server.stdout is not None
        assert server.stdout.read() == b"220 me.ex ESMTP\r\n451 timeout (#4.4.2)\r\n"
        assert server.wait() == 1
