"""How messages of the queue look: to people in aligned lines, to programs as JSON.

Addresses, destinations and remarks come from strangers and are shown through `base.text`.
"""

from collections.abc import Sequence
from typing import Any

from paperpath.base.dates import iso8601
from paperpath.base.ids import show_id
from paperpath.base.text import one_line, show
from paperpath.cli.queue_wishes import message_wishes, recipient_wishes
from paperpath.cli.show import age, count, say, size, strong, table
from paperpath.wire.control import MessageView, Numbers, RecipientView, Why

_LIST = "{:<11}  {:>4}  {:>7}  {:>7}  {:<5}  {}"
LIST_HEADER = _LIST.format("ID", "AGE", "SIZE", "WAITING", "STATE", "SENDER")


def list_line(message: MessageView, now: float) -> str:
    """Return a message as one line under ``LIST_HEADER``."""
    state = "held" if message.held else "-"
    return _LIST.format(
        show_id(message.message),
        age(now - message.birth),
        size(message.size),
        f"{message.recipient_count:,}",
        state,
        _sender(message.sender),
    )


def print_message(message: MessageView, now: float) -> None:
    """Print everything about a message."""
    _print_head(message, now)
    say()
    if message.recipients:
        table(
            ("RECIPIENT", "VIA", "STATE", "NEXT", "TRIES", "LAST"),
            [_recipient_row(recipient, now) for recipient in message.recipients],
            right=(3, 4),
        )
    for recipient in message.recipients:
        if recipient.terms is not None:
            say(f"{show(recipient.address)} asks for {', '.join(recipient_wishes(recipient.terms))}")
    if message.recipient_count > len(message.recipients):
        say(f"… and {count(message.recipient_count - len(message.recipients), 'recipient')} more")
    if message.history:
        say()
        _print_history(message)


def print_why(recipients: Sequence[Why], now: float) -> None:
    """Print why each recipient waits."""
    for one in recipients:
        when = f"; until {iso8601(one.until)}, in {age(one.until - now)}" if one.until > now else ""
        say(f"{strong(show(one.address))}: {one_line(one.reason, 2000)}{when}")


def print_trace(message: MessageView, now: float) -> None:
    """Print a message's history and where it is now."""
    say(f"{iso8601(message.birth)}  accepted from {show(message.origin.encode())}, {size(message.size)}")
    _print_history(message)
    say(strong("now:"))
    if message.held:
        say("  on hold, until `paperpath queue release`")
    for recipient in message.recipients:
        say(f"  {show(recipient.address)}: {_whereabouts(recipient, now)}")
    if message.recipient_count > len(message.recipients):
        say(f"  … and {count(message.recipient_count - len(message.recipients), 'recipient')} more")


def print_stats(numbers: Numbers, now: float) -> None:
    """Print the numbers of the queue."""
    oldest = age(now - numbers.oldest_birth) if numbers.oldest_birth else "-"
    rows = [
        ("messages", f"{numbers.messages:,}"),
        ("  on hold", f"{numbers.held:,}"),
        ("recipients", f"{numbers.recipients:,}"),
        ("  under way", f"{numbers.under_way:,}"),
        ("  due now", f"{numbers.due:,}"),
        ("  waiting for a later attempt", f"{numbers.deferred:,}"),
        ("content", size(numbers.content_bytes)),
        ("oldest message", oldest),
    ]
    width = max(len(name) for name, _ in rows)
    most = max(len(value) for _, value in rows)
    for name, value in rows:
        say(f"{name:<{width}}  {value:>{most}}")


def summary_json(message: MessageView) -> dict[str, Any]:
    """Return a message without its recipients."""
    return {
        "id": show_id(message.message),
        "sender": show(message.sender),
        "birth": message.birth,
        "size": message.size,
        "origin": show(message.origin.encode()),
        "held": message.held,
        "recipient_count": message.recipient_count,
        "asks_for": [] if message.terms is None else message_wishes(message.terms),
    }


def message_json(message: MessageView) -> dict[str, Any]:
    """Return a message with its recipients and its history."""
    recipients = [
        {
            "number": recipient.number,
            "address": show(recipient.address),
            "channel": recipient.channel,
            "destination": recipient.destination,
            "state": recipient.state,
            "due": recipient.due,
            "attempts": recipient.attempts,
            "last": recipient.last,
            "asks_for": [] if recipient.terms is None else recipient_wishes(recipient.terms),
        }
        for recipient in message.recipients
    ]
    return summary_json(message) | {"recipients": recipients, "history": _history_json(message)}


def trace_json(message: MessageView) -> dict[str, Any]:
    """Return what happened to a message, and where its recipients are."""
    full = message_json(message)
    return {name: full[name] for name in ("id", "birth", "origin", "held", "history", "recipients")}


def why_json(one: Why) -> dict[str, Any]:
    """Return one recipient's reason."""
    return {"number": one.number, "address": show(one.address), "reason": one.reason, "until": one.until}


def stats_json(numbers: Numbers) -> dict[str, int]:
    """Return the numbers of the queue under the names of the frame."""
    return {name: getattr(numbers, name) for name in numbers.__struct_fields__}


def _history_json(message: MessageView) -> list[dict[str, Any]]:
    return [{"at": step.at, "text": step.text} for step in message.history]


def _sender(sender: bytes) -> str:
    return show(sender) if sender else "<> (a report)"


def _print_head(message: MessageView, now: float) -> None:
    rows = [
        ("message", show_id(message.message) + (" (on hold)" if message.held else "")),
        ("sender", _sender(message.sender)),
        ("accepted", f"{iso8601(message.birth)}, {age(now - message.birth)} ago, from {show(message.origin.encode())}"),
        ("size", size(message.size)),
        ("waiting", count(message.recipient_count, "recipient")),
        *([("asks for", ", ".join(message_wishes(message.terms)))] if message.terms is not None else []),
    ]
    for name, value in rows:
        say(f"{strong(f'{name:<9}')} {value}")


def _recipient_row(recipient: RecipientView, now: float) -> tuple[str, ...]:
    return (
        show(recipient.address),
        recipient.channel,
        recipient.state,
        _next(recipient, now),
        str(recipient.attempts),
        one_line(recipient.last) or "-",
    )


def _next(recipient: RecipientView, now: float) -> str:
    if recipient.state != "waiting":
        return "-"
    return f"in {age(recipient.due - now)}" if recipient.due > now else "now"


def _whereabouts(recipient: RecipientView, now: float) -> str:
    via = f"{recipient.channel} to {one_line(recipient.destination)}"
    if recipient.state == "under-way":
        return f"being delivered, {via}"
    if recipient.state == "held":
        return f"on hold, {via}"
    due = f"next attempt in {age(recipient.due - now)}" if recipient.due > now else "due now"
    tried = f", tried {count(recipient.attempts, 'time')}" if recipient.attempts else ""
    last = f": {one_line(recipient.last)}" if recipient.last else ""
    return f"waits, {via}, {due}{tried}{last}"


def _print_history(message: MessageView) -> None:
    for step in message.history:
        say(f"{iso8601(step.at)}  {one_line(step.text, 2000)}")
