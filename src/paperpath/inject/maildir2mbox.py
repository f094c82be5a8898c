"""maildir2mbox: moves the messages of a Maildir into an mbox (qmail-interfaces 17.2)."""

import os

from paperpath.delivery.environment import from_line
from paperpath.inject import maildirs
from paperpath.inject.command import TEMPORARY, fatal, reason, say
from paperpath.system import helpers

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterator

_PATH = b"Return-Path: <"
_UNKNOWN = b"X" * 3  # written out it would be taken for a note of unfinished work


def main(_argv: list[str]) -> int:
    """Return 0, or 111; then every message is where it was, in the Maildir."""
    os.umask(0o077)
    mbox, temporary = os.environb.get(b"MAIL"), os.environb.get(b"MAILTMP")
    if mbox is None or temporary is None:
        return fatal("maildir2mbox", f"{'MAIL' if mbox is None else 'MAILTMP'} not set", TEMPORARY)
    try:
        maildirs.enter()
        maildirs.clean()
        messages = maildirs.scan((b"new", b"cur"))
    except maildirs.Fatal as error:
        return fatal("maildir2mbox", str(error), TEMPORARY)
    if not messages:
        return 0
    try:
        helpers.rewrite_mbox(mbox, temporary, _entries(messages))
    except OSError as error:
        return fatal("maildir2mbox", f"{_failed(error, mbox, temporary)}: {reason(error)}", TEMPORARY)
    for _, path in messages:
        _remove(path)
    return 0


def _failed(error: OSError, mbox: bytes, temporary: bytes) -> str:
    """Return what could not be done."""
    name = os.fsencode(error.filename or mbox)
    if error.filename2 is not None:
        return f"unable to move {os.fsdecode(temporary)} to {os.fsdecode(mbox)}"
    if name == mbox:
        return f"unable to lock {os.fsdecode(mbox)}"
    if name == temporary:
        return f"unable to create {os.fsdecode(temporary)}"
    return f"unable to read $MAILDIR/{os.fsdecode(name)}"


def _remove(path: bytes) -> None:
    try:
        helpers.remove(path)
    except OSError as error:
        why = f"will be delivered twice; unable to unlink: {reason(error)}"
        say(f"maildir2mbox: warning: $MAILDIR/{os.fsdecode(path)} {why}")


def _entries(messages: list[tuple[int, bytes]]) -> "Iterator[bytes]":
    for time, path in messages:
        with open(path, "rb") as file:
            yield from entry(file, time)


def entry(lines: "Iterator[bytes]", time: int) -> "Iterator[bytes]":
    """Yield what an mbox holds for the lines of a message that came at ``time``, seconds since the epoch."""
    last = first = next(lines, b"")
    sender = first.rstrip(b"\n")[len(_PATH) : -1] if first.startswith(_PATH) else _UNKNOWN
    yield from_line(sender, time)
    while last:
        yield b">" + last if last.lstrip(b">").startswith(b"From ") else last
        following = next(lines, b"")
        if not following and not last.endswith(b"\n"):
            yield b"\n"
        last = following
    yield b"\n"
