"""What of a sender's terms a server is told, what stands in the way of that, and how many recipients it takes at once.

Nothing is said to a server that did not offer it.
"""

from collections.abc import Sequence

from paperpath.base.address import domain_of
from paperpath.base.terms import NEVER, MessageTerms, RecipientTerms
from paperpath.protocol.smtp_client_events import Capabilities, Transaction

_TLS_WANTED = "7.10"  # RFC 8689 4.2.1
_REQUIRETLS_WANTED = "7.30"  # RFC 8689 4.2.1
_NOT_CAPABLE = "3.3"  # RFC 3463 3.4
_LIMIT_DIGITS = 6  # RFC 9422 4.1: up to six digits
_LIMITS = {
    b"MAILMAX": "mails_most",
    b"RCPTMAX": "recipients_most",
    b"RCPTDOMAINMAX": "recipient_domains_most",
}


def is_termed(transaction: Transaction) -> bool:
    """Tell whether anybody asked for anything."""
    return transaction.terms is not None or transaction.recipient_terms != ()


def obstacle(
    transaction: Transaction, terms: MessageTerms, offered: Capabilities, *, secure: bool
) -> tuple[str, str] | None:
    """Return why the message may not go to this server, and the detail of the status; None where it may.

    RFC 8689 4.2.1: what must travel under TLS goes to nobody who would send it on without; a report is the exception
    (section 5), as it would be lost.  RFC 2852 4.1.4.1: what is to be returned after a time goes to nobody who does
    not know that, or wants longer.
    """
    if terms.require_tls and transaction.sender:
        if not secure:
            return "the message must travel under TLS, and the server offers none", _TLS_WANTED
        if not offered.require_tls:
            return "the message must travel under TLS all the way, and the server does not promise that", (
                _REQUIRETLS_WANTED
            )
    if terms.by_mode == "R":
        if not offered.deliver_by:
            return "the message is to be returned after a time, and the server does not know how", _NOT_CAPABLE
        if offered.deliver_by_least_s > transaction.left_s:
            return "the message is to be returned before the time that the server wants for it", _NOT_CAPABLE
    return None


def mail_parameters(transaction: Transaction, offered: Capabilities, *, secure: bool) -> bytes:
    """Return the parameters of MAIL, each with a blank before it."""
    terms = transaction.terms
    if terms is None:
        return b""
    words: list[bytes] = []
    if offered.dsn:
        words += [b"RET=" + terms.returns.encode()] if terms.returns else []
        words += [b"ENVID=" + terms.envelope_id] if terms.envelope_id else []
    if terms.require_tls and offered.require_tls and secure:
        words.append(b"REQUIRETLS")
    if terms.by_mode and offered.deliver_by:
        trace = b"T" if terms.by_trace else b""
        words.append(b"BY=%d;%b%b" % (_within_range(transaction.left_s), terms.by_mode.encode(), trace))
    if terms.priority and offered.mt_priority:
        words.append(b"MT-PRIORITY=%d" % terms.priority)
    return b"".join(b" " + word for word in words)


def _within_range(seconds: int) -> int:
    """RFC 2852 4: nine digits."""
    return max(-999_999_999, min(999_999_999, seconds))


def recipient_parameters(asked: MessageTerms | None, terms: RecipientTerms | None, offered: Capabilities) -> bytes:
    """Return the parameters of RCPT, each with a blank before it (RFC 3461 5.2.1)."""
    if not offered.dsn:
        return b""
    notify = "" if terms is None else terms.notify
    if asked is not None and asked.by_mode == "N" and not offered.deliver_by:
        notify = _with_delay(notify)
    words = b" NOTIFY=" + notify.encode() if notify else b""
    return words + (b" ORCPT=" + terms.original if terms is not None and terms.original else b"")


def _with_delay(notify: str) -> str:
    """RFC 2852 4.1.4.2: a server that knows no deadlines may at least tell of a delay."""
    if notify == NEVER or "DELAY" in notify:
        return notify
    return f"{notify or 'FAILURE'},DELAY"


def one_round(places: list[int], recipients: Sequence[bytes], offered: Capabilities) -> tuple[list[int], list[int]]:
    """Divide recipients into those of this transaction and those of later ones (RFC 9422 4.2, 4.3)."""
    most, domains_most = offered.recipients_most, offered.recipient_domains_most
    if not domains_most:
        return (places[:most], places[most:]) if most else (places, [])
    domains: set[bytes] = set()
    taken: list[int] = []
    left: list[int] = []
    for place in places:
        domain = domain_of(recipients[place])
        fits = (not most or len(taken) < most) and (domain in domains or len(domains) < domains_most)
        (taken if fits else left).append(place)
        domains.update([domain] if fits else [])
    return taken, left


def read_limits(words: Sequence[bytes]) -> dict[str, int]:
    """Return the fields of `Capabilities` that LIMITS sets (RFC 9422 3.7, 4): what is not a number is passed over."""
    fields: dict[str, int] = {}
    for word in words:
        name, _, value = word.partition(b"=")
        field = _LIMITS.get(name)
        if field is not None and value.isdigit() and len(value) <= _LIMIT_DIGITS and int(value):
            fields[field] = int(value)
    return fields
