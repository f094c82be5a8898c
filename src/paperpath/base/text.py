"""Bytes from strangers, and errors, made fit to be shown: in a log line, on a terminal, in a report."""


def _escaped(text: str) -> str:
    """Return ``text`` with whatever does not print as itself written as an escape.

    Not printing are controls, marks that turn the direction of text or have no width, unassigned characters,
    and every blank but the plain one; the Unicode tables of Python know them.
    """
    return "".join(character if character.isprintable() else _escape(ord(character)) for character in text)


def _escape(code: int) -> str:
    """Return ``\\xHH`` for a byte, ``\\uHHHH`` or ``\\UHHHHHHHH`` for a character above ASCII: never the same
    for two."""
    if code < 0x80:
        return f"\\x{code:02x}"
    if 0xDC80 <= code <= 0xDCFF:  # a byte that was not UTF-8, carried by surrogateescape
        return f"\\x{code - 0xDC00:02x}"
    return f"\\u{code:04x}" if code < 0x10000 else f"\\U{code:08x}"


def show(raw: bytes) -> str:
    """Return printable text: UTF-8 where it is that; the rest, and the backslash, as escapes.

    Different bytes never look the same.
    """
    text = raw.decode("utf-8", "surrogateescape")
    if text.isprintable() and "\\" not in text:
        return text
    return "\\x5c".join(_escaped(piece) for piece in text.split("\\"))


def one_line(text: str, most: int = 500) -> str:
    """Return ``text`` safe for one log line or reply line, cut to ``most`` characters (at least 3).

    Text that is so already comes back as it is: several may make sure in turn.
    """
    flat = " ".join(text.split())
    safe = flat if flat.isprintable() else _escaped(flat)
    return safe if len(safe) <= most else safe[: most - 3] + "..."


def describe(error: object) -> str:
    """Return an exception's type, text and the place it came from, in one line."""
    if not isinstance(error, BaseException):
        return str(error)
    trace, place = error.__traceback__, ""
    while trace is not None:
        place = f" at {trace.tb_frame.f_code.co_name}:{trace.tb_lineno}"
        trace = trace.tb_next
    return f"{type(error).__name__}: {error}{place}"
