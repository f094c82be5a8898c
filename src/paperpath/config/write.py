"""The commented configuration file that `paperpath init` writes."""

import json
from collections.abc import Sequence

_TOP = """\
# Paperpath's configuration.  Every setting is described in docs/reference/configuration.md;
# `paperpath check-config` checks this file.  What is not written here has its default.

# This host's name: in greetings, in trace lines, and as the domain of addresses that come without one.
hostname = {hostname}

# Started as root: every process under its own user ("separate", after `paperpath init --system`),
# or all as root ("caller", to try things out only).  Not root: all run as the caller.
privileges = {privileges}

# Who gets the mail for postmaster at every domain here; empty: the account of that name.
postmaster = {postmaster}
"""

_REST = """\

# Where queue, mailboxes and accounts lie, and the sockets between the processes.
# Relative folders are relative to the folder of this file.
[paths]
state = {state}
run = {run}

# Domains whose local parts are system accounts.
[local]
domains = []

# Domains whose mailboxes are made by `paperpath account add`.
[mailboxes]
domains = {domains}

# Domain (or address, or ".suffix") to the account that handles it:
# [virtual]
# "lists.example.org" = "lists"

# Who may send to domains that are not ours, and domains that we pass on for anybody.
[relay]
networks = ["127.0.0.0/8", "::1/128"]
domains = []

# Fixed next hops instead of the exchangers in DNS; "" stands for every domain:
# [routes]
# "example.net" = "smtp://192.0.2.7:25"
"""


_LOGINS = """\

# Without a certificate ([tls]) passwords can be read on their way: only clients on this host may show theirs.
[auth]
plain_in_clear = "loopback"
"""


def _listen(service: str, address: str) -> str:
    """Return the lines of one listening socket."""
    return f"\n[[listen]]\nservice = {quoted(service)}\naddress = {quoted(address)}\n"


def config_text(
    *,
    hostname: str,
    privileges: str,
    postmaster: str,
    listeners: Sequence[tuple[str, str]],
    domains: Sequence[str],
    state: str,
    run: str,
    logins_in_clear: bool,
) -> str:
    """Return a whole file; ``listeners`` are pairs of service and address, ``domains`` those of mailboxes.

    With ``logins_in_clear`` clients on this host may log in without TLS.
    """
    top = _TOP.format(hostname=quoted(hostname), privileges=quoted(privileges), postmaster=quoted(postmaster))
    rest = _REST.format(
        state=quoted(state),
        run=quoted(run),
        domains="[" + ", ".join(quoted(domain) for domain in domains) + "]",
    )
    return (
        top
        + "".join(_listen(service, address) for service, address in listeners)
        + rest
        + (_LOGINS if logins_in_clear else "")
    )


def quoted(text: str) -> str:
    """Return a text as TOML has it."""
    # A JSON string is a TOML basic string, but for DEL, which JSON leaves as it is (TOML 1.0, String).
    return json.dumps(text, ensure_ascii=False).replace("\x7f", "\\u007f")
