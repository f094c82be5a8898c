"""Ports for logins at which nobody can show a password: what `init`, `check-config`, `tls` and `doctor` say of them."""

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from paperpath.config.schema import Config

ADVICE = 'set certificate and key in [tls]; or for clients on this host alone, [auth] plain_in_clear = "loopback"'


def without_passwords(config: "Config") -> str:
    """Return what is to be told, or nothing where each port for logins takes passwords."""
    from paperpath.config import logins

    found = logins.without_passwords(config)
    if not found:
        return ""
    where = ", ".join(f"{one.service} {one.address}" for one in found)
    return f"no password is taken at {where}: there is no certificate, and without TLS anybody could read it on its way"
