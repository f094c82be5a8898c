"""TLS towards other servers.

As a rule it is without proof of identity: better than clear text, and never a reason not to deliver.  What must travel
under TLS (RFC 8689) goes to servers only that prove who they are.
"""

import os
import re
import ssl

# One file each; OpenSSL's own folder is of links to places that a confined process does not see.
_BUNDLES = ("/etc/ssl/certs/ca-certificates.crt", "/etc/pki/tls/certs/ca-bundle.crt", "/etc/ssl/cert.pem")

_HOST_NAME = re.compile(r"(?=.{1,253}$)(?:[a-z0-9_-]{1,63}\.)*[a-z0-9_-]{1,63}", re.IGNORECASE)


def opportunistic_context() -> ssl.SSLContext:
    """Return the context for peers that need not prove who they are.

    Old ciphers and keys are taken (security level 0): the other choice would be clear text.  Protocols below TLS 1.2
    are not: what speaks nothing newer gets clear text, as RFC 8996 leaves it no better standing.
    """
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.check_hostname = False
    context.verify_mode = ssl.CERT_NONE
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    context.set_ciphers("DEFAULT:@SECLEVEL=0")
    return context


def proving_context(trusted: str) -> ssl.SSLContext:
    """Return the context for peers that must prove who they are, by authorities in PEM; empty: those of the system.

    Raises ValueError where that is no PEM.
    """
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)  # which checks chain and name
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    bundle = next(filter(os.path.exists, _BUNDLES), None)
    try:
        if trusted:
            context.load_verify_locations(cadata=trusted)
        elif bundle is not None:
            context.load_verify_locations(bundle)
        else:
            context.load_default_certs()
    except ssl.SSLError as error:
        raise ValueError(f"the trusted certificates cannot be read: {error.reason}") from None
    return context


def server_name(host: str) -> str | None:
    """Return the name to ask for in the handshake (RFC 6066 3), or None: an address, or nothing a name can be."""
    name = host.removesuffix(".")
    last = name.rpartition(".")[2]
    return name if _HOST_NAME.fullmatch(name) and not last.isdigit() else None
