"""Numbers as C programs read them: what a text begins with.  Programs that live for a millisecond import this."""


def leading_digits(text: bytes) -> bytes:
    """Return the ASCII digits that a text begins with; there may be none, or more than anybody counts to."""
    return text[: len(text) - len(text.lstrip(b"0123456789"))]
