"""The part of the plan that is about logins: `auth` and its helpers, each only where something needs it."""

import os
from collections.abc import Callable, Iterator
from typing import Final

from paperpath.config.logins import (
    OUTSIDE_BACKENDS,
    addresses_by_account,
    needs_auth,
    system_domains,
    takes_tokens,
    usable_mechanisms,
)
from paperpath.config.places import accounts_file, logins_folder, uses_file
from paperpath.config.schema import Config
from paperpath.process.settings import AuthSettings, Common, OutsideSettings, TokensSettings
from paperpath.supervise.common import common

AUTH: Final = "auth"
OUTSIDE: Final = "auth.outside"
TOKENS: Final = "auth.tokens"
ROLES: Final = (AUTH, OUTSIDE, TOKENS)
"""In the order in which they stop: whoever asks before those who are asked."""

Uid = Callable[[str], int]
_SECRET_MOST_BYTES = 4096


def roles(config: Config) -> tuple[str, ...]:
    """Return which of them run; each has a socket of its own name."""
    if not needs_auth(config):
        return ()
    outside = (OUTSIDE,) if not OUTSIDE_BACKENDS.isdisjoint(config.auth.backends) else ()
    return (*outside, *((TOKENS,) if takes_tokens(config.oauth) else ()), AUTH)


def door(config: Config) -> str:
    """Return the socket of `auth`; nothing where it does not run."""
    return os.path.join(config.paths.run, AUTH) if needs_auth(config) else ""


def mechanisms(config: Config) -> tuple[str, ...]:
    """Return what clients are offered; nothing where `auth` does not run."""
    return usable_mechanisms(config.auth, config.oauth) if needs_auth(config) else ()


def settings(config: Config, uid: Uid, pass_key: bytes) -> Iterator[tuple[str, Common]]:
    """Yield role and settings of each that runs.  Raises ValueError where a file cannot be read."""
    make: dict[str, Callable[[], Common]] = {
        AUTH: lambda: _auth(config, uid, pass_key),
        OUTSIDE: lambda: _outside(config, uid),
        TOKENS: lambda: _tokens(config, uid),
    }
    for role in roles(config):
        yield role, make[role]()


def _auth(config: Config, uid: Uid, pass_key: bytes) -> AuthSettings:
    auth, accounts = config.auth, accounts_file(config)
    return AuthSettings(
        **common(config),
        writable=(logins_folder(config),),
        readable=(accounts.rpartition("/")[0],),
        accounts_file=accounts,
        uses_file=uses_file(config),
        backends=auth.backends,
        mechanisms=frozenset(usable_mechanisms(auth, config.oauth)),
        default_domain=auth.default_domain,
        timeout_s=auth.timeout,
        cache_s=auth.cache,
        dovecot=auth.dovecot,
        dovecot_mechanisms=auth.dovecot_mechanisms,
        takes_tokens=takes_tokens(config.oauth),
        pass_key=pass_key,
        system_domains=system_domains(config),
        senders=addresses_by_account(config),
        client_users=tuple({uid("receive"), uid("pop3")}),
    )


def _outside(config: Config, uid: Uid) -> OutsideSettings:
    return OutsideSettings(
        **common(config),
        pam_service=config.auth.pam_service,
        checkpassword=config.auth.checkpassword,
        timeout_s=config.auth.timeout,
        client_users=(uid(AUTH),),
    )


def _tokens(config: Config, uid: Uid) -> TokensSettings:
    oauth = config.oauth
    return TokensSettings(
        **common(config),
        readable=(oauth.ca_file,) if oauth.ca_file else (),
        introspection=oauth.introspection,
        client_id=oauth.client_id,
        client_secret=_secret(oauth.client_secret_file),
        jwks=oauth.jwks,
        issuer=oauth.issuer,
        audience=oauth.audience,
        account_claim=oauth.account_claim,
        ca_file=oauth.ca_file,
        timeout_s=config.auth.timeout,
        client_users=(uid(AUTH),),
    )


def _secret(file: str) -> str:
    """Return the first line of a file that whoever starts the service may read, and nobody else need."""
    if not file:
        return ""
    try:
        with open(file, encoding="utf-8") as opened:
            return opened.read(_SECRET_MOST_BYTES).partition("\n")[0]
    except (OSError, UnicodeDecodeError) as error:
        raise ValueError(f"[oauth] client_secret_file: {file}: cannot be read: {error}") from None
