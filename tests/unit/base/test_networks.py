"""What an address is counted by, and networks as text."""

import pytest

from paperpath.base.networks import networks_of, parse_address, parse_network, show_network


@pytest.mark.parametrize(
    ("address", "near", "wide"),
    [
        ("192.0.2.77", "192.0.2.77", "192.0.2.0/24"),
        ("::ffff:192.0.2.77", "192.0.2.77", "192.0.2.0/24"),
        ("2001:db8:1:2:3:4:5:6", "2001:db8:1:2::/64", "2001:db8:1::/48"),
        ("fe80::1%eth0", "fe80::/64", "fe80::/48"),
    ],
)
def test_counted_by(address: str, near: str, wide: str) -> None:
    assert networks_of(parse_address(address)) == (near, wide)


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("192.0.2.77", "192.0.2.77"),
        ("192.0.2.77/24", "192.0.2.0/24"),
        ("192.0.2.77/32", "192.0.2.77"),
        ("::ffff:192.0.2.77", "192.0.2.77"),
        ("2001:DB8::1", "2001:db8::1"),
        ("2001:db8::1/64", "2001:db8::/64"),
    ],
)
def test_network_as_text(text: str, shown: str) -> None:
    assert show_network(parse_network(text)) == shown


@pytest.mark.parametrize("text", ["", "mx.example.org", "192.0.2", "192.0.2.0/33", "192.0.2.0/x", "1.2.3.4.5"])
def test_what_is_no_network(text: str) -> None:
    with pytest.raises(ValueError):
        parse_network(text)
