"""qmail-inject: completes the header of a message, reads recipients from it, and queues it (qmail-interfaces 16)."""

import os

from paperpath.inject.command import Usage, options
from paperpath.inject.places import NoConfiguration, find_places
from paperpath.inject.queueing import TOO_LARGE, enqueue, limit_bytes
from paperpath.message.composing import Author, Composer, Moment, UnreadableField, split_message
from paperpath.message.rewriting import Rewriter, quote_argument
from paperpath.message.rfc822 import Unparsable
from paperpath.system import clock, injection

EXIT_DONE, EXIT_PERMANENT, EXIT_TEMPORARY = 0, 100, 111
_FATAL = b"qmail-inject: fatal: "


class Fatal(Exception):
    """The program ends with a text, or nothing more to say, and an exit code."""

    def __init__(self, text: bytes, code: int) -> None:
        super().__init__(text)
        self.text, self.code = text, code


class Options:
    """What the command line says."""

    __slots__ = ("arguments", "by_arguments", "by_header", "printed", "sender")

    def __init__(self) -> None:
        self.arguments: list[bytes] = []
        self.by_arguments, self.by_header = True, True
        self.printed = False
        self.sender: bytes | None = None


def main(argv: list[str]) -> int:
    """Queue, or print, the message on standard input."""
    return inject([os.fsencode(word) for word in argv[1:]], None)


def inject(words: list[bytes], message: bytes | None, asked: bytes = b"") -> int:
    """Be qmail-inject with these arguments; ``message`` is given where standard input has been read already.

    ``asked`` is as for ``queueing.submit``.
    """
    try:
        chosen = read_options(words)
        if message is None:
            message = injection.read_to_end(0, limit_bytes())
        if message is None:
            raise Fatal(f"{TOO_LARGE}\n".encode(), EXIT_PERMANENT)
        return _inject(chosen, message, asked)
    except Fatal as error:
        if error.text:
            injection.write_all(2, _FATAL + error.text)
        return error.code
    except OSError as error:
        where = b"" if error.filename is None else b": " + os.fsencode(f"{error.filename}: {error.strerror}")
        injection.write_all(2, _FATAL + b"read error" + where + b"\n")
        return EXIT_TEMPORARY


def read_options(words: list[bytes]) -> Options:
    """Read the command line.  Raises Fatal."""
    found, strategy = Options(), b"A"
    try:
        for letter, value in options(words, b"aAhHnN", b"f"):
            if letter == b"f":
                found.sender = value
            elif letter in b"nN":
                found.printed = letter == b"n"
            else:
                strategy = letter
    except Usage:
        raise Fatal(b"", EXIT_PERMANENT) from None
    found.arguments = words
    found.by_arguments = strategy != b"h"
    found.by_header = strategy in b"hH" or (strategy == b"A" and not words)
    return found


def _inject(options: Options, raw: bytes, asked: bytes) -> int:
    rewriter, id_host = _rewriter()
    fields, body = split_message(raw)
    now = int(clock.now())
    moment = Moment(now, clock.utc(now), os.getpid())
    composer = Composer(rewriter, _author(), moment, id_host, _variable(b"QMAILINJECT") or b"")
    try:
        composer.read(fields)
        sender = _sender(options, rewriter, composer)
        recipients = [_recipient(rewriter, word) for word in options.arguments] if options.by_arguments else []
        header = composer.header(_follow_up())
    except UnreadableField as error:
        raise _unreadable(error.args[0]) from None
    if options.by_header:
        recipients += composer.recipients
    if options.printed:
        injection.write_all(1, b"Return-Path: <" + quote_argument(sender) + b">\n" + header + body)
        return EXIT_DONE
    outcome = enqueue(header + body, sender, recipients, asked)
    if outcome.text:
        raise Fatal(os.fsencode(outcome.text[1:]) + b"\n", outcome.exit_code)
    return EXIT_DONE


def _sender(options: Options, rewriter: Rewriter, composer: Composer) -> bytes:
    if options.sender is not None:
        try:
            return rewriter.complete(options.sender)
        except Unparsable:
            raise _unreadable(quote_argument(options.sender)) from None
    return composer.default_sender() if composer.sender is None else composer.sender


def _recipient(rewriter: Rewriter, word: bytes) -> bytes:
    try:
        return rewriter.complete(word)
    except Unparsable:
        raise Fatal(b"unable to parse address: " + word + b"\n", EXIT_PERMANENT) from None


def _unreadable(line: bytes) -> Fatal:
    return Fatal(b"unable to parse this line:\n" + line, EXIT_PERMANENT)


def _variable(*names: bytes) -> bytes | None:
    """Return the first of these variables that is there, even where it is empty."""
    for name in names:
        value = os.environb.get(name)
        if value is not None:
            return value
    return None


def _author() -> Author:
    user = _variable(b"QMAILUSER", b"MAILUSER", b"USER", b"LOGNAME")
    user = b"anonymous" if user is None else user
    host = _variable(b"QMAILHOST", b"MAILHOST")
    sender_user, sender_host = _variable(b"QMAILSUSER"), _variable(b"QMAILSHOST")
    return Author(
        user,
        host,
        _variable(b"QMAILNAME", b"MAILNAME", b"NAME"),
        user if sender_user is None else sender_user,
        host if sender_host is None else sender_host,
    )


def _rewriter() -> tuple[Rewriter, bytes]:
    """Return what completes addresses, and the host of message ids.  Raises Fatal and OSError."""
    from paperpath.config.control import Control, home

    try:
        places = find_places()
        given, fallback = places.qmail_home, os.fsencode(places.hostname)
    except NoConfiguration:
        given, fallback = "", None
    control = Control(home(given))
    if control.read_line("me") is not None:
        fallback = None

    def default(variable: bytes, file: str) -> bytes:
        value = os.environb.get(variable)
        if value is None and fallback is not None:
            value = control.read_line(file)
            return fallback if value is None else value
        return (control.line(file) or b"") if value is None else value

    host = default(b"QMAILDEFAULTHOST", "defaulthost")
    domain = default(b"QMAILDEFAULTDOMAIN", "defaultdomain")
    plus = default(b"QMAILPLUSDOMAIN", "plusdomain")
    try:
        return Rewriter(host, domain, plus), default(b"QMAILIDHOST", "idhost")
    except Unparsable:
        raise Fatal(b"unable to parse this line:\ndefault host and domains\n", EXIT_PERMANENT) from None


def _follow_up() -> frozenset[bytes]:
    """Return the addresses of QMAILMFTFILE in lower case."""
    file = os.environb.get(b"QMAILMFTFILE")
    if file is None:
        return frozenset()
    try:
        with open(file, "rb") as stream:
            lines = [line.rstrip(b" \t\n") for line in stream]
    except OSError:
        return frozenset()
    return frozenset(line.lower() for line in lines if line and not line.startswith(b"#"))
