import asyncio
import errno
import os
import socket
from collections.abc import AsyncIterator, Callable
from dataclasses import dataclass, field
from pathlib import Path

import msgspec
import pytest

from paperpath.system.channel import Channel, connect, peer_uid, serve_channels
from paperpath.wire.frame import encode


class Text(msgspec.Struct, frozen=True, array_like=True, tag="text"):
    body: bytes


class Handed(msgspec.Struct, frozen=True, array_like=True, tag="handed"):
    """Comes with a descriptor."""

    number: int
    attached: bool = True


Frames = Text | Handed


@dataclass
class End:
    """One end of a conversation, and what it heard."""

    heard: asyncio.Queue[tuple[Frames, int | None]] = field(default_factory=asyncio.Queue)
    ended: "asyncio.Future[str]" = field(default_factory=lambda: asyncio.get_running_loop().create_future())
    channel: Channel = field(init=False)

    def open(self, sock: socket.socket, on_frame: Callable[[Frames], None] = lambda _: None) -> "End":
        def frame(frame: Frames, descriptor: int | None) -> None:
            self.heard.put_nowait((frame, descriptor))
            on_frame(frame)

        self.channel = Channel(sock, Frames, frame, self.ended.set_result, frame_most_bytes=1_000_000)
        return self


@pytest.fixture
async def ends() -> AsyncIterator[tuple[End, End]]:
    one, other = socket.socketpair()
    pair = End().open(one), End().open(other)
    yield pair
    for end in pair:
        end.channel.close()


@pytest.fixture
async def raw() -> AsyncIterator[tuple[socket.socket, End]]:
    """A peer that says anything, and our end."""
    theirs, ours = socket.socketpair()
    end = End().open(ours)
    yield theirs, end
    theirs.close()
    end.channel.close()


async def test_frames_arrive_in_order_both_ways(ends: tuple[End, End]) -> None:
    for sender, receiver in (ends, ends[::-1]):
        for number in range(100):
            sender.channel.send(Text(b"%d" % number))
        heard = [await receiver.heard.get() for _ in range(100)]
        assert heard == [(Text(b"%d" % number), None) for number in range(100)]


async def test_frames_larger_than_the_socket_holds(ends: tuple[End, End]) -> None:
    bodies = [bytes([number]) * 900_000 for number in range(5)]
    for body in bodies:
        ends[0].channel.send(Text(body))
    assert ends[0].channel.pending_bytes > 4_500_000
    assert [(await ends[1].heard.get())[0] for _ in bodies] == [Text(body) for body in bodies]
    assert ends[0].channel.pending_bytes == 0


async def test_what_the_peer_does_not_read_stays_pending_and_leaves_when_it_reads() -> None:
    one, other = socket.socketpair()
    sender = End().open(one)
    frame = Text(bytes(100_000))
    for _ in range(20):
        sender.channel.send(frame)
    sender.channel.flush()
    pending = sender.channel.pending_bytes
    assert 0 < pending < 20 * len(encode(frame))
    sender.channel.flush()
    assert sender.channel.pending_bytes == pending
    receiver = End().open(other)
    assert [(await receiver.heard.get())[0] for _ in range(20)] == [frame] * 20
    assert sender.channel.pending_bytes == 0
    sender.channel.close()
    receiver.channel.close()


async def test_descriptors_arrive_with_their_frames(ends: tuple[End, End], tmp_path: Path) -> None:
    for number in range(30):
        file = tmp_path / str(number)
        file.write_text(str(number))
        with file.open() as opened:
            ends[0].channel.send(Text(bytes(number * 10_000)))
            ends[0].channel.send(Handed(number), opened.fileno())
    for number in range(30):
        assert await ends[1].heard.get() == (Text(bytes(number * 10_000)), None)
        frame, descriptor = await ends[1].heard.get()
        assert frame == Handed(number)
        assert descriptor is not None
        assert not os.get_inheritable(descriptor)
        with os.fdopen(descriptor) as arrived:
            assert arrived.read() == str(number)


