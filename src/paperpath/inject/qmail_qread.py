"""qmail-qread: the messages of the queue and who is to get them (qmail-interfaces 18).

The queue does not keep recipients that are done, so none is shown as ``done``.
"""

import sys
from collections.abc import Iterator

from paperpath.base.ids import show_id
from paperpath.inject.control import NoAnswer, ask
from paperpath.wire.control import ListMessages, MessageView, NoSuchMessage, ShowMessage

_MONTHS = ("Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec")


def main(_argv: list[str]) -> int:
    """Print one head line a message and one line a recipient."""
    try:
        for message in _messages():
            sys.stdout.write(describe(message))
    except NoAnswer as error:
        sys.stderr.write(f"qmail-qread: fatal: {error}\n")
        return 111
    return 0


def _messages() -> Iterator[MessageView]:
    after, more = 0, True
    while more:
        page = ask(ListMessages(after=after))
        for listed in page.messages:
            message = ask(ShowMessage(listed.message))
            after = listed.message
            if not isinstance(message, NoSuchMessage):
                yield message
        more = page.more


def describe(message: MessageView) -> str:
    """Return what is printed of one message."""
    birth = _date(message.birth)
    lines = [f"{birth}  #{show_id(message.message)}  {message.size}  <{_shown(message.sender)}> \n"]
    lines += [f"\t{recipient.channel}\t{_shown(recipient.address)}\n" for recipient in message.recipients]
    return "".join(lines)


def _date(seconds: int) -> str:
    from time import gmtime

    t = gmtime(seconds)
    return f"{t.tm_mday} {_MONTHS[t.tm_mon - 1]} {t.tm_year} {t.tm_hour:02d}:{t.tm_min:02d}:{t.tm_sec:02d} GMT"


def _shown(address: bytes) -> str:
    return "".join(chr(byte) if 32 < byte < 127 else "_" for byte in address)
