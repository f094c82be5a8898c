"""What follows from the settings of logins: which mechanisms can work, who needs `auth`, who may send as what."""

import os
from collections.abc import Iterator

from paperpath.config.names import domain_name, local_part
from paperpath.config.schema import Config, Listen
from paperpath.config.schema_auth import Auth, OAuth
from paperpath.wire.logins import SHOWING

LOGIN_SERVICES = frozenset({"submission", "submissions", "pop3", "pop3s"})
"""Where clients log in."""

OUTSIDE_BACKENDS = frozenset({"pam", "checkpassword"})
"""Those that `auth.outside` serves."""

_BY_PASSWORD = frozenset({"PLAIN", "LOGIN"})
_BY_KEYS = frozenset({"SCRAM-SHA-256", "SCRAM-SHA-256-PLUS", "CRAM-MD5", "APOP"})
_BY_TOKEN = frozenset({"OAUTHBEARER", "XOAUTH2"})
_NEEDS_CLEAR = frozenset({"CRAM-MD5", "APOP"})


def needs_auth(config: Config) -> bool:
    """Tell whether any listening socket has a use for `auth`."""
    return any(listen.service in LOGIN_SERVICES for listen in config.listen)


def takes_tokens(oauth: OAuth) -> bool:
    """Tell whether there is anybody to judge bearer tokens."""
    return bool(oauth.introspection or oauth.jwks)


def usable_mechanisms(auth: Auth, oauth: OAuth) -> tuple[str, ...]:
    """Return the mechanisms that somebody can judge, in the order of the setting."""
    usable = frozenset[str]()
    if auth.backends:
        usable |= _BY_PASSWORD
    if "accounts" in auth.backends:
        usable |= _BY_KEYS
    if auth.dovecot_mechanisms:  # without a binding to the channel, which Dovecot cannot know; so nobody has one
        usable = usable - {"SCRAM-SHA-256-PLUS"} | {"SCRAM-SHA-256"}
    if takes_tokens(oauth):
        usable |= _BY_TOKEN
    return tuple(name for name in dict.fromkeys(auth.mechanisms) if name in usable)


def without_passwords(config: Config) -> tuple[Listen, ...]:
    """Return the listening sockets for logins at which no password and no token is ever taken: there is no TLS to
    send it under, and it may not be sent in clear.  Those of a configuration that offers neither are none of them."""
    if config.tls.certificate or config.auth.plain_in_clear != "never":
        return ()
    if SHOWING.isdisjoint(usable_mechanisms(config.auth, config.oauth)):
        return ()
    return tuple(one for one in config.listen if one.service in LOGIN_SERVICES)


def keeps_clear(auth: Auth) -> bool:
    """Tell whether a mechanism is switched on that needs passwords in clear."""
    return not _NEEDS_CLEAR.isdisjoint(auth.mechanisms)


def senders_of(text: str) -> str:
    """Return accounts as ``[senders]`` names them, in the form in which they are compared.  Raises ValueError."""
    accounts = [_account(word) for word in text.split()]
    if not accounts:
        raise ValueError("names no account")
    return " ".join(accounts)


def _account(text: str) -> str:
    local, at, domain = text.rpartition("@")
    return f"{local_part(local)}@{domain_name(domain)}".lower() if at else local_part(text).lower()


def system_domains(config: Config) -> tuple[str, ...]:
    """Return the domains in which a system account's name is its address."""
    return tuple(dict.fromkeys((*config.local.domains, config.hostname)))


def addresses_by_account(config: Config) -> dict[str, tuple[str, ...]]:
    """Return, for each account that has any, what it may send as besides itself: ``[senders]``, and what ``[virtual]``
    gives to a system account whole."""
    found: dict[str, list[str]] = {}
    for address, accounts in config.senders.items():
        for account in accounts.split():
            found.setdefault(account, []).append(address)
    for key, account in config.virtual.items():
        if account and key and not key.startswith("."):
            found.setdefault(account.lower(), []).append(key if "@" in key else f"@{key}")
    return {account: tuple(addresses) for account, addresses in found.items()}


def auth_problems(auth: Auth) -> Iterator[tuple[str, str, str]]:
    """Yield what is wrong: the setting, why, and what to write instead."""
    if "dovecot" in auth.backends and not auth.dovecot:
        yield "auth.dovecot", "the backend dovecot needs the path of its socket", 'write "/run/dovecot/auth-client"'
    if auth.dovecot_mechanisms and "dovecot" not in auth.backends:
        yield "auth.dovecot_mechanisms", "Dovecot is none of the backends", 'add "dovecot" to [auth] backends'
    if "checkpassword" in auth.backends and not auth.checkpassword:
        yield "auth.checkpassword", "the backend checkpassword needs a program", 'write ["/bin/checkpassword", …]'
    if auth.checkpassword and not os.path.isabs(auth.checkpassword[0]):
        yield "auth.checkpassword", f"{auth.checkpassword[0]!r} is not an absolute path", "write the whole path"
    if "/" in auth.pam_service:
        yield "auth.pam_service", f"{auth.pam_service!r} is not a name", "name a file of /etc/pam.d"


def oauth_problems(oauth: OAuth) -> Iterator[tuple[str, str, str]]:
    """Yield the same for ``[oauth]``."""
    for key, url in (("introspection", oauth.introspection), ("jwks", oauth.jwks)):
        if url and not _is_safe(url):
            yield f"oauth.{key}", f"{url!r} is not an https address", 'write "https://host/path"'
    if oauth.introspection and oauth.jwks:
        yield "oauth", "tokens are judged by introspection or by keys, not by both", "leave one of them out"
    if oauth.jwks and not (oauth.audience and oauth.issuer):
        # Without them any token of any service of the same issuer would open a mailbox.
        yield "oauth", "signed tokens need an issuer and an audience", "set both"


def _is_safe(url: str) -> bool:
    """Tell whether a secret may go there: by https, or without it to this host."""
    return url.startswith(("https://", "http://127.0.0.1:", "http://[::1]:"))
