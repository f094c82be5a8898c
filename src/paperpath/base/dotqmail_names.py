"""Names of the dot-qmail files that may instruct the delivery for an extension, as qmail chooses them.

`local`'s root half asks with them whether a recipient exists, a worker which file it is to follow: both must
come to the same answer, so both ask here.
"""

_FALLBACK = b"default"
_BREAK = b"-"


def safe_extension(extension: bytes) -> bytes:
    """Return an extension as file names spell it: ASCII upper case folded, dots turned to colons.

    Slashes stay: accounts whose dash is ``-/`` keep one folder of instructions on purpose.
    """
    return extension.lower().replace(b".", b":")


def candidates(dash: bytes | str, extension: bytes) -> list[bytes]:
    """Return the names to look for, the most particular first, relative to the account's home."""
    start = _start(dash)
    safe = safe_extension(extension)
    names = [start + safe]
    at = len(safe)
    while at >= 0:
        if at == 0 or safe[at - 1 : at] == _BREAK:
            name = start + safe[:at] + _FALLBACK
            if name not in names[:1]:
                names.append(name)
        at -= 1
    return names


def owner_names(dash: bytes | str, extension: bytes) -> tuple[bytes, bytes]:
    """Return the names whose presence gives forwards a sender of their own: an owner's, and one for VERP."""
    exact = _start(dash) + safe_extension(extension)
    return exact + b"-owner", exact + b"-owner-default"


def default_part(dash: bytes | str, extension: bytes, chosen: bytes) -> bytes | None:
    """Return what of the extension, in its own spelling, ``default`` stands for in the ``chosen`` name.

    None where the name does not end so, or where the dash alone does.
    """
    at = len(chosen) - len(_FALLBACK) - len(_start(dash))
    return extension[at:] if at >= 0 and chosen.endswith(_FALLBACK) else None


def _start(dash: bytes | str) -> bytes:
    return b".qmail" + (dash.encode("utf-8", "surrogateescape") if isinstance(dash, str) else dash)
