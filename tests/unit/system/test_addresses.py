"""Which addresses are this machine's."""

from pathlib import Path

import pytest

from paperpath.system import addresses
from paperpath.system.addresses import is_own_address, own_ipv4_addresses


def test_the_loopback_is_ours_and_an_example_is_not() -> None:
    assert "127.0.0.1" in own_ipv4_addresses()
    assert "192.0.2.1" not in own_ipv4_addresses()
    assert all(is_own_address(address) for address in own_ipv4_addresses())


def test_a_kernel_that_does_not_tell(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr(addresses, "_ROUTES", tmp_path / "none")
    assert own_ipv4_addresses() == frozenset()
