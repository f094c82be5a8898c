"""Message ids: a 63-bit integer inside, eleven letters and digits outside.

The queue makes them from the clock in microseconds, always above the last one, so ids never repeat, sort by
age and survive a restart without a counter on disk.  Shown in Crockford's base 32, which has no letters that
look alike.
"""

_DIGITS = "0123456789abcdefghjkmnpqrstvwxyz"
_VALUES = {digit: value for value, digit in enumerate(_DIGITS)} | {"o": 0, "i": 1, "l": 1}
_VALUES |= {digit.upper(): value for digit, value in _VALUES.items()}
_PAIRS = [first + second for first in _DIGITS for second in _DIGITS]
_MOST_LETTERS = 13
_MOST = (1 << 63) - 1


def show_id(number: int) -> str:
    """Return the id as people see it.

    Raises ValueError for what is not an id: less than 0, or more than 63 bits.
    """
    if not 0 <= number <= _MOST:
        raise ValueError(f"not a message id: {number}")
    text = ""
    while number:  # two letters at a time: every line of the log has an id
        text = _PAIRS[number & 1023] + text
        number >>= 10
    return text.lstrip("0") or "0"


def parse_id(text: str) -> int:
    """Return the number behind an id that somebody typed.

    Raises ValueError for anything that cannot be an id.
    """
    if not 1 <= len(text) <= _MOST_LETTERS:
        raise ValueError(f"a message id has 1 to {_MOST_LETTERS} characters: {text[:40]!r}")
    number = 0
    for letter in text:
        value = _VALUES.get(letter)
        if value is None:
            raise ValueError(f"not the letters and digits of a message id: {text!r}")
        number = number * 32 + value
    if number > _MOST:
        raise ValueError(f"not a message id: {text!r}")
    return number
