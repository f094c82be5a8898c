"""Fill Paperpath's store with mail that waits, as a long outage of other servers would."""

import time
from pathlib import Path
from typing import Final

from paperpath.store.contract import Defer, NewMessage, NewRecipient
from paperpath.store.sqlite import SqliteStore

_DESTINATIONS: Final = 1000
_BATCH: Final = 1000
"""Messages in one commit."""

_NEXT_TRY_S: Final = 86_400
"""So far ahead that none is tried while something is being measured."""

_CONTENT: Final = b"Subject: waiting\r\n\r\n" + b"x" * 492
_TRACE: Final = b"Received: from load.test by mx.paperpath.test with ESMTP; Thu, 01 Jan 2026 00:00:00 +0000\r\n"


def fill(folder: Path, messages: int) -> None:
    """Put `messages` that were tried once and deferred into the store in `folder`, whose server must not run."""
    now = int(time.time())
    store = SqliteStore(str(folder))
    store.open(now)
    try:
        for first in range(1, messages + 1, _BATCH):
            numbers = range(first, min(first + _BATCH, messages + 1))
            with store.transaction():
                store.accept([_message(number, now) for number in numbers])
            with store.transaction():
                defers = [Defer(number, 0, now + _NEXT_TRY_S, "no answer from the other server") for number in numbers]
                store.settle(defers, [], now)
    finally:
        store.close()


def _message(number: int, now: int) -> NewMessage:
    domain = f"d{number % _DESTINATIONS}.test"
    recipient = NewRecipient(b"r%d@%s" % (number, domain.encode()), "remote", domain, True)
    return NewMessage(
        message=number,
        sender=b"sender@load.test",
        trace=_TRACE,
        content=_CONTENT,
        size=len(_TRACE) + len(_CONTENT),
        birth=now,
        origin="smtp",
        smtputf8=False,
        recipients=(recipient,),
    )
