"""What is in the certificate files of `[tls]`, and what is wrong with it: for `tls`, `doctor` and `check-config`."""

import errno
import os
import stat
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Literal

from paperpath.cli.show import count

if TYPE_CHECKING:
    from cryptography.x509 import Certificate

    from paperpath.config.schema import Config

EXPIRES_SOON_S = 21 * 86400
"""Warned from then on: renewal begins a month before the end, and has failed for a week."""


@dataclass(frozen=True, slots=True)
class Trouble:
    """Something wrong with a pair; ``bad``: clients cannot use it, or the server does not take it."""

    kind: Literal["unreadable", "unusable", "expired", "early", "soon", "name", "open"]
    bad: bool
    text: str


@dataclass(frozen=True, slots=True)
class Looked:
    """One pair of files, and what they hold."""

    certificate: str
    key: str
    shown_for: tuple[str, ...]
    """Names asked for that it is shown to; none: everybody else."""
    names: tuple[str, ...] = ()
    """Those that the certificate is for."""
    issuer: str = ""
    begins: int = 0
    ends: int = 0
    """Seconds since the epoch."""
    sha256: str = ""
    chain: int = 0
    """Certificates in the file."""
    troubles: tuple[Trouble, ...] = ()


def look(config: "Config", now: float) -> list[Looked]:
    """Look at every pair of `[tls]`."""
    from paperpath.config.certificates import pairs_of

    return [_look(config, names, certificate, key, now) for names, certificate, key in pairs_of(config.tls)]


def _look(config: "Config", names: tuple[str, ...], certificate: str, key: str, now: float) -> Looked:
    from cryptography import x509

    from paperpath.config.certificates import read_pem
    from paperpath.system.tls import ServerTls
    from paperpath.wire.tls import Pair, TlsSettings

    bare = Looked(certificate, key, names)
    try:
        chain_pem = read_pem(certificate)
        chain = x509.load_pem_x509_certificates(chain_pem)
    except ValueError as error:
        return _with(bare, _not_taken(_without_file(str(error), certificate)))
    found = _described(bare, chain)
    troubles = list(_of_certificate(found, names or (config.hostname,), now))
    try:
        ServerTls(TlsSettings((Pair(certificate, names, chain_pem, read_pem(key)),)))
    except ValueError as error:
        troubles.insert(0, _not_taken(_without_file(str(error), certificate)))
    else:
        troubles += _of_key_file(key)
    return _with(found, *troubles)


def _not_taken(wrong: str) -> Trouble:
    """Return what stops the server; but only whoever starts it need be able to read the files."""
    denied = wrong.endswith(f"cannot be read: {os.strerror(errno.EACCES)}")
    return Trouble("unreadable" if denied else "unusable", bad=True, text=wrong)


def _with(looked: Looked, *troubles: Trouble) -> Looked:
    from dataclasses import replace

    return replace(looked, troubles=troubles)


def _without_file(text: str, file: str) -> str:
    return text.removeprefix(f"{file}: ")


def _described(bare: Looked, chain: "list[Certificate]") -> Looked:
    from dataclasses import replace

    from cryptography import x509
    from cryptography.hazmat.primitives import hashes

    first = chain[0]
    try:
        alternatives = first.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
        names = tuple(name.lower() for name in alternatives.get_values_for_type(x509.DNSName))
    except (x509.ExtensionNotFound, ValueError):
        names = ()
    return replace(
        bare,
        names=names,
        issuer=first.issuer.rfc4514_string(),
        begins=int(first.not_valid_before_utc.timestamp()),
        ends=int(first.not_valid_after_utc.timestamp()),
        sha256=first.fingerprint(hashes.SHA256()).hex(),
        chain=len(chain),
    )


def _of_certificate(found: Looked, wanted: tuple[str, ...], now: float) -> Iterator[Trouble]:
    left_s = found.ends - now
    if left_s <= 0:
        yield Trouble("expired", bad=True, text=f"expired on {day(found.ends)}")
    elif found.begins > now:
        yield Trouble("early", bad=True, text=f"is not valid before {day(found.begins)}")
    elif left_s < EXPIRES_SOON_S:
        yield Trouble("soon", bad=False, text=f"expires on {day(found.ends)}, in {count(int(left_s // 86400), 'day')}")
    missing = [name for name in wanted if not _covers(found.names, name)]
    if missing:
        yield Trouble("name", bad=False, text=f"is not for {', '.join(missing)}")


def _of_key_file(key: str) -> Iterator[Trouble]:
    mode = stat.S_IMODE(os.stat(key).st_mode)
    if mode & 0o007:
        yield Trouble("open", bad=False, text=f"{key} is open to everybody on this host: mode {mode:04o}")


def _covers(names: tuple[str, ...], wanted: str) -> bool:
    """RFC 9525 6.3: a wildcard stands for one label; ``.suffix`` in the settings needs one."""
    if wanted.startswith("."):
        return f"*{wanted}" in names
    return wanted in names or f"*.{wanted.partition('.')[2]}" in names


def day(moment: int) -> str:
    """Return a day as people write it, in UTC."""
    return datetime.fromtimestamp(moment, UTC).strftime("%Y-%m-%d")
