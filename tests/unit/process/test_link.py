import asyncio
from functools import partial
from pathlib import Path

from paperpath.process.link import Link
from paperpath.wire.accounts import FromAsker, FromLocal, Lookup, NotFound
from paperpath.wire.frame import VERSION, Hello
from tests.unit.process.peer import listening


class Watch:
    """What a link tells its owner."""

    def __init__(self) -> None:
        self.told: asyncio.Queue[object] = asyncio.Queue()

    def link(self, path: Path) -> Link:
        return Link(
            str(path),
            "receive",
            FromLocal,
            lambda frame, _: self.told.put_nowait(frame),
            on_up=lambda: self.told.put_nowait("up"),
            on_down=lambda: self.told.put_nowait("down"),
        )


async def test_conversation_begins_with_hello_and_goes_both_ways(tmp_path: Path) -> None:
    watch = Watch()
    with listening(tmp_path / "door", FromAsker) as peer:
        link = watch.link(tmp_path / "door")
        assert not link.send(Lookup(1, b"early"))
        assert await watch.told.get() == "up"
        assert link._channel is not None
        assert link.send(Lookup(2, b"a@b.test"))
        assert await peer.heard.get() == Hello(VERSION, "receive")
        assert await peer.heard.get() == Lookup(2, b"a@b.test")
        peer.send(NotFound(2))
        assert await watch.told.get() == NotFound(2)
        link.close()


async def test_conversation_that_ends_is_begun_again(tmp_path: Path) -> None:
    watch = Watch()
    with listening(tmp_path / "door", FromAsker) as peer:
        link = watch.link(tmp_path / "door")
        for _ in range(3):
            await peer.channels.get()
            assert await watch.told.get() == "up"
            peer.hang_up()
            assert await watch.told.get() == "down"
            assert link._channel is None
        link.close()


async def test_peer_that_is_not_there_yet_is_waited_for(tmp_path: Path) -> None:
    watch = Watch()
    link = watch.link(tmp_path / "door")
    await asyncio.sleep(0)
    with listening(tmp_path / "door", FromAsker):
        assert await watch.told.get() == "up"
        link.close()


async def test_peer_that_talks_nonsense_is_left_and_tried_again(tmp_path: Path) -> None:
    watch = Watch()
    with listening(tmp_path / "door", FromAsker) as peer:
        link = watch.link(tmp_path / "door")
        assert await watch.told.get() == "up"
        await peer.channels.get()
        peer.send(Hello(VERSION, "not what local says"))
        assert await watch.told.get() == "down"
        assert await watch.told.get() == "up"
        link.close()


async def test_link_that_is_closed_stays_closed(tmp_path: Path) -> None:
    watch = Watch()
    with listening(tmp_path / "door", FromAsker) as peer:
        link = watch.link(tmp_path / "door")
        await peer.channels.get()
        assert await watch.told.get() == "up"
        link.close()
        assert await watch.told.get() == "down"
        assert not link.send(Lookup(1, b"late"))
        assert peer.channels.empty()


async def test_conversation_that_could_not_be_begun_is_reported_and_begun_again(tmp_path: Path) -> None:
    told: asyncio.Queue[str] = asyncio.Queue()
    errors = [OSError("first"), KeyError("second")]
    reported: list[object] = []
    asyncio.get_running_loop().set_exception_handler(lambda _, context: reported.append(context["exception"]))

    def on_up() -> None:
        if errors:
            raise errors.pop(0)
        told.put_nowait("up")

    with listening(tmp_path / "door", FromAsker) as peer:
        down = partial(told.put_nowait, "down")
        link = Link(str(tmp_path / "door"), "receive", FromLocal, lambda *_: None, on_up=on_up, on_down=down)
        assert [await asyncio.wait_for(told.get(), 30) for _ in range(3)] == ["down", "down", "up"]
        assert link._channel is not None
        assert [type(error) for error in reported] == [OSError, KeyError]
        assert link.send(Lookup(1, b"a@b.test"))
        while await peer.heard.get() != Lookup(1, b"a@b.test"):
            pass
        link.close()
