"""What the event loops are met with, where it depends on moments that a test cannot choose: they are played."""

import asyncio
import ssl
from typing import Any, cast

import pytest

from paperpath.process.upgrade import Upgrade


class Connection:
    """The SSL object of a connection that was said to be secured."""

    def __init__(self, version: str | None) -> None:
        self._version = version

    def version(self) -> str | None:
        return self._version


class Transport:
    def __init__(self, version: str | None = None) -> None:
        self.aborted = False
        self._version = version

    def pause_reading(self) -> None:
        pass

    def is_closing(self) -> bool:
        return self.aborted

    def abort(self) -> None:
        self.aborted = True

    def get_extra_info(self, name: str) -> object:
        return {"ssl_object": Connection(self._version)}[name]


class Played:
    """One upgrade whose handshake ends with this transport; what came of it."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch, secured: Transport) -> None:
        self.plain, self.over = Transport(), secured
        self.told: list[object] = []
        self.reported: list[dict[str, Any]] = []
        self._gate = asyncio.Event()
        self.fails = False
        loop = asyncio.get_running_loop()

        async def start_tls(*_: object, **__: object) -> Transport:
            await self._gate.wait()
            return secured

        monkeypatch.setattr(loop, "start_tls", start_tls, raising=False)
        loop.set_exception_handler(lambda _, context: self.reported.append(context))
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        self.upgrade = Upgrade(asyncio.Protocol(), context, self._secured, self.told.append)

    async def begin(self) -> None:
        self.upgrade.begin(cast(asyncio.Transport, self.plain))
        while self.upgrade._kept is None:
            await asyncio.sleep(0)

    async def end(self) -> None:
        assert self.upgrade._task is not None
        self._gate.set()
        await self.upgrade._task

    def _secured(self, transport: asyncio.Transport, data: bytes) -> None:
        if self.fails:
            raise KeyError("x")
        self.told.append((transport, data))


async def test_what_came_meanwhile_is_handed_out_with_the_transport(monkeypatch: pytest.MonkeyPatch) -> None:
    played = Played(monkeypatch, Transport("TLSv1.3"))
    await played.begin()
    played.upgrade.data_received(b"EH")
    played.upgrade.data_received(b"LO")
    await played.end()
    assert played.told == [(played.over, b"EHLO")]


async def test_a_transport_whose_tls_has_broken_already_is_none(monkeypatch: pytest.MonkeyPatch) -> None:
    played = Played(monkeypatch, Transport(None))
    await played.begin()
    await played.end()
    assert played.told == ["connection lost"]
    assert played.plain.aborted


async def test_a_defect_of_the_owner_ends_the_connection_and_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    played = Played(monkeypatch, Transport("TLSv1.3"))
    played.fails = True
    await played.begin()
    await played.end()
    assert [repr(one["exception"]) for one in played.reported] == ["KeyError('x')"]
    assert played.over.aborted and not played.told


async def test_what_is_kept_is_bounded(monkeypatch: pytest.MonkeyPatch) -> None:
    played = Played(monkeypatch, Transport("TLSv1.3"))
    await played.begin()
    for _ in range(5):
        played.upgrade.data_received(bytes(256 * 1024))
    assert played.plain.aborted
    played.upgrade.cancel()


async def test_after_cancel_nothing_is_called(monkeypatch: pytest.MonkeyPatch) -> None:
    played = Played(monkeypatch, Transport("TLSv1.3"))
    await played.begin()
    played.upgrade.cancel()
    with pytest.raises(asyncio.CancelledError):
        await played.end()
    assert not played.told and played.plain.aborted
