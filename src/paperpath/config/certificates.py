"""The files of `[tls]` as they are now: read by whoever starts the service, watched for changes."""

import os
from collections.abc import Iterator

from paperpath.config.schema_tls import Tls
from paperpath.wire.tls import Pair, TlsSettings

_FILE_MOST_BYTES = 256 * 1024
"""A chain of certificates has some 5 KiB."""

FileState = tuple[tuple[str, int, int, int] | None, ...]


def read_tls(tls: Tls) -> TlsSettings | None:
    """Return certificates and keys, None where none are set.  Raises ValueError where a file cannot be read."""
    if not tls.certificate:
        return None
    return TlsSettings(
        pairs=tuple(
            Pair(name=certificate, server_names=names, certificate=read_pem(certificate), key=read_pem(key))
            for names, certificate, key in pairs_of(tls)
        ),
        minimum=tls.minimum,
        relay_fingerprints=frozenset(tls.relay_fingerprints),
    )


def pairs_of(tls: Tls) -> Iterator[tuple[tuple[str, ...], str, str]]:
    """Yield names, certificate file and key file of each pair, the one for all other names first."""
    if tls.certificate:
        yield (), tls.certificate, tls.key
    for one in tls.certificates:
        yield one.names, one.certificate, one.key


def files_state(tls: Tls) -> FileState:
    """Return what differs once one of the files was written or replaced."""
    return tuple(_state(file) for _, certificate, key in pairs_of(tls) for file in (certificate, key))


def _state(file: str) -> tuple[str, int, int, int] | None:
    try:
        now = os.stat(file)
    except OSError:
        return None
    return file, now.st_ino, now.st_mtime_ns, now.st_size


def read_pem(file: str) -> bytes:
    try:
        with open(file, "rb") as opened:
            data = opened.read(_FILE_MOST_BYTES + 1)
    except OSError as error:
        raise ValueError(f"{file}: cannot be read: {error.strerror}") from None
    if len(data) > _FILE_MOST_BYTES:
        raise ValueError(f"{file}: is far too long for a certificate or a key")
    return data
