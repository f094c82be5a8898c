"""From an address to the folder of its mailbox: the one grammar of account names, which makes them safe as paths.

Imports nothing but the standard library's `os` and `re`: `local`'s root half loads this.
"""

import os
import re

_LOCAL_PART_MOST_BYTES = 64
"""RFC 5321 4.5.3.1.1."""
_DOMAIN_MOST_BYTES = 253

# A name begins with a letter, digit or underscore: never a dot (hidden folders, ".."), never a dash.  It holds no
# slash, no space, nothing that a shell or a log would have to quote.
_LOCAL_PART = re.compile(rb"[a-z0-9_][a-z0-9._+=-]*")
_LABEL = rb"[a-z0-9_](?:[a-z0-9_-]{0,61}[a-z0-9_])?"
_DOMAIN = re.compile(_LABEL + rb"(?:\." + _LABEL + rb")*")

REMOVED = ".removed"
"""Folder beside the domains that takes the mailboxes of removed accounts; no domain has this name."""


def account_name(address: bytes) -> tuple[str, str] | None:
    """Return local part and domain of the account of this address, in lower case; None where it cannot be one."""
    local, _, domain = address.lower().rpartition(b"@")
    if len(local) > _LOCAL_PART_MOST_BYTES or len(domain) > _DOMAIN_MOST_BYTES:
        return None
    if not _LOCAL_PART.fullmatch(local) or not _DOMAIN.fullmatch(domain):
        return None
    return local.decode("ascii"), domain.decode("ascii")


def without_tag(local: bytes) -> tuple[bytes, ...]:
    """Return the names that a local part of a mailbox may mean, in the order in which they are looked for."""
    name, plus, _ = local.partition(b"+")
    return (local, name) if plus else (local,)


def mailbox_folder(mail_root: str, address: bytes) -> str | None:
    """Return the account's folder, ``MAIL_ROOT/DOMAIN/LOCAL``; its mailbox is ``Maildir`` in it.

    None where the address cannot be an account, whatever exists.  For deliveries an account exists where ``Maildir``
    does; whether the domain is one of ``[mailboxes]`` is for the caller to know.
    """
    name = account_name(address)
    return None if name is None else os.path.join(mail_root, name[1], name[0])
