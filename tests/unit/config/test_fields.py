"""Durations, sizes, and how settings are described."""

import msgspec
import pytest

from paperpath.config.fields import Field, decode, expected, fields_of, show_value
from paperpath.config.schema import Config, Listen
from paperpath.config.schema_delivery import Queue
from paperpath.config.schema_sessions import Receive
from paperpath.config.section import Section


def field(section: type[Section], name: str) -> Field:
    return next(one for one in fields_of(section) if one.name == name)


@pytest.mark.parametrize(
    ("text", "seconds"),
    [("90s", 90), ("5m", 300), ("12h", 43200), ("7d", 604800), ("2w", 1209600), ("30", 30), (30, 30), ("0s", 0)],
)
def test_durations(text: object, seconds: int) -> None:
    assert decode(field(Queue, "lifetime"), text) == seconds


@pytest.mark.parametrize(
    ("text", "count"),
    [
        ("512KiB", 512 << 10),
        ("50MiB", 50 << 20),
        ("2GiB", 2 << 30),
        ("70000B", 70000),
        ("70000", 70000),
        ("1 MiB", 1 << 20),
    ],
)
def test_sizes(text: object, count: int) -> None:
    assert decode(field(Receive, "message_size"), text) == count


@pytest.mark.parametrize("text", ["", "s", "5 m", "-5m", "5M", "1.5h", "٣s", "5m\n", True, 5.0, -1, None, ["5m"]])
def test_what_is_no_duration(text: object) -> None:
    with pytest.raises(ValueError):
        decode(field(Queue, "lifetime"), text)


@pytest.mark.parametrize("text", ["50MB", "50M", "MiB", "-1", "5mib", "1KiB", 100, True])
def test_what_is_no_size_here(text: object) -> None:
    with pytest.raises(ValueError):
        decode(field(Receive, "message_size"), text)


@pytest.mark.parametrize(
    ("seconds", "text"), [(90, "90s"), (300, "5m"), (3600, "1h"), (604800, "7d"), (0, "0s"), (86401, "86401s")]
)
def test_durations_are_shown_as_they_are_written(seconds: int, text: str) -> None:
    lifetime = field(Queue, "lifetime")
    assert show_value(lifetime, seconds) == text
    assert decode(lifetime, text) == seconds


def test_every_setting_is_described_and_its_default_is_taken_by_the_reader() -> None:
    """Habit 24: the page and the reader come from one table, so every entry of it must be complete."""
    sections: list[type[Section]] = [Config]
    for section in sections:
        for one in fields_of(section):
            if one.section is not None:
                sections.append(one.section)
                continue
            assert one.about, f"{section.__name__}.{one.name} has no text"
            assert expected(one)
            if not one.required:
                assert decode(one, one.default) == one.default
            if one.kind == "number" and one.default > 1:
                assert one.reason or one.name == "port", f"{section.__name__}.{one.name} has no reason for its default"
    assert Listen in sections


def test_settings_are_plain_values_that_msgpack_can_carry() -> None:
    config = Config(hostname="a.test")
    assert msgspec.msgpack.decode(msgspec.msgpack.encode(config), type=Config) == config
