"""maildirwatch: shows on a terminal what is new in a Maildir, every 30 seconds (qmail-interfaces 17.2)."""

from paperpath.inject import maildirs
from paperpath.inject.command import TEMPORARY, fatal, printable
from paperpath.message.composing import field_name, split_message
from paperpath.system import helpers, injection

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterator

_EVERY_S = 30
_TEXT_MOST_BYTES = 158
_READ_BYTES = 256 * 1024
_CLEAR = b"\033[;H\033[;J"


def main(_argv: list[str]) -> int:
    """Show screens until killed; return 111 where the Maildir cannot be read."""
    try:
        maildirs.enter()
        while True:
            maildirs.clean()
            screen = b"".join([describe(message) for message in _messages()])
            injection.write_all(1, _CLEAR + screen)
            helpers.pause(_EVERY_S)
    except maildirs.Fatal as error:
        return fatal("maildirwatch", str(error), TEMPORARY)


def _messages() -> "Iterator[bytes]":
    for _, path in maildirs.scan((b"new",)):
        try:
            with open(path, "rb") as file:
                yield file.read(_READ_BYTES)
        except OSError:
            continue


def describe(message: bytes) -> bytes:
    """Return the lines that are shown of a message."""
    fields, body = split_message(message)
    sender, recipient, author, text = b"?", b"?", b"", b""
    for field in fields:
        name, value = field_name(field), field.partition(b":")[2].lstrip(b" \t\n")
        if name == b"subject":
            text += value
        elif name == b"delivered-to":
            recipient = value[:-1]
        elif name == b"return-path":
            sender = value[:-1]
        elif name == b"from":
            author = field[:-1]
    text = (text + body)[:_TEXT_MOST_BYTES]
    shown = b"FROM " + printable(sender, b"?") + b" TO <" + printable(recipient, b"?") + b">\n"
    if author:
        shown += b"\033[1m" + printable(author, b"/") + b"\033[0m\n"
    return shown + printable(text, b"/") + b"\n\n"
