"""The Received field of qmail's own servers (qmail-interfaces 13.5), byte for byte."""

from paperpath.base.calendar import MONTHS

_PLAIN = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789.@%+/=:-[]"
PLAIN_TABLE = bytes(byte if byte in _PLAIN else ord("?") for byte in range(256))
"""Makes what strangers call themselves fit for a trace line: every byte that could mean something there is ``?``."""


def date(parts: tuple[int, int, int, int, int, int]) -> bytes:
    """Return ``26 Sep 1995 04:46:54 -0000`` for year, month, day, hour, minute and second in UTC."""
    year, month, day, hour, minute, second = parts
    return f"{day} {MONTHS[month - 1]} {year} {hour:02d}:{minute:02d}:{second:02d} -0000".encode()


def received(
    protocol: bytes,
    name: bytes,
    address: bytes,
    info: bytes | None,
    local: bytes,
    helo: bytes | None,
    parts: tuple[int, int, int, int, int, int],
) -> bytes:
    """Return the field of a message that came from ``name``, ``address``, by ``protocol``, to ``local``.

    ``helo``: what the client calls itself, None where it is the same; ``info``: what its host says of its user.
    """
    called = b"" if helo is None else b" (HELO %b)" % helo.translate(PLAIN_TABLE)
    user = b"" if info is None else info.translate(PLAIN_TABLE) + b"@"
    return b"Received: from %b%b (%b%b)\n  by %b with %b; %b\n" % (
        name.translate(PLAIN_TABLE),
        called,
        user,
        address.translate(PLAIN_TABLE),
        local.translate(PLAIN_TABLE),
        protocol,
        date(parts),
    )
