"""What the address of a client tells."""

import pytest

from paperpath.receive.service import Client
from tests.unit.receive.scene import Scene


@pytest.mark.parametrize(
    ("peer", "expected"),
    [
        ("127.0.0.1", Client(relay=True, network="")),
        ("::ffff:127.9.9.9", Client(relay=True, network="")),
        ("::1", Client(relay=True, network="")),
        ("::2", Client(False, "::/64", "::/48")),
        ("192.0.2.1", Client(False, "192.0.2.1", "192.0.2.0/24")),
        ("::ffff:192.0.2.1", Client(False, "192.0.2.1", "192.0.2.0/24")),
        ("2001:db8:1:2:3::4", Client(False, "2001:db8:1:2::/64", "2001:db8:1::/48")),
        ("2001:db8:1:2:ffff::", Client(False, "2001:db8:1:2::/64", "2001:db8:1::/48")),
        ("fe80::1%eth0", Client(False, "fe80::/64", "fe80::/48")),
        ("local", Client(relay=False, network="")),
    ],
)
async def test_client(peer: str, expected: Client) -> None:
    assert Scene().service.client(peer) == expected
