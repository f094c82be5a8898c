"""What a sender asked for beside the delivery, as an operator reads it: SMTP's own words, and times as times."""

from paperpath.base.dates import iso8601
from paperpath.base.terms import MessageTerms, RecipientTerms
from paperpath.base.text import show


def message_wishes(terms: MessageTerms) -> list[str]:
    """Return one entry for each thing that MAIL asked for."""
    by = f"{terms.by_mode}{'T' if terms.by_trace else ''}"
    wishes = {
        f"RET={terms.returns}": terms.returns,
        f"ENVID={show(terms.envelope_id)}": terms.envelope_id,
        "REQUIRETLS": terms.require_tls,
        f"no attempt before {iso8601(terms.hold_until)}": terms.hold_until,
        f"delivery by {iso8601(terms.deliver_by)} (BY {by})": terms.by_mode,
        f"MT-PRIORITY={terms.priority}": terms.priority,
    }
    return [wish for wish, is_asked in wishes.items() if is_asked]


def recipient_wishes(terms: RecipientTerms) -> list[str]:
    """Return one entry for each thing that RCPT asked for, and for each report that was sent already."""
    wishes = {
        f"NOTIFY={terms.notify}": terms.notify,
        f"ORCPT={show(terms.original)}": terms.original,
        "(delay reported)": terms.delay_told,
        "(lateness reported)": terms.late_told,
    }
    return [wish for wish, is_asked in wishes.items() if is_asked]
