"""Every declared conversation: its frames are told apart, survive the wire, and nothing else is understood."""

import types
import typing
from enum import StrEnum

import msgspec
import pytest

from paperpath.base.outcome import Deferred
from paperpath.wire import accounts, control, delivery, guard, intake, logins, mailbox, supervision
from paperpath.wire.frame import FrameBuffer, encode

CONVERSATIONS = {
    f"{module.__name__.rpartition('.')[2]}.{name}": value
    for module in (accounts, control, delivery, guard, intake, logins, mailbox, supervision)
    for name, value in vars(module).items()
    if name.startswith("From")
}
FRAMES = [
    pytest.param(union, frame, id=f"{name}-{frame.__name__}")
    for name, union in CONVERSATIONS.items()
    for frame in (typing.get_args(union) or (union,))
]


def sample(kind: object) -> object:
    """Return some value of this type, with something in every field."""
    if isinstance(kind, types.UnionType):
        return Deferred("text") if Deferred in typing.get_args(kind) else sample(typing.get_args(kind)[0])
    if typing.get_origin(kind) is tuple:
        return (sample(typing.get_args(kind)[0]),)
    if typing.get_origin(kind) is dict:
        return {sample(typing.get_args(kind)[0]): sample(typing.get_args(kind)[1])}
    if isinstance(kind, type) and issubclass(kind, msgspec.Struct):
        return kind(*(sample(field.type) for field in msgspec.structs.fields(kind)))
    assert isinstance(kind, type)
    if issubclass(kind, StrEnum):
        return next(iter(kind))
    return {int: 7, str: "ü", bytes: b"\xff\0", bool: True, float: 1.5}[kind]


def test_every_conversation_is_found() -> None:
    assert len(CONVERSATIONS) >= 10


@pytest.mark.parametrize(("union", "frame"), FRAMES)
def test_frames_survive_the_wire(union: object, frame: type[msgspec.Struct]) -> None:
    value = sample(frame)
    assert isinstance(value, frame)
    (body,) = FrameBuffer().feed(encode(value))
    assert msgspec.msgpack.decode(body, type=union) == value
    assert value.__struct_config__.frozen and value.__struct_config__.array_like


@pytest.mark.parametrize(("union", "frame"), FRAMES)
def test_a_frame_with_something_missing_or_wrong_is_refused(union: object, frame: type[msgspec.Struct]) -> None:
    fields = msgspec.structs.fields(frame)
    whole = msgspec.msgpack.decode(encode(typing.cast(msgspec.Struct, sample(frame)))[4:])
    required = sum(field.required for field in fields)
    if required:
        with pytest.raises(msgspec.ValidationError):
            msgspec.msgpack.decode(msgspec.msgpack.encode(whole[:required]), type=union)
    for at in range(1, len(whole)):
        wrong = [*whole[:at], {"a": "b"}, *whole[at + 1 :]]
        with pytest.raises(msgspec.ValidationError):
            msgspec.msgpack.decode(msgspec.msgpack.encode(wrong), type=union)


@pytest.mark.parametrize("union", CONVERSATIONS.values(), ids=CONVERSATIONS)
@pytest.mark.parametrize("alien", [["no-such-frame", 1], [], 5, None, {}, [5], "hello"])
def test_other_frames_are_refused(union: object, alien: object) -> None:
    with pytest.raises(msgspec.ValidationError):
        msgspec.msgpack.decode(msgspec.msgpack.encode(alien), type=union)


@pytest.mark.parametrize(("union", "frame"), FRAMES)
def test_attached_is_a_flag(union: object, frame: type[msgspec.Struct]) -> None:
    """`system.channel` takes one descriptor for every frame whose ``attached`` is true."""
    kinds = {field.name: field.type for field in msgspec.structs.fields(frame)}
    assert kinds.get("attached", bool) is bool
