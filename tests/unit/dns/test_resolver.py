"""The resolver against a real little name server."""

import asyncio
from collections.abc import Callable

import dns.message
import pytest

from paperpath.dns import resolver as module
from paperpath.dns.answers import Found, MxRecord, NoData, NoSuchName, TemporaryTrouble
from paperpath.dns.resolver import CACHE_MOST, Resolver, servers_in
from tests.unit.dns.name_server import NameServer

ZONE = {
    ("d.test", "MX"): ["10 mx1.d.test.", "20 mx2.d.test."],
    ("mx1.d.test", "A"): ["192.0.2.1", "192.0.2.2"],
    ("mx1.d.test", "AAAA"): ["2001:db8::1"],
    ("v4.test", "A"): ["192.0.2.4"],
    ("text.test", "TXT"): ['"in two " "pieces"', '"caf\\233"'],
    ("alias.test", "CNAME"): ["mx1.d.test."],
    ("dangling.test", "CNAME"): ["nowhere.test."],
    ("null.test", "MX"): ["0 ."],
    ("big.test", "A"): [f"198.51.100.{number}" for number in range(250)],
}


class Clock:
    def __init__(self) -> None:
        self.now = 1000.0

    def __call__(self) -> float:
        return self.now


def resolver_of(*servers: NameServer, clock: Clock | None = None) -> Resolver:
    return Resolver([("127.0.0.1", server.port) for server in servers], clock or Clock())


async def test_records_are_typed() -> None:
    async with NameServer(ZONE) as server:
        answer = await resolver_of(server).look_up("D.test", "MX")
        assert isinstance(answer, Found) and answer.ttl_s == 300
        assert set(answer.records) == {MxRecord(10, "mx1.d.test"), MxRecord(20, "mx2.d.test")}


async def test_what_dnssec_vouches_for_is_known_from_a_server_on_this_host() -> None:
    async with NameServer(ZONE, secure={"d.test"}) as server:
        answer = await resolver_of(server).look_up("d.test", "MX")
        assert isinstance(answer, Found) and answer.secure
        other = await resolver_of(server).look_up("v4.test", "A")
        assert isinstance(other, Found) and not other.secure


@pytest.mark.parametrize("address", ["192.0.2.53", "2001:db8::53", "name.test", "::ffff:192.0.2.1"])
def test_a_server_across_the_network_is_not_believed(address: str) -> None:
    assert not module._is_loopback(address)
    response = dns.message.from_text("id 1\nflags QR AD\n;QUESTION\na.test. IN A\n;ANSWER\na.test. 60 IN A 192.0.2.1")
    for is_near in (True, False):
        answer = module._read(response, is_near=is_near)
        assert isinstance(answer, Found) and answer.secure is is_near


async def test_addresses_of_both_families_come_together_ipv6_first() -> None:
    async with NameServer(ZONE) as server:
        answer = await resolver_of(server).addresses("mx1.d.test")
        assert isinstance(answer, Found)
        assert answer.records[0] == "2001:db8::1" and set(answer.records[1:]) == {"192.0.2.1", "192.0.2.2"}


async def test_a_null_exchanger_has_an_empty_name() -> None:
    async with NameServer(ZONE) as server:
        answer = await resolver_of(server).look_up("null.test", "MX")
        assert answer == Found((MxRecord(0, ""),), 300)


async def test_no_such_name_and_no_data_are_told_apart() -> None:
    async with NameServer(ZONE) as server:
        resolver = resolver_of(server)
        assert isinstance(await resolver.look_up("nowhere.test", "A"), NoSuchName)
        assert isinstance(await resolver.look_up("v4.test", "MX"), NoData)
        assert isinstance(await resolver.addresses("nowhere.test"), NoSuchName)
        assert isinstance(await resolver.addresses("d.test"), NoData)


async def test_an_alias_is_followed() -> None:
    async with NameServer(ZONE) as server:
        resolver = resolver_of(server)
        assert isinstance(await resolver.look_up("alias.test", "A"), Found)
        assert isinstance(await resolver.look_up("dangling.test", "A"), NoSuchName)


@pytest.mark.parametrize("name", ["a..b", "x" * 64 + ".test", ".".join(["abcdefgh"] * 40)])
async def test_a_name_that_cannot_be_does_not_exist(name: str) -> None:
    async with NameServer(ZONE) as server:
        assert isinstance(await resolver_of(server).look_up(name, "A"), NoSuchName)
        assert server.questions == []


async def test_server_failure_is_temporary_and_not_remembered() -> None:
    async with NameServer(ZONE, failing={"d.test"}) as server:
        resolver = resolver_of(server)
        answer = await resolver.look_up("d.test", "MX")
        assert isinstance(answer, TemporaryTrouble) and "SERVFAIL" in answer.reason and "d.test" in answer.reason
        server.failing.clear()
        assert isinstance(await resolver.look_up("d.test", "MX"), Found)


async def test_the_next_server_is_asked_when_one_fails() -> None:
    async with NameServer(ZONE, failing={"d.test"}) as bad, NameServer(ZONE) as good:
        assert isinstance(await resolver_of(bad, good).look_up("d.test", "MX"), Found)
        assert bad.questions == good.questions == [("d.test", "MX")]


