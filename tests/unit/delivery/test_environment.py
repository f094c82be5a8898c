"""What programs are told, and who forwards come from."""

from typing import Any

import pytest

from paperpath.delivery.environment import environment, forwarding_sender, from_line

NOW = 1_000_000_000


def told(**changes: Any) -> dict[bytes, bytes]:
    values: dict[str, Any] = {
        "user": b"joe",
        "home": b"/home/joe",
        "recipient": b"joe-a-b-C-d-e@a.b.c.h.ex",
        "extension": b"a-b-C-d-e",
        "sender": b"s@else.test",
        "new_sender": b"n@else.test",
        "default_part": None,
        "now": NOW,
    }
    return environment(**(values | changes))


def test_all_of_it() -> None:
    assert told() == {
        b"SENDER": b"s@else.test",
        b"NEWSENDER": b"n@else.test",
        b"RECIPIENT": b"joe-a-b-C-d-e@a.b.c.h.ex",
        b"USER": b"joe",
        b"HOME": b"/home/joe",
        b"LOCAL": b"joe-a-b-C-d-e",
        b"HOST": b"a.b.c.h.ex",
        b"HOST2": b"a.b.c.h",
        b"HOST3": b"a.b.c",
        b"HOST4": b"a.b",
        b"EXT": b"a-b-C-d-e",
        b"EXT2": b"b-C-d-e",
        b"EXT3": b"C-d-e",
        b"EXT4": b"d-e",
        b"DTLINE": b"Delivered-To: joe-a-b-C-d-e@a.b.c.h.ex\n",
        b"RPLINE": b"Return-Path: <s@else.test>\n",
        b"UFLINE": b"From s@else.test Sun Sep 09 01:46:40 2001\n",
    }


def test_what_runs_out() -> None:
    found = told(recipient=b"joe-x@h.ex", extension=b"x")
    assert [found[name] for name in (b"HOST", b"HOST2", b"HOST3", b"HOST4")] == [b"h.ex", b"h", b"h", b"h"]
    assert [found[name] for name in (b"EXT", b"EXT2", b"EXT3", b"EXT4")] == [b"x", b"", b"", b""]


@pytest.mark.parametrize("part", [b"", b"b-C"])
def test_default(part: bytes) -> None:
    assert told(default_part=part)[b"DEFAULT"] == part


def test_line_ends_in_addresses_stay_out_of_lines() -> None:
    found = told(recipient=b"a\nb@h.ex", sender=b"c\nd@x")
    assert found[b"RECIPIENT"] == b"a\nb@h.ex"
    assert found[b"DTLINE"] == b"Delivered-To: a_b@h.ex\n"
    assert found[b"RPLINE"] == b'Return-Path: <"c\\_d"@x>\n'
    assert found[b"UFLINE"].startswith(b"From c-d@x ")


@pytest.mark.parametrize(("sender", "shown"), [(b"", b"MAILER-DAEMON"), (b"a b\tc\nd@x", b"a-b-c-d@x")])
def test_from_line(sender: bytes, shown: bytes) -> None:
    assert from_line(sender, 1_700_000_000) == b"From " + shown + b" Tue Nov 14 22:13:20 2023\n"


@pytest.mark.parametrize(
    ("sender", "owner", "default", "expected"),
    [
        (b"s@x", False, False, b"s@x"),
        (b"s@x", False, True, b"s@x"),
        (b"s@x", True, False, b"joe-list-owner@h.ex"),
        (b"s@x", True, True, b"joe-list-owner-@h.ex-@[]"),
        (b"", True, True, b""),
        (b"#@[]", True, True, b"#@[]"),
    ],
)
def test_sender_of_forwards(sender: bytes, owner: bool, default: bool, expected: bytes) -> None:
    found = forwarding_sender(sender, b"joe-list@h.ex", has_owner=owner, has_owner_default=default)
    assert found == expected
