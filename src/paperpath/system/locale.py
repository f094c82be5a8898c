"""The locale that Python takes where the environment names none (PEP 538)."""

import os

_VARIABLE = "LC_CTYPE"
_BEGAN_WITH = "/proc/self/environ"
_READ_BYTES = 1 << 16


def forget_own_locale() -> None:
    """Take the variable out of the environment unless the process began with it: other programs would inherit it."""
    try:
        began_with = os.open(_BEGAN_WITH, os.O_RDONLY | os.O_CLOEXEC)
    except OSError:
        return
    try:
        found = b"\0"
        while part := os.read(began_with, _READ_BYTES):
            found += part
    finally:
        os.close(began_with)
    if b"\0" + os.fsencode(_VARIABLE) + b"=" not in found:
        del os.environ[_VARIABLE]
