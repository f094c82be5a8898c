"""Message ids: a 63-bit integer inside, eleven letters and digits outside.

The queue makes them from the clock in microseconds, always above the last one, so ids never repeat, sort by age and
survive a restart without a counter on disk.  Shown in Crockford's base 32, which has no letters that look alike.
"""

_DIGITS = "0123456789abcdefghjkmnpqrstvwxyz"
_VALUES = {digit: value for value, digit in enumerate(_DIGITS)} | {"o": 0, "i": 1, "l": 1}
_MOST_LETTERS = 13


def show_id(number: int) -> str:
    """Return the id as people see it."""
    letters: list[str] = []
    while number:
        number, digit = divmod(number, 32)
        letters.append(_DIGITS[digit])
    return "".join(reversed(letters)) or "0"


def parse_id(text: str) -> int:
    """Return the number behind an id that somebody typed.

    Raises ValueError for anything that cannot be an id.
    """
    if not 1 <= len(text) <= _MOST_LETTERS:
        raise ValueError(f"a message id has 1 to {_MOST_LETTERS} characters: {text[:40]!r}")
    number = 0
    for letter in text.lower():
        if letter not in _VALUES:
            raise ValueError(f"a message id has only letters and digits: {text!r}")
        number = number * 32 + _VALUES[letter]
    if number >= 1 << 63:
        raise ValueError(f"not a message id: {text!r}")
    return number
