"""Foreign programs and rights that a test needs, asked for by name.

A test that meets another program's idea of a protocol is worth nothing when it is silently not run. So a
missing peer skips with the Debian package that would bring it, and `make test` lists every skip. With
CI=true, where the packages are installed, it fails instead.

    from tests.peers import require_peer

    def test_swaks_is_accepted() -> None:
        swaks = require_peer("swaks")
"""

import os
import shutil
from pathlib import Path
from typing import Final, NoReturn

import pytest

# Command -> Debian package. The packages are listed again, with the reason for each, in .ci/packages; a test
# compares the two.
PACKAGES: Final = {
    "/usr/bin/fastforward": "fastforward",
    "/usr/bin/printforward": "fastforward",
    "/usr/bin/printmaillist": "fastforward",
    "/usr/bin/rblsmtpd": "ucspi-tcp",
    "/usr/bin/setforward": "fastforward",
    "/usr/bin/setlock": "daemontools",
    "/usr/bin/setmaillist": "fastforward",
    "/usr/bin/tcprules": "ucspi-tcp",
    "/usr/bin/tcprulescheck": "ucspi-tcp",
    "tcpserver": "ucspi-tcp",
    "/usr/lib/dovecot/dovecot-lda": "dovecot-core",
    "/usr/lib/dovecot/imap": "dovecot-imapd",
    "cdb": "tinycdb",
    "curl": "curl",
    "delv": "dnsutils",
    "dig": "dnsutils",
    "doveadm": "dovecot-core",
    "exim4": "exim4-daemon-light",
    "fetchmail": "fetchmail",
    "gcc": "gcc",
    "getmail": "getmail6",
    "haproxy": "haproxy",
    "ip": "iproute2",
    "libssl-dev": "libssl-dev",  # no command: asked for where its headers are missing
    "maildrop": "maildrop",
    "mkfs.ext4": "e2fsprogs",
    "mlmmj-make-ml": "mlmmj",
    "mlmmj-receive": "mlmmj",
    "mlmmj-sub": "mlmmj",
    "mount": "util-linux",
    "mpop": "mpop",
    "msmtp": "msmtp",
    "mutt": "mutt",
    "nsenter": "util-linux",
    "openssl": "openssl",
    "php": "php8.2-cli",
    "postconf": "postfix",
    "postfix": "postfix",
    "/usr/lib/dovecot/lmtp": "dovecot-lmtpd",
    "/usr/lib/dovecot/submission": "dovecot-submissiond",
    "postmulti": "postfix",
    "procmail": "procmail",
    "ps": "procps",
    "qmqp-sink": "postfix",
    "qmqp-source": "postfix",
    "s-nail": "s-nail",
    "script": "bsdutils",
    "sendmail": "postfix",
    "setpriv": "util-linux",
    "smtp-sink": "postfix",
    "smtp-source": "postfix",
    "sslscan": "sslscan",
    "swaks": "swaks",
    "testssl": "testssl.sh",
    "unbound": "unbound",
    "unbound-control": "unbound",
    "unshare": "util-linux",
}

# Debian keeps servers' programs where an ordinary user's PATH does not look.
_ADMINISTRATORS_PATH: Final = ("/usr/local/sbin", "/usr/sbin", "/sbin")
# What .ci/run unpacks because it cannot be installed beside another peer.
_UNPACKED_PATH: Final = "/usr/local/lib/paperpath-peers/usr/sbin"


def missing_is_failure() -> bool:
    """Tell whether this run promised to have everything: CI is set, as every CI system does."""
    return os.environ.get("CI", "").lower() in {"1", "true", "yes"}


def find_peer(command: str) -> Path | None:
    """Return the path of `command`, or None."""
    search = os.pathsep.join([os.environ.get("PATH", os.defpath), *_ADMINISTRATORS_PATH, _UNPACKED_PATH])
    found = shutil.which(command, path=search)
    return Path(found) if found else None


def require_peer(command: str) -> Path:
    """Return the path of `command`; without it skip the test, or fail it under CI."""
    found = find_peer(command)
    if found is not None:
        return found
    package = PACKAGES.get(command)
    remedy = f"apt-get install {package}" if package else "no Debian package is on record in tests/peers.py"
    _missing(f"{command} is not installed: {remedy}")


def require_root() -> None:
    """Skip the test unless it runs as root; under CI fail it."""
    if os.geteuid() != 0:
        _missing("needs root: changing users, mounting and the like cannot be tried otherwise")


def _missing(reason: str) -> NoReturn:
    if missing_is_failure():
        pytest.fail(reason, pytrace=False)
    pytest.skip(reason)