async def test_descriptor_that_was_not_sent_is_closed_at_the_end(tmp_path: Path) -> None:
    one, other = socket.socketpair()
    end = End().open(one)
    before = open_descriptors() - {one.fileno()}
    with (tmp_path / "file").open("w") as file:
        end.channel.send(Handed(1), file.fileno())
        end.channel.close()
    assert open_descriptors() == before
    other.close()


async def test_descriptor_nobody_took_is_closed_at_the_end(raw: tuple[socket.socket, End], tmp_path: Path) -> None:
    theirs, end = raw
    with (tmp_path / "file").open("w") as file:
        before = open_descriptors()
        socket.send_fds(theirs, [encode(Text(b"nothing attached"))], [file.fileno()])
        await end.heard.get()
        assert len(open_descriptors() - before) == 1
        end.channel.close()
        assert not open_descriptors() - before


def open_descriptors() -> set[int]:
    """Return the numbers of the files that this process has open."""
    return {number for number in map(int, os.listdir("/proc/self/fd")) if is_open(number)}


def is_open(number: int) -> bool:
    try:
        os.fstat(number)
    except OSError:
        return False
    return True


@pytest.mark.parametrize(
    "data",
    [
        pytest.param(b"\xff\xff\xff\xff", id="longer-than-allowed"),
        pytest.param((1_000_001).to_bytes(4, "big"), id="one-byte-longer-than-allowed"),
        pytest.param(b"\0\0\0\0", id="empty"),
        pytest.param(b"\0\0\0\x01\xc1", id="no-msgpack"),
        pytest.param(b"\0\0\0\x03\x91\xa1x", id="unknown-type"),
        pytest.param(b"\0\0\0\x06\x91\xa4text", id="field-missing"),
        pytest.param(encode(Handed(1)), id="descriptor-missing"),
        pytest.param(b"GET / HTTP/1.1\r\n\r\n", id="another-protocol"),
    ],
)
async def test_what_is_no_frame_ends_the_conversation(raw: tuple[socket.socket, End], data: bytes) -> None:
    theirs, end = raw
    theirs.sendall(encode(Text(b"good")) + data)
    assert (await end.heard.get())[0] == Text(b"good")
    assert (await end.ended).startswith("not understood: ")
    assert end.channel.closed
    assert theirs.recv(1) == b""


async def test_too_many_descriptors_end_the_conversation(raw: tuple[socket.socket, End]) -> None:
    theirs, end = raw
    before = open_descriptors()
    socket.send_fds(theirs, [b"\0"], [theirs.fileno()] * 17)
    assert await end.ended == "too many descriptors"
    assert not open_descriptors() - before


async def test_frame_that_comes_byte_by_byte(raw: tuple[socket.socket, End]) -> None:
    theirs, end = raw
    for byte in encode(Text(b"slow")):
        theirs.send(bytes([byte]))
        await asyncio.sleep(0)
    assert (await end.heard.get())[0] == Text(b"slow")


async def test_end_of_the_peer_ends_the_conversation_once(ends: tuple[End, End]) -> None:
    ends[0].channel.send(Text(b"last words"))
    ends[0].channel.flush()
    ends[0].channel.close("enough")
    assert ends[0].ended.result() == "enough"
    assert (await ends[1].heard.get())[0] == Text(b"last words")
    assert await ends[1].ended == "ended by the other side"
    ends[1].channel.close("again")
    ends[1].channel.send(Text(b"to nobody"))
    assert ends[1].channel.pending_bytes == 0


async def test_value_error_of_the_listener_ends_the_conversation() -> None:
    def refuse(_frame: Frames) -> None:
        raise ValueError("not now")

    theirs, ours = socket.socketpair()
    end = End().open(ours, refuse)
    theirs.sendall(encode(Text(b"first")) + encode(Text(b"second")))
    assert await end.ended == "not understood: not now"
    assert end.heard.qsize() == 1
    theirs.close()


async def test_defect_of_the_listener_ends_the_conversation_and_is_reported() -> None:
    reported: list[object] = []
    asyncio.get_running_loop().set_exception_handler(lambda _loop, context: reported.append(context.get("exception")))

    def break_down(_frame: Frames) -> None:
        raise KeyError("a defect")

    theirs, ours = socket.socketpair()
    end = End().open(ours, break_down)
    theirs.sendall(encode(Text(b"first")) + encode(Text(b"second")))
    assert await end.ended == "broken"
    await asyncio.sleep(0)
    assert [repr(error) for error in reported] == ["KeyError('a defect')"]
    theirs.close()