async def test_trouble_of_one_family_does_not_hide_the_other() -> None:
    async with NameServer(ZONE, failing=set()) as server:
        server.mangle = lambda data: None if b"\x00\x1c\x00\x01" in data else data  # silence to AAAA
        resolver = resolver_of(server)
        assert await resolver.look_up("v4.test", "A") == Found(("192.0.2.4",), 300)


async def test_silence_is_temporary(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "TRY_S", (0.01, 0.01))
    async with NameServer(ZONE, mangle=lambda data: None) as server:
        answer = await resolver_of(server).look_up("d.test", "MX")
        assert isinstance(answer, TemporaryTrouble) and "does not answer" in answer.reason
        assert server.questions == [("d.test", "MX")] * 2


async def test_a_port_where_nobody_listens_is_temporary() -> None:
    async with NameServer(ZONE) as server:
        closed = server.port
    answer = await Resolver([("127.0.0.1", closed)], Clock()).look_up("d.test", "MX")
    assert isinstance(answer, TemporaryTrouble)


@pytest.mark.parametrize(
    "forge",
    [
        lambda data: bytes([data[0] ^ 1]) + data[1:],  # another id
        lambda data: data.replace(b"\x01d\x04test", b"\x01e\x04test"),  # another question
        lambda data: data[:2] + bytes([data[2] & 0x7F]) + data[3:],  # no response at all
        lambda data: b"\x00" * 7,
        lambda data: b"",
    ],
)
async def test_what_does_not_answer_the_question_is_ignored(
    monkeypatch: pytest.MonkeyPatch, forge: Callable[[bytes], bytes]
) -> None:
    monkeypatch.setattr(module, "TRY_S", (0.01,))
    async with NameServer(ZONE, mangle=forge) as server:
        assert isinstance(await resolver_of(server).look_up("d.test", "MX"), TemporaryTrouble)


async def test_an_answer_that_does_not_fit_comes_by_tcp() -> None:
    async with NameServer(ZONE, truncate=True) as server:
        answer = await resolver_of(server).look_up("big.test", "A")
        assert isinstance(answer, Found) and len(answer.records) == module.RECORDS_MOST
        assert server.questions == [("big.test", "A")] * 2


async def test_answers_are_remembered_as_long_as_they_are_good() -> None:
    clock = Clock()
    async with NameServer(ZONE) as server:
        resolver = resolver_of(server, clock=clock)
        for name in ("d.test", "D.TEST."):
            assert isinstance(await resolver.look_up(name, "MX"), Found)
        assert len(server.questions) == 1
        clock.now += 300
        await resolver.look_up("d.test", "MX")
        assert len(server.questions) == 2


async def test_what_does_not_exist_is_remembered_for_the_negative_time() -> None:
    clock = Clock()
    async with NameServer(ZONE) as server:
        resolver = resolver_of(server, clock=clock)
        for _ in range(2):
            assert await resolver.look_up("nowhere.test", "MX") == NoSuchName(60)
        assert len(server.questions) == 1
        clock.now += 60
        await resolver.look_up("nowhere.test", "MX")
        assert len(server.questions) == 2


async def test_the_same_question_at_the_same_time_is_asked_once() -> None:
    async with NameServer(ZONE) as server:
        resolver = resolver_of(server)
        answers = await asyncio.gather(*(resolver.look_up("d.test", "MX") for _ in range(20)))
        assert len(set(answers)) == 1 and len(server.questions) == 1


async def test_a_caller_that_gives_up_does_not_spoil_the_others() -> None:
    async with NameServer(ZONE) as server:
        resolver = resolver_of(server)
        first = asyncio.create_task(resolver.look_up("d.test", "MX"))
        second = asyncio.create_task(resolver.look_up("d.test", "MX"))
        await asyncio.sleep(0)
        first.cancel()
        assert isinstance(await second, Found)


async def test_the_memory_is_bounded(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "CACHE_MOST", 3)
    assert CACHE_MOST == 10_000
    async with NameServer(ZONE) as server:
        resolver = resolver_of(server)
        for number in range(4):
            await resolver.look_up(f"{number}.test", "A")
        await resolver.look_up("3.test", "A")
        assert len(server.questions) == 4
        await resolver.look_up("0.test", "A")
        assert len(server.questions) == 5


def test_the_systems_servers() -> None:
    text = "# x\nsearch test\nnameserver 192.0.2.1\nnameserver  2001:db8::1 \noptions rotate\nnameserver\n"
    assert servers_in(text) == (("192.0.2.1", 53), ("2001:db8::1", 53))
    assert servers_in("") == (("127.0.0.1", 53),)
    assert len(servers_in("nameserver 192.0.2.1\n" * 9)) == 3


async def test_texts_are_whole_and_byte_for_byte() -> None:
    async with NameServer(ZONE) as server:
        answer = await resolver_of(server).look_up("text.test", "TXT")
    assert isinstance(answer, Found)
    assert sorted(map(str, answer.records)) == ["caf\xe9", "in two pieces"]
