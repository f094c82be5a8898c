"""Where mail for a domain goes."""

from paperpath.dns.answers import Answer, Found, MxRecord, NoData, NoSuchName, TemporaryTrouble
from paperpath.dns.exchangers import (
    ADDRESSES_MOST,
    EXCHANGERS_MOST,
    Hop,
    Hops,
    MailHosts,
    NoAddress,
    OnlyOurselves,
    Ourselves,
    TakesNoMail,
    find_exchangers,
)

TROUBLE = TemporaryTrouble("no answer")


class Zone:
    """A resolver over a table: exchangers of ``d.test``, addresses of names."""

    def __init__(self, exchangers: Answer, **addresses: Answer | str) -> None:
        self.exchangers = exchangers
        self.known = {name.replace("_", "."): value for name, value in addresses.items()}
        self.asked: list[str] = []

    async def look_up(self, name: str, kind: str) -> Answer:
        assert (name, kind) == ("d.test", "MX")
        return self.exchangers

    async def addresses(self, name: str) -> Answer:
        self.asked.append(name)
        value = self.known.get(name, NoSuchName())
        return Found(tuple(value.split()), 60) if isinstance(value, str) else value


def mx(*pairs: tuple[int, str]) -> Found:
    return Found(tuple(MxRecord(*pair) for pair in pairs), 60)


async def find(zone: Zone, own: str = "") -> MailHosts:
    ourselves = Ourselves("me.test", lambda address: address == own)
    return await find_exchangers(zone, "d.test", ourselves, lambda records: records.reverse())


def addresses(found: MailHosts) -> list[str]:
    assert isinstance(found, Hops)
    return [hop.address for hop in found.hops]


async def test_order_of_preference_with_chance_among_equals() -> None:
    zone = Zone(
        mx((20, "c.test"), (10, "a.test"), (10, "b.test")), a_test="1.0.0.1", b_test="2.0.0.2", c_test="3.0.0.3"
    )
    assert await find(zone) == Hops((Hop("b.test", "2.0.0.2"), Hop("a.test", "1.0.0.1"), Hop("c.test", "3.0.0.3")))


async def test_without_exchangers_the_domain_itself() -> None:
    assert await find(Zone(NoData(), d_test="1.0.0.1")) == Hops((Hop("d.test", "1.0.0.1"),))


async def test_without_exchangers_and_address_no_such_domain() -> None:
    assert isinstance(await find(Zone(NoData(), d_test=NoData())), NoSuchName)
    assert isinstance(await find(Zone(NoSuchName(), d_test="1.0.0.1")), NoSuchName)


async def test_trouble_with_the_exchangers_does_not_fall_back_to_the_domain() -> None:
    zone = Zone(TROUBLE, d_test="1.0.0.1")
    assert await find(zone) == TROUBLE and zone.asked == []


async def test_trouble_with_the_address_of_the_domain_itself() -> None:
    assert await find(Zone(NoData(), d_test=TROUBLE)) == TROUBLE


async def test_null_mx() -> None:
    zone = Zone(mx((0, "")), d_test="1.0.0.1")
    assert await find(zone) == TakesNoMail() and zone.asked == []


async def test_a_null_mx_beside_others_is_passed_over() -> None:
    assert addresses(await find(Zone(mx((0, ""), (10, "a.test")), a_test="1.0.0.1"))) == ["1.0.0.1"]


async def test_exchangers_without_address_are_passed_over() -> None:
    zone = Zone(mx((10, "a.test"), (20, "b.test"), (30, "c.test")), a_test=TROUBLE, c_test="3.0.0.3")
    assert addresses(await find(zone)) == ["3.0.0.3"]


async def test_all_in_trouble_is_trouble_and_all_without_address_is_final() -> None:
    names = mx((10, "a.test"), (20, "b.test"))
    assert await find(Zone(names, a_test=TROUBLE, b_test=TROUBLE)) == TROUBLE
    assert await find(Zone(names, a_test=TROUBLE, b_test=NoData())) == TROUBLE
    assert await find(Zone(names, a_test=NoData())) == NoAddress()


async def test_this_host_and_what_is_no_better_is_left_out() -> None:
    names = mx((10, "a.test"), (20, "b.test"), (20, "us.test"), (30, "c.test"))
    zone = Zone(names, a_test="1.0.0.1", b_test="2.0.0.2", us_test="9.9.9.9", c_test="3.0.0.3")
    assert addresses(await find(zone, own="9.9.9.9")) == ["1.0.0.1"]


async def test_this_host_is_known_by_name_too() -> None:
    zone = Zone(mx((10, "a.test"), (20, "ME.test")), a_test="1.0.0.1", me_test=TROUBLE)
    assert addresses(await find(zone)) == ["1.0.0.1"]


async def test_this_host_alone() -> None:
    assert await find(Zone(mx((10, "a.test")), a_test="9.9.9.9"), own="9.9.9.9") == OnlyOurselves()
    assert await find(Zone(NoData(), d_test="9.9.9.9"), own="9.9.9.9") == OnlyOurselves()


async def test_a_better_exchanger_in_trouble_keeps_mail_from_bouncing() -> None:
    zone = Zone(mx((10, "a.test"), (20, "us.test")), a_test=TROUBLE, us_test="9.9.9.9")
    assert await find(zone, own="9.9.9.9") == TROUBLE


async def test_a_hostile_zone_is_bounded() -> None:
    names = mx(*((10, f"{number}.test") for number in range(500)))
    zone = Zone(names)
    zone.known = {f"{number}.test": f"10.0.0.{number % 250} 10.0.1.{number % 250} 10.0.2.1" for number in range(500)}
    found = await find(zone)
    assert len(addresses(found)) == ADDRESSES_MOST and len(zone.asked) == EXCHANGERS_MOST
