"""xtext (RFC 3461 4): any bytes as printable ASCII, for values of SMTP parameters.

Every byte stands for itself but ``+``, ``=`` and what does not print, which are ``+`` and two capital hex digits.
"""

import re

_NOT_XCHAR = re.compile(rb"[^!-*,-<>-~]")
_HEXCHAR = re.compile(rb"\+([0-9A-F]{2})")
_XTEXT = re.compile(rb"(?:[!-*,-<>-~]|\+[0-9A-F]{2})*+")


def is_xtext(text: bytes) -> bool:
    """Tell whether these bytes follow the rules; no bytes at all do."""
    return _XTEXT.fullmatch(text) is not None


def encode_xtext(raw: bytes) -> bytes:
    """Return any bytes as xtext."""
    return _NOT_XCHAR.sub(lambda found: b"+%02X" % found[0][0], raw)


def decode_xtext(text: bytes) -> bytes:
    """Return what xtext stands for.  Raises ValueError where it is none."""
    if not is_xtext(text):
        raise ValueError("not xtext")
    return _HEXCHAR.sub(lambda found: bytes([int(found[1], 16)]), text)
