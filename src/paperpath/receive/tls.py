"""What a session's event tells of TLS."""

from typing import TypedDict

from paperpath.system.tls import TlsDetails


class TlsFields(TypedDict, total=False):
    """The fields of `SessionClosed` that are there with TLS only."""

    tls: str
    server_name: str
    client_certificate: str


def describe_tls(tls: TlsDetails | None) -> TlsFields:
    """Return what the handshake agreed on, as the event has it."""
    if tls is None:
        return {}
    fields: TlsFields = {"tls": f"{tls} {tls.bits}"}
    if tls.sni:
        fields["server_name"] = tls.sni
    if tls.client_fingerprint:
        fields["client_certificate"] = tls.client_fingerprint
    return fields
