"""forward: sends a message on, out of a dot-qmail file (qmail-interfaces 17.2)."""

import os

from paperpath.inject.queueing import enqueue, limit_bytes
from paperpath.system import injection

_PERMANENT, _TEMPORARY = 100, 111


def main(argv: list[str]) -> int:
    """Queue what qmail-local hands over, for the addresses that are the arguments."""
    environment = os.environb
    sender, line = environment.get(b"NEWSENDER"), environment.get(b"DTLINE")
    if sender is None or line is None:
        return _complain(f"{'DTLINE' if sender is not None else 'NEWSENDER'} not set", _PERMANENT)
    try:
        message = injection.read_to_end(0, limit_bytes())
    except OSError as error:
        from paperpath.base.errno_words import describe

        return _complain(f"unable to read message: {describe(error)}", _TEMPORARY)
    if message is None:
        return _complain("message exceeds the largest size taken here (#5.3.4)", _PERMANENT)
    outcome = enqueue(line + message, sender, [os.fsencode(word) for word in argv[1:]])
    if outcome.text:
        return _complain(outcome.text[1:], outcome.exit_code)
    injection.write_all(2, os.fsencode(f"forward: qp {outcome.words.rpartition(' ')[2] or os.getpid()}\n"))
    return 0


def _complain(text: str, code: int) -> int:
    injection.write_all(2, os.fsencode(f"forward: fatal: {text}\n"))
    return code