async def test_listener_that_closes_hears_no_more() -> None:
    theirs, ours = socket.socketpair()
    end = End()
    end.open(ours, lambda _: end.channel.close("done"))
    theirs.sendall(encode(Text(b"first")) + encode(Text(b"second")))
    assert await end.ended == "done"
    assert end.heard.qsize() == 1
    theirs.close()


async def test_connections_are_accepted_until_stopped(tmp_path: Path) -> None:
    path = str(tmp_path / "door")
    accepted: asyncio.Queue[socket.socket] = asyncio.Queue()
    with socket.socket(socket.AF_UNIX) as listener:
        listener.bind(path)
        listener.listen()
        stop = serve_channels(listener, accepted.put_nowait)
        with await connect(path) as ours, await accepted.get() as theirs:
            assert peer_uid(theirs) == peer_uid(ours) == os.getuid()
        stop()
        with await connect(path):
            await asyncio.sleep(0)
            assert accepted.empty()


class Crowded(socket.socket):
    """A listener of a process that has no room for another descriptor."""

    error = errno.EMFILE
    asked = 0

    def accept(self) -> tuple[socket.socket, object]:
        self.asked += 1
        if self.error:
            raise OSError(self.error, os.strerror(self.error))
        return super().accept()


@pytest.mark.parametrize("error", [errno.EMFILE, errno.ENFILE, errno.ENOBUFS, errno.ENOMEM])
async def test_accepting_pauses_while_there_is_no_room(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, error: int
) -> None:
    path = str(tmp_path / "door")
    accepted: asyncio.Queue[socket.socket] = asyncio.Queue()
    later: list[Callable[[], None]] = []
    broken: list[dict[str, object]] = []
    monkeypatch.setattr(asyncio.get_running_loop(), "call_later", lambda _delay, call: later.append(call))
    asyncio.get_running_loop().set_exception_handler(lambda _, context: broken.append(context))
    with Crowded(socket.AF_UNIX) as listener:
        listener.error = error
        listener.bind(path)
        listener.listen()
        stop = serve_channels(listener, accepted.put_nowait)
        with await connect(path):
            while not listener.asked:
                await asyncio.sleep(0)
            for _ in range(5):
                await asyncio.sleep(0)
            assert listener.asked == 1
            assert accepted.empty() and not broken
            listener.error = 0
            (again,) = later
            again()
            (await accepted.get()).close()
        stop()


async def test_a_listener_that_is_broken_is_not_asked_for_ever_in_silence(tmp_path: Path) -> None:
    broken: asyncio.Queue[object] = asyncio.Queue()
    asyncio.get_running_loop().set_exception_handler(lambda _, context: broken.put_nowait(context["exception"]))
    with Crowded(socket.AF_UNIX) as listener:
        listener.error = errno.EINVAL
        listener.bind(str(tmp_path / "door"))
        listener.listen()
        stop = serve_channels(listener, lambda _: None)
        with await connect(str(tmp_path / "door")):
            error = await broken.get()
            assert isinstance(error, OSError) and error.errno == errno.EINVAL
        stop()


async def test_accepting_that_is_stopped_while_it_pauses_does_not_begin_again(tmp_path: Path) -> None:
    path = str(tmp_path / "door")
    with Crowded(socket.AF_UNIX) as listener:
        listener.bind(path)
        listener.listen()
        stop = serve_channels(listener, lambda _: None)
        with await connect(path):
            while not listener.asked:
                await asyncio.sleep(0)
            (timer,) = [handle for handle in asyncio.get_running_loop()._scheduled if not handle.cancelled()]  # type: ignore[attr-defined]
            stop()
            assert timer.cancelled()


async def test_connecting_to_nobody_is_an_os_error(tmp_path: Path) -> None:
    with pytest.raises(OSError):
        await connect(str(tmp_path / "nobody"))
