"""qmail-qread: the messages of the queue and who is to get them (qmail-interfaces 18).

The queue does not keep recipients that are done, so none is shown as ``done``.  Where the server cannot be asked, and
the qmail home has a queue of qmail's own, it is that which is shown.
"""

import sys
from collections.abc import Iterator

from paperpath.base.ids import show_id
from paperpath.inject import qmail_queue_folder
from paperpath.inject.command import TEMPORARY, fatal, qmail_home
from paperpath.inject.control import NoAnswer, ask
from paperpath.wire.control import ListMessages, MessageView, NoSuchMessage, ShowMessage


def main(_argv: list[str]) -> int:
    """Print one head line a message and one line a recipient."""
    try:
        for message in _messages():
            sys.stdout.write(describe(message))
    except NoAnswer as error:
        home = qmail_home()
        if not qmail_queue_folder.is_there(home):
            return fatal("qmail-qread", str(error), TEMPORARY)
        for text in qmail_queue_folder.listing(home):
            sys.stdout.write(text)
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
    birth, sender = qmail_queue_folder.date(message.birth), qmail_queue_folder.shown(message.sender)
    lines = [f"{birth}  #{show_id(message.message)}  {message.size}  <{sender}> \n"]
    for recipient in message.recipients:
        lines.append(f"\t{recipient.channel}\t{qmail_queue_folder.shown(recipient.address)}\n")
    return "".join(lines)
