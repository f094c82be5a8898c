"""As whom a user of this host may send: as nobody, and as whoever's mail comes to that user."""

from collections.abc import Callable
from typing import Any, cast

import msgspec
import pytest

from paperpath.config.routing import RoutingTable
from paperpath.receive import parcel
from paperpath.receive.parcel import allowed_sender
from paperpath.receive.service import Service
from paperpath.telemetry.log import Log
from tests.unit.receive.scene import SETTINGS

JOE, LISTED = 1001, 1002
TABLE = RoutingTable(
    b"mx.test",
    frozenset([b"local.test"]),
    frozenset([b"here.test"]),
    {b"virtual.test": b"joe-v", b"theirs.test": b"sue"},
    frozenset([b"relayed.test"]),
    {},
)


@pytest.fixture
def allowed(monkeypatch: pytest.MonkeyPatch) -> Callable[[int, bytes], tuple[bytes, int]]:
    """What a user who asks for a sender is given, and how many lines that was worth."""
    monkeypatch.setattr(parcel, "_name_of", {JOE: "Joe", LISTED: "listed"}.__getitem__)
    settings = msgspec.structs.replace(SETTINGS, routing=TABLE, trusted_users=frozenset([LISTED]))

    def ask(uid: int, sender: bytes) -> tuple[bytes, int]:
        lines: list[bytes] = []
        log = Log("receive", lines.append, lambda: 0.0)
        service = Service(settings, cast(Any, None), cast(Any, None), log)
        given = allowed_sender(service, uid, sender)
        log.flush()
        return given, len(lines)

    return ask


@pytest.mark.parametrize(
    "sender",
    [
        b"",
        b"joe@mx.test",
        b"JOE@MX.TEST",
        b"joe-list@mx.test",
        b"joe@local.test",
        b"joe-list-@local.test-@[]",
        b"anybody@virtual.test",
    ],
)
def test_users_send_as_whom_they_are(allowed: Callable[[int, bytes], tuple[bytes, int]], sender: bytes) -> None:
    assert allowed(JOE, sender) == (sender, 0)


@pytest.mark.parametrize(
    "sender",
    [
        b"sue@mx.test",
        b"joeline@mx.test",
        b"jo@mx.test",
        b"sue@local.test",
        b"joe@here.test",
        b"joe@relayed.test",
        b"joe@elsewhere.test",
        b"joe@theirs.test",
        b"sue-@mx.test-@[]",
        b"-@[]",
    ],
)
def test_and_as_nobody_else(allowed: Callable[[int, bytes], tuple[bytes, int]], sender: bytes) -> None:
    assert allowed(JOE, sender) == (b"Joe@mx.test", 1)


def test_who_is_listed_sends_as_anybody(allowed: Callable[[int, bytes], tuple[bytes, int]]) -> None:
    assert allowed(LISTED, b"sue@elsewhere.test") == (b"sue@elsewhere.test", 0)
