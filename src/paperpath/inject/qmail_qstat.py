"""qmail-qstat: how many messages are in the queue (qmail-interfaces 18).

Where the server cannot be asked, and the qmail home has a queue of qmail's own, it is that which is counted.
"""

from paperpath.inject import qmail_queue_folder
from paperpath.inject.command import TEMPORARY, fatal, qmail_home
from paperpath.inject.control import NoAnswer, ask
from paperpath.wire.control import Statistics


def main(_argv: list[str]) -> int:
    """Print two lines; in the server's queue nothing ever waits to be preprocessed."""
    try:
        messages, unprocessed = ask(Statistics()).messages, 0
    except NoAnswer as error:
        home = qmail_home()
        if not qmail_queue_folder.is_there(home):
            return fatal("qmail-qstat", str(error), TEMPORARY)
        messages, unprocessed = qmail_queue_folder.count(home)
    print(f"messages in queue: {messages}\nmessages in queue but not yet preprocessed: {unprocessed}")
    return 0
