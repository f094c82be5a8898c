"""Which dot-qmail files are looked for, and what `default` stands for (reference 6.3)."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from paperpath.base.dotqmail_names import candidates, default_part, owner_names


@pytest.mark.parametrize(
    ("dash", "extension", "names"),
    [
        (b"", b"", [b".qmail", b".qmaildefault"]),
        (b"-", b"", [b".qmail-", b".qmail-default"]),
        (b"-", b"a", [b".qmail-a", b".qmail-default"]),
        (b"-", b"a-b-c", [b".qmail-a-b-c", b".qmail-a-b-default", b".qmail-a-default", b".qmail-default"]),
        (b"-", b"a-", [b".qmail-a-", b".qmail-a-default", b".qmail-default"]),
        (b"-", b"A.B", [b".qmail-a:b", b".qmail-default"]),
        (b"-", b"\xc4\xff", [b".qmail-\xc4\xff", b".qmail-default"]),
        (b"-/", b"x/y", [b".qmail-/x/y", b".qmail-/default"]),
        (b"-", b"default", [b".qmail-default"]),
        (b"-", b"a-default", [b".qmail-a-default", b".qmail-default"]),
        ("-", b"a", [b".qmail-a", b".qmail-default"]),
    ],
)
def test_names_go_from_the_particular_to_the_general(dash: bytes | str, extension: bytes, names: list[bytes]) -> None:
    assert candidates(dash, extension) == names


@pytest.mark.parametrize(
    ("extension", "chosen", "part"),
    [
        (b"A-B-c", b".qmail-a-default", b"B-c"),
        (b"A-B-c", b".qmail-default", b"A-B-c"),
        (b"A-B-c", b".qmail-a-b-c", None),
        (b"x-Default", b".qmail-x-default", b"Default"),
        (b"XDefault", b".qmail-xdefault", b"Default"),
        (b"a-", b".qmail-a-default", b""),
    ],
)
def test_default_is_the_rest_in_its_own_spelling(extension: bytes, chosen: bytes, part: bytes | None) -> None:
    assert default_part(b"-", extension, chosen) == part


def test_a_dash_that_ends_in_default_stands_for_nothing() -> None:
    assert default_part(b"-default", b"", b".qmail-default") is None


def test_owners_are_those_of_the_address_itself() -> None:
    assert owner_names(b"-", b"My.List") == (b".qmail-my:list-owner", b".qmail-my:list-owner-default")


@given(st.binary(max_size=40))
def test_every_fallback_accounts_for_the_whole_extension(extension: bytes) -> None:
    names = candidates(b"-", extension)
    assert len(set(names)) == len(names)
    for name in names[1:]:
        part = default_part(b"-", extension, name)
        assert part is not None and extension.endswith(part)
        assert name == b".qmail-" + extension[: len(extension) - len(part)].lower().replace(b".", b":") + b"default"
