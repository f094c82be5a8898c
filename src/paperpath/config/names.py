"""Domain names as settings hold them: lower case, ASCII (IDNA 2008), without a dot at the end."""

import re

# RFC 1123 2.1, and underscores, which DNS allows and some hosts have.
_LABEL = re.compile(r"[a-z0-9_](?:[a-z0-9_-]{0,61}[a-z0-9_])?")
_NAME_MOST = 253
"""RFC 1035 2.3.4: 255 octets on the wire, two of them the first length and the root."""

_LOCAL_PART = re.compile(r"[^\x00-\x20\x7f@]+")


def domain_name(text: str) -> str:
    """Return a domain as it is compared: ``Bücher.Example.`` becomes ``xn--bcher-kva.example``.

    Raises ValueError saying what is wrong with it.
    """
    name = text.removesuffix(".").lower()
    if not name.isascii():
        name = _to_ascii(name)
    if not name:
        raise ValueError("a domain name cannot be empty")
    if len(name) > _NAME_MOST:
        raise ValueError(f"a domain name has at most {_NAME_MOST} characters")
    for label in name.split("."):
        if not _LABEL.fullmatch(label):
            raise ValueError(f"{text!r} is not a domain name: {label!r} cannot be a part of one")
    if name.replace(".", "").isdigit():
        raise ValueError(f"{text!r} is an address, not a domain name")
    return name


def domain_pattern(text: str) -> str:
    """Return a domain, or ``.suffix`` standing for all domains that end so.  Raises ValueError."""
    return "." + domain_name(text[1:]) if text.startswith(".") else domain_name(text)


def local_part(text: str) -> str:
    """Return the local part of an address that an operator wrote.  Raises ValueError."""
    if not _LOCAL_PART.fullmatch(text):
        raise ValueError(f"{text!r} is not the local part of an address")
    return text


def mail_address(text: str) -> str:
    """Return ``local@domain`` with its domain as it is compared.  Raises ValueError."""
    local, at, domain = text.rpartition("@")
    if not at:
        raise ValueError(f"{text!r} is not an address: it has no @")
    return f"{local_part(local)}@{domain_name(domain)}"


def _to_ascii(name: str) -> str:
    import idna  # its tables are large, and few files need them

    try:
        return idna.encode(name, uts46=True).decode()
    except idna.IDNAError as error:
        raise ValueError(f"{name!r} is not a domain name: {error}") from None
