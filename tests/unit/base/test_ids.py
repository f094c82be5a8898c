"""Message ids as people see and type them."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from paperpath.base.ids import parse_id, show_id

_NUMBERS = st.integers(0, 2**63 - 1)


@pytest.mark.parametrize(
    ("number", "shown"),
    [(0, "0"), (31, "z"), (32, "10"), (32**10, "1" + "0" * 10), (2**63 - 1, "7" + "z" * 12)],
)
def test_show(number: int, shown: str) -> None:
    assert show_id(number) == shown


def test_ids_of_this_century_have_eleven_letters() -> None:
    assert {len(show_id(seconds * 1_000_000)) for seconds in (1795343417, 4102444800)} == {11}


@given(_NUMBERS)
def test_round_trip_in_any_case(number: int) -> None:
    shown = show_id(number)
    assert parse_id(shown) == parse_id(shown.upper()) == number
    assert shown.isalnum() and not set(shown) & set("ilou")


@given(_NUMBERS, _NUMBERS)
def test_ids_of_one_length_sort_by_age(one: int, other: int) -> None:
    if len(show_id(one)) == len(show_id(other)):
        assert (show_id(one) < show_id(other)) == (one < other)


def test_letters_that_look_like_digits_are_taken_for_them() -> None:
    assert parse_id("oO1iIlL") == parse_id("0011111")


@pytest.mark.parametrize("text", ["", "u", "1-2", " 1", "1 ", "\u00e9", "\u0661", "\u212a", "8" + "0" * 12, "0" * 14])
def test_what_is_no_id(text: str) -> None:
    with pytest.raises(ValueError, match="message id"):
        parse_id(text)


@pytest.mark.parametrize("number", [-1, 2**63])
def test_what_can_not_be_shown(number: int) -> None:
    with pytest.raises(ValueError, match="not a message id"):
        show_id(number)


@given(st.text(max_size=15))
def test_parse_takes_anything(text: str) -> None:
    try:
        number = parse_id(text)
    except ValueError as error:
        assert len(str(error)) < 250
    else:
        assert 0 <= number < 2**63
