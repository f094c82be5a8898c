"""qmail-qstat: how many messages are in the queue (qmail-interfaces 18)."""

import sys

from paperpath.inject.control import NoAnswer, ask
from paperpath.wire.control import Statistics


def main(_argv: list[str]) -> int:
    """Print two lines; nothing ever waits to be preprocessed here."""
    try:
        messages = ask(Statistics()).messages
    except NoAnswer as error:
        sys.stderr.write(f"qmail-qstat: fatal: {error}\n")
        return 111
    print(f"messages in queue: {messages}\nmessages in queue but not yet preprocessed: 0")
    return 0
