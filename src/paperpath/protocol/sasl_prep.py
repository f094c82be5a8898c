"""SASLprep (RFC 4013): the one form of a password, or a name, that client and server both compute with."""

import stringprep
import unicodedata
from collections.abc import Callable

_Table = Callable[[str], bool]

_FORBIDDEN: tuple[_Table, ...] = (
    stringprep.in_table_c12,
    stringprep.in_table_c21_c22,
    stringprep.in_table_c3,
    stringprep.in_table_c4,
    stringprep.in_table_c5,
    stringprep.in_table_c6,
    stringprep.in_table_c7,
    stringprep.in_table_c8,
    stringprep.in_table_c9,
    stringprep.in_table_a1,
)


def prepared(text: str) -> str:
    """Return the prepared form.  Raises ValueError for what may not be a password, and where nothing is left."""
    if text.isascii() and text.isprintable() and text:
        return text
    mapped = "".join(" " if stringprep.in_table_c12(c) else c for c in text if not stringprep.in_table_b1(c))
    result = unicodedata.ucd_3_2_0.normalize("NFKC", mapped)
    if not result:
        raise ValueError("has nothing that counts")
    if any(table(character) for character in result for table in _FORBIDDEN):
        raise ValueError("holds a character that a password may not have")
    _check_direction(result)
    return result


def prepared_bytes(given: bytes) -> bytes:
    """Return the same for what a client sent, ASCII as it is.  Raises ValueError, also where it is not UTF-8."""
    return given if given.isascii() else prepared(given.decode()).encode()


def as_compared(given: bytes) -> bytes:
    """Return a password from a client as stored ones are; where it cannot be one, as it is, which none is like.

    So both take as long.
    """
    try:
        return prepared_bytes(given)
    except ValueError:
        return given


def _check_direction(text: str) -> None:
    """RFC 3454 6: text from right to left holds none from left to right, and begins and ends as what it is."""
    if not any(map(stringprep.in_table_d1, text)):
        return
    if any(map(stringprep.in_table_d2, text)) or not (
        stringprep.in_table_d1(text[0]) and stringprep.in_table_d1(text[-1])
    ):
        raise ValueError("mixes directions of writing")
