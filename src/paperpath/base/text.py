"""Bytes from strangers, made fit to be shown: in a log line, on a terminal, in a report."""

import re

_UNSAFE = re.compile(r"[\x00-\x1f\x7f-\x9f\\\u2028\u2029\u202a-\u202e\u2066-\u2069\ud800-\udfff]")


def _escape(match: re.Match[str]) -> str:
    code = ord(match.group())
    if 0xDC80 <= code <= 0xDCFF:  # a byte that was not UTF-8, carried by surrogateescape
        return f"\\x{code - 0xDC00:02x}"
    return f"\\x{code:02x}" if code < 0x100 else f"\\u{code:04x}"


def show(raw: bytes) -> str:
    """Return printable text: UTF-8 where it is that; controls, text-direction marks, stray bytes as escapes."""
    text = raw.decode("utf-8", "surrogateescape")
    return text if text.isascii() and text.isprintable() and "\\" not in text else _UNSAFE.sub(_escape, text)


def one_line(text: str, most: int = 500) -> str:
    """Return ``text`` safe for one log line or reply line, cut to ``most`` characters."""
    flat = " ".join(text.split())
    return _UNSAFE.sub(_escape, flat if len(flat) <= most else flat[: most - 3] + "...")
