"""The Received field of qmail's own servers (qmail-interfaces 13.5), byte for byte."""

_PLAIN = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789.@%+/=:-[]"
_TABLE = bytes(byte if byte in _PLAIN else ord("?") for byte in range(256))
_MONTHS = (b"Jan", b"Feb", b"Mar", b"Apr", b"May", b"Jun", b"Jul", b"Aug", b"Sep", b"Oct", b"Nov", b"Dec")


def date(parts: tuple[int, int, int, int, int, int]) -> bytes:
    """Return ``26 Sep 1995 04:46:54 -0000`` for year, month, day, hour, minute and second in UTC."""
    year, month, day, hour, minute, second = parts
    return b"%d %b %d %02d:%02d:%02d -0000" % (day, _MONTHS[month - 1], year, hour, minute, second)


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
    called = b"" if helo is None else b" (HELO %b)" % helo.translate(_TABLE)
    user = b"" if info is None else info.translate(_TABLE) + b"@"
    return b"Received: from %b%b (%b%b)\n  by %b with %b; %b\n" % (
        name.translate(_TABLE),
        called,
        user,
        address.translate(_TABLE),
        local.translate(_TABLE),
        protocol,
        date(parts),
    )
